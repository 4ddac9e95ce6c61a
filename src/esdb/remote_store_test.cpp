// The port's scenarios on the adapter for a store in another process: a whole protocol server, and
// the adapter as its client.
#include "base/clock.hpp"
#include "esdb/protocol_server.hpp"
#include "eventstore/event_store_scenarios.hpp"
#include "eventstore/memory_store.hpp"
#include "eventstore/remote_store.hpp"

namespace immortal::esdb {
namespace {

using namespace eventstore;

class remote_scenario_store final : public scenario_store {
public:
    remote_scenario_store() : inner_(make_memory_store(clock_)) {
        engine_.start();
        protocol_settings settings;
        settings.server.port = 0;
        server_ = std::make_unique<protocol_server>(engine_, *inner_, clock_, random_, settings);
        const auto started = server_->start();
        EXPECT_TRUE(started) << started.error().message;
        remote_settings chosen;
        chosen.connection = *parse_connection_string(
            "esdb://127.0.0.1:" + std::to_string(server_->port()) + "?tls=false");
        chosen.operation_timeout = milliseconds(60'000);
        auto opened = open_remote_store(std::move(chosen), random_);
        EXPECT_TRUE(opened) << opened.error().message;
        store_ = std::move(*opened);
    }
    ~remote_scenario_store() override {
        store_.reset();
        server_->stop(milliseconds(500));
        server_.reset();
        engine_.stop();
    }
    event_store& store() override { return *store_; }

private:
    base::system_clock clock_;
    base::system_random random_;
    runtime::engine engine_;
    std::unique_ptr<event_store> inner_;
    std::unique_ptr<protocol_server> server_;
    std::unique_ptr<event_store> store_;
};

} // namespace
} // namespace immortal::esdb

namespace immortal::eventstore {

INSTANTIATE_TEST_SUITE_P(remote, event_store_scenarios,
                         testing::Values(scenario_adapter{
                             "remote",
                             [] { return std::make_unique<esdb::remote_scenario_store>(); },
                             // The protocol does not tell the last revision of a deleted stream;
                             {"a_soft_delete_hides_everything_and_is_found_in_the_metadata",
                              "events_undelete_a_stream_and_their_numbers_go_on",
                              // it deletes one stream in a call;
                              "deletes_are_atomic_with_other_writes",
                              // a session's streams are written one after the other;
                              "events_of_several_streams_stand_in_the_order_of_their_places",
                              // and it does not tell how many events a filter hid.
                              "a_subscription_counts_what_it_looked_at"}}));

} // namespace immortal::eventstore
