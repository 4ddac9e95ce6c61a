// The service through a real client. What a group does is group_registry_test's.
#include "esdb/persistent_fixture.hpp"
#include "esproto/wire/server_features.grpc.pb.h"

#include <set>

namespace immortal::esdb {
namespace {

constexpr char missing[] = "persistent-subscription-does-not-exist";
constexpr char failed[] = "persistent-subscription-failed";

TEST_F(persistent_service_test, events_are_delivered_answered_and_parked) {
    serve();
    const base::uuid first = write("s-1", "A", "{\"n\":1}");
    for (int i = 0; i < 4; ++i) {
        write("s-1");
    }
    ASSERT_TRUE(create(create_request("s-1")).ok());
    auto one = confirmed("s-1");
    const auto event = next(one);
    EXPECT_EQ(event.event().id().string(), first.text());
    EXPECT_EQ(event.event().stream_identifier().stream_name(), "s-1");
    EXPECT_EQ(event.event().metadata().at("type"), "A");
    EXPECT_EQ(event.event().data(), "{\"n\":1}");
    EXPECT_EQ(event.commit_position(), event.event().commit_position());
    EXPECT_EQ(event.count_case(), wire::ReadResp::ReadEvent::kRetryCount);
    EXPECT_EQ(event.retry_count(), 0);
    answer(one, event);
    answer(one, next(one), wire::ReadReq::Nack::Skip);
    answer(one, next(one), wire::ReadReq::Nack::Park);
    answer(one, next(one), wire::ReadReq::Nack::Stop);
    const auto again = next(one);
    answer(one, again, wire::ReadReq::Nack::Retry);
    const auto repeated = next(one);
    EXPECT_EQ(repeated.event().stream_revision(), 4u);
    EXPECT_EQ(repeated.retry_count(), 1);
    answer(one, repeated, wire::ReadReq::Nack::Unknown);
    EXPECT_EQ(next(one).retry_count(), 2);
    wire::SubscriptionInfo info;
    do {
        ASSERT_TRUE(get_info("s-1", info).ok());
    } while (info.parked_message_count() != 1);
    ASSERT_TRUE(replay("s-1").ok());
    EXPECT_EQ(next(one).event().stream_revision(), 2u);
}

TEST_F(persistent_service_test, all_with_a_filter_and_two_consumers_one_of_which_goes) {
    serve();
    for (int i = 0; i < 10; ++i) {
        write("a-1");
        write("b-1");
    }
    auto request = create_request(all_stream);
    auto& filter = *request.mutable_options()->mutable_all()->mutable_filter();
    filter.mutable_stream_identifier()->set_regex("^b-");
    filter.mutable_count();
    ASSERT_TRUE(create(request).ok());
    auto lost = confirmed(all_stream, 5);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(next(lost).event().stream_identifier().stream_name(), "b-1");
    }
    auto other = confirmed(all_stream, 20);
    for (std::uint64_t i = 5; i < 10; ++i) {
        EXPECT_EQ(next(other).event().stream_revision(), i);
    }
    lost.context->TryCancel();
    for (std::uint64_t i = 0; i < 5; ++i) {
        const auto event = next(other);
        EXPECT_EQ(event.event().stream_revision(), i);
        EXPECT_EQ(event.retry_count(), 1);
    }
}

TEST_F(persistent_service_test, a_consumer_that_finished_sending_still_listens) {
    serve();
    ASSERT_TRUE(create(create_request("s-1")).ok());
    auto one = confirmed("s-1");
    one.stream->WritesDone();
    write("s-1");
    EXPECT_EQ(next(one).event().stream_revision(), 0u);
}

TEST_F(persistent_service_test, update_drops_delete_ends_restart_drops) {
    serve();
    ASSERT_TRUE(create(create_request("s-1")).ok());
    auto one = confirmed("s-1");
    ASSERT_TRUE(update(update_request("s-1")).ok());
    expect_ended(one, StatusCode::CANCELLED, "persistent-subscription-dropped");
    auto two = confirmed("s-1");
    context_ = make_context();
    ::event_store::client::Empty none;
    ASSERT_TRUE(stub_->RestartSubsystem(context_.get(), none, &none).ok());
    expect_ended(two, StatusCode::CANCELLED, "persistent-subscription-dropped");
    auto three = confirmed("s-1");
    ASSERT_TRUE(remove("s-1").ok());
    expect_ended(three, StatusCode::NOT_FOUND, missing);
}

TEST_F(persistent_service_test, a_tombstoned_source_drops) {
    serve();
    write("s-1");
    ASSERT_TRUE(create(create_request("s-1")).ok());
    auto one = confirmed("s-1");
    std::vector<eventstore::stream_write> writes;
    writes.push_back(
        {"s-1", expected_revision::any(), {}, eventstore::stream_write::action::tombstone});
    ASSERT_TRUE(engine_.run(store_->append(std::move(writes))));
    expect_ended(one, StatusCode::CANCELLED, "persistent-subscription-dropped");
}

TEST_F(persistent_service_test, information_and_lists) {
    serve();
    write("s-1");
    auto request = create_request("s-1");
    request.mutable_options()->mutable_settings()->set_extra_statistics(true);
    request.mutable_options()->mutable_settings()->set_consumer_strategy("PinnedByCorrelation");
    ASSERT_TRUE(create(request).ok());
    ASSERT_TRUE(create(create_request(all_stream)).ok());
    auto one = confirmed("s-1", 7);
    answer(one, next(one));
    wire::SubscriptionInfo info;
    do { // the answer arrives, and the group is live
        ASSERT_TRUE(get_info("s-1", info).ok());
    } while (info.total_in_flight_messages() != 0 || info.status() != "Live");
    EXPECT_EQ(info.event_source(), "s-1");
    EXPECT_EQ(info.group_name(), "g");
    EXPECT_EQ(info.start_from(), "0");
    EXPECT_EQ(info.last_known_event_position(), "0");
    EXPECT_EQ(info.last_checkpointed_event_position(), "");
    EXPECT_EQ(info.message_timeout_milliseconds(), 30'000);
    EXPECT_EQ(info.buffer_size(), 500);
    EXPECT_EQ(info.named_consumer_strategy(), "PinnedByCorrelation");
    EXPECT_EQ(info.total_items(), 1);
    ASSERT_EQ(info.connections_size(), 1);
    EXPECT_EQ(info.connections(0).available_slots(), 7);
    EXPECT_EQ(info.connections(0).total_items(), 1);
    EXPECT_EQ(info.connections(0).observed_measurements_size(), 14);
    ASSERT_TRUE(get_info(all_stream, info).ok());
    EXPECT_EQ(info.start_from(), "C:0/P:0");
    EXPECT_EQ(info.connections_size(), 0);

    const auto listed = [this](const wire::ListReq& asked) {
        wire::ListResp out;
        const auto status = ask(&wire::PersistentSubscriptions::Stub::List, asked, &out);
        return std::pair(status.error_code(), out.subscriptions_size());
    };
    wire::ListReq list;
    list.mutable_options()->mutable_list_all_subscriptions();
    EXPECT_EQ(listed(list), std::pair(StatusCode::OK, 2));
    list.mutable_options()->mutable_list_for_stream()->mutable_all();
    EXPECT_EQ(listed(list), std::pair(StatusCode::OK, 1));
    list.mutable_options()->mutable_list_for_stream()->mutable_stream()->set_stream_name("s-2");
    EXPECT_EQ(listed(list), std::pair(StatusCode::NOT_FOUND, 0));
    EXPECT_EQ(trailer(*context_, "exception"), missing);
    EXPECT_EQ(trailer(*context_, "group-name"), "");
}

TEST_F(persistent_service_test, every_refusal) {
    serve();
    wire::SubscriptionInfo info;
    for (const std::string stream : {"s-1", "$all"}) {
        expect_refused(get_info(stream, info), StatusCode::NOT_FOUND, missing, stream);
        expect_refused(remove(stream), StatusCode::NOT_FOUND, missing, stream);
        expect_refused(replay(stream), StatusCode::NOT_FOUND, missing, stream);
        auto nobody = subscribe(stream);
        expect_ended(nobody, StatusCode::NOT_FOUND, missing);
    }
    expect_refused(update(update_request("s-1")), StatusCode::NOT_FOUND, missing, "s-1");

    auto request = create_request("s-1");
    request.mutable_options()->mutable_settings()->set_consumer_strategy("Nonsense");
    expect_refused(create(request), StatusCode::INTERNAL, failed, "s-1");
    EXPECT_EQ(trailer(*context_, "reason"), "Consumer strategy Nonsense does not exist.");
    request = create_request("s-1");
    request.mutable_options()->mutable_settings()->set_read_batch_size(500);
    expect_refused(create(request), StatusCode::INTERNAL, failed, "s-1");
    request = create_request("s-1");
    request.mutable_options()->mutable_stream()->mutable_stream_identifier()->set_stream_name(
        "$all");
    expect_refused(create(request), StatusCode::INTERNAL, failed, "$all");
    request = create_request(all_stream);
    request.mutable_options()->mutable_all()->mutable_position()->set_commit_position(1u << 30u);
    expect_refused(create(request), StatusCode::INTERNAL, failed, "$all");
    request = create_request(all_stream);
    request.mutable_options()->mutable_all()->mutable_filter()->mutable_event_type()->set_regex(
        "(");
    expect_refused(create(request), StatusCode::INTERNAL, failed, "$all");
    request.mutable_options()->mutable_all()->mutable_filter()->mutable_event_type()->set_regex("");
    EXPECT_EQ(create(request).error_code(), StatusCode::INVALID_ARGUMENT);

    request = create_request("s-1");
    request.mutable_options()->mutable_settings()->set_max_subscriber_count(1);
    ASSERT_TRUE(create(request).ok());
    expect_refused(create(request), StatusCode::ALREADY_EXISTS, "persistent-subscription-exists",
                   "s-1");
    expect_refused(replay("s-1", -1), StatusCode::INTERNAL, failed, "s-1");
    auto one = confirmed("s-1");
    auto two = subscribe("s-1");
    expect_ended(two, StatusCode::FAILED_PRECONDITION, "maximum-subscribers-reached");
    auto none = subscribe("s-1", 0);
    EXPECT_EQ(end(none).error_code(), StatusCode::INVALID_ARGUMENT);

    consumer silent{make_context(), nullptr};
    silent.stream = stub_->Read(silent.context.get());
    wire::ReadReq ack;
    ack.mutable_ack();
    silent.stream->Write(ack);
    EXPECT_EQ(end(silent).error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(persistent_service_test, clients_before_stream_options) {
    serve();
    for (int i = 0; i < 4; ++i) {
        write("s-1");
    }
    auto request = create_request("s-1");
    auto& options = *request.mutable_options();
    options.clear_stream();
    options.mutable_stream_identifier()->set_stream_name("s-1");
    options.mutable_settings()->set_revision(2);
    options.mutable_settings()->set_message_timeout_ticks(50'000'000);
    options.mutable_settings()->clear_consumer_strategy();
    options.mutable_settings()->set_named_consumer_strategy(wire::CreateReq::Pinned);
    ASSERT_TRUE(create(request).ok());
    wire::SubscriptionInfo info;
    ASSERT_TRUE(get_info("s-1", info).ok());
    EXPECT_EQ(info.start_from(), "2");
    EXPECT_EQ(info.message_timeout_milliseconds(), 5'000);
    EXPECT_EQ(info.named_consumer_strategy(), "Pinned");
    auto one = confirmed("s-1");
    EXPECT_EQ(next(one).event().stream_revision(), 2u);
}

TEST_F(persistent_service_test, who_may_what) {
    auto made = std::make_unique<strict_authorizer>();
    strict_authorizer& rules = *made;
    rules_ = std::move(made);
    serve();
    EXPECT_EQ(create(create_request("s-1")).error_code(), StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(trailer(*context_, "exception"), "access-denied");
    EXPECT_EQ(remove("s-1").error_code(), StatusCode::PERMISSION_DENIED);
    rules.may_operate_ = true;
    // A link to what its reader may not read is delivered without its target.
    write("secret-1");
    write("links", "$>", "0@secret-1");
    auto request = create_request("links");
    request.mutable_options()->mutable_settings()->set_resolve_links(true);
    ASSERT_TRUE(create(request).ok());
    auto one = confirmed("links");
    const auto event = next(one);
    EXPECT_TRUE(event.has_link());
    EXPECT_FALSE(event.has_event());
    ASSERT_TRUE(create(create_request("secret-1")).ok());
    auto two = subscribe("secret-1");
    EXPECT_EQ(end(two).error_code(), StatusCode::PERMISSION_DENIED);
}

TEST_F(persistent_service_test, links_are_followed_and_answered_by_their_own_id) {
    serve();
    write("s-1", "A");
    write("links", "$>", "0@s-1");
    write("links", "B");
    auto request = create_request("links");
    request.mutable_options()->mutable_settings()->set_resolve_links(true);
    ASSERT_TRUE(create(request).ok());
    auto one = confirmed("links", 1);
    const auto event = next(one);
    EXPECT_EQ(event.event().metadata().at("type"), "A");
    EXPECT_EQ(event.link().stream_identifier().stream_name(), "links");
    EXPECT_EQ(event.commit_position(), event.link().commit_position());
    EXPECT_EQ(event.event().commit_position(), event.link().commit_position());
    answer(one, event);
    EXPECT_EQ(next(one).event().metadata().at("type"), "B");
}

TEST_F(persistent_service_test, until_the_groups_are_loaded_it_is_not_ready) {
    serve_unloaded();
    EXPECT_EQ(create(create_request("s-1")).error_code(), StatusCode::UNAVAILABLE);
    auto one = subscribe("s-1");
    EXPECT_EQ(end(one).error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(persistent_service_test, the_methods_are_announced_with_their_features) {
    serve();
    namespace features = ::event_store::client::server_features;
    const auto stub = features::ServerFeatures::NewStub(channel_);
    ::event_store::client::Empty none;
    features::SupportedMethods all;
    context_ = make_context();
    ASSERT_TRUE(stub->GetSupportedMethods(context_.get(), none, &all).ok());
    std::set<std::string> named;
    for (const auto& one : all.methods()) {
        if (one.service_name() ==
            "event_store.client.persistent_subscriptions.persistentsubscriptions") {
            named.insert(one.method_name());
            EXPECT_EQ(one.features_size(), 2) << one.method_name();
        }
    }
    EXPECT_EQ(named, (std::set<std::string>{"create", "delete", "getinfo", "list", "read",
                                            "replayparked", "restartsubsystem", "update"}));
}

} // namespace
} // namespace immortal::esdb
