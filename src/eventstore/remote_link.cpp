#include "eventstore/remote_link.hpp"

#include "base/log.hpp"
#include "esproto/convert.hpp"
#include "esproto/status_details.hpp"
#include "esproto/wire/gossip.grpc.pb.h"
#include "esproto/wire/streams_v2_errors.pb.h"
#include "eventstore/remote_credentials.hpp"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <charconv>
#include <grpc/support/time.h>
#include <grpcpp/create_channel.h>

namespace immortal::eventstore {
namespace {

using base::errc;
using base::error;
using base::fail;
namespace gossip = ::event_store::client::gossip;
namespace v2_errors = ::kurrentdb::protocol::v2::streams::errors;

std::string basic_authorization(const std::string& login, const std::string& password) {
    const std::string plain = login + ":" + password;
    std::string encoded(sodium_base64_encoded_len(plain.size(), sodium_base64_VARIANT_ORIGINAL),
                        '\0');
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the library's face is C
    const auto* bytes = reinterpret_cast<const unsigned char*>(plain.data());
    sodium_bin2base64(encoded.data(), encoded.size(), bytes, plain.size(),
                      sodium_base64_VARIANT_ORIGINAL);
    encoded.pop_back(); // the terminating zero
    return "Basic " + encoded;
}

gpr_timespec after(milliseconds time) {
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis(time.count(), GPR_TIMESPAN));
}

std::string trailer(const grpc::ClientContext& context, const char* key) {
    const auto& all = context.GetServerTrailingMetadata();
    const auto found = all.find(key);
    return found == all.end() ? std::string()
                              : std::string(found->second.data(), found->second.size());
}

// The better a member fits, the smaller; empty: not at all.
std::optional<int> rank_of(const gossip::MemberInfo& member, node_preference preference) {
    using state = gossip::MemberInfo;
    if (!member.is_alive()) {
        return std::nullopt;
    }
    const bool leader = member.state() == state::Leader;
    const bool follower = member.state() == state::Follower;
    const bool replica = member.state() == state::ReadOnlyReplica ||
                         member.state() == state::PreReadOnlyReplica ||
                         member.state() == state::ReadOnlyLeaderless;
    if (!leader && !follower && !replica) {
        return std::nullopt;
    }
    switch (preference) {
    case node_preference::leader:
        return leader ? 0 : follower ? 1 : 2;
    case node_preference::follower:
        return follower ? 0 : leader ? 1 : 2;
    case node_preference::read_only_replica:
        return replica ? 0 : leader ? 1 : 2;
    case node_preference::random:
        break;
    }
    return 0;
}

// Version 2 says more in the details of its status.
// As the embedded store says it: a stream that is deleted comes before one that moved on.
error violation_error(const v2_errors::AppendConsistencyViolationErrorDetails& broken) {
    for (const auto& one : broken.violations()) {
        if (one.stream_state().actual_state() == esproto::expected::tombstoned) {
            return {errc::deleted, "the stream is tombstoned", "tombstoned",
                    one.stream_state().stream()};
        }
        if (one.stream_state().actual_state() == esproto::expected::soft_deleted) {
            return {errc::deleted, "the stream is deleted", "soft_deleted",
                    one.stream_state().stream()};
        }
    }
    return {errc::conflict, "another expected revision", "wrong_expected_revision",
            broken.violations(0).stream_state().stream()};
}

std::optional<error> typed_failure(const std::string& bytes) {
    const auto status = esproto::decode_status_details(bytes);
    if (!status) {
        return std::nullopt;
    }
    const auto is = [](const esproto::status_detail& detail, const auto& message) {
        return detail.type == message.GetDescriptor()->full_name();
    };
    for (const auto& detail : status->details) {
        if (v2_errors::StreamRevisionConflictErrorDetails conflict;
            is(detail, conflict) && conflict.ParseFromString(detail.value)) {
            return error{errc::conflict, "another expected revision", "wrong_expected_revision",
                         conflict.stream()};
        }
        if (v2_errors::StreamTombstonedErrorDetails dead;
            is(detail, dead) && dead.ParseFromString(detail.value)) {
            return error{errc::deleted, "the stream is tombstoned", "tombstoned", dead.stream()};
        }
        if (v2_errors::StreamDeletedErrorDetails gone;
            is(detail, gone) && gone.ParseFromString(detail.value)) {
            return error{errc::deleted, "the stream is deleted", "soft_deleted", gone.stream()};
        }
        if (v2_errors::AppendConsistencyViolationErrorDetails broken;
            is(detail, broken) && broken.ParseFromString(detail.value) &&
            broken.violations_size() > 0) {
            return violation_error(broken);
        }
        if (v2_errors::AppendRecordSizeExceededErrorDetails large; is(detail, large)) {
            return error{errc::too_large, "an event is too large for the event store",
                         "event_too_large"};
        }
        if (v2_errors::AppendTransactionSizeExceededErrorDetails large; is(detail, large)) {
            return error{errc::too_large, "the append is too large for the event store",
                         "append_too_large"};
        }
    }
    return std::nullopt;
}

std::optional<error> told_failure(const std::string& exception, std::string_view stream) {
    const std::string name(stream);
    if (exception == "stream-deleted") {
        return error{errc::deleted, "the stream is tombstoned", "tombstoned", name};
    }
    if (exception == "wrong-expected-version") {
        return error{errc::conflict, "another expected revision", "wrong_expected_revision", name};
    }
    if (exception == "access-denied") {
        return error{errc::forbidden, "the event store does not allow that to this user"};
    }
    if (exception.starts_with("maximum-append")) {
        return error{errc::too_large, "the append is too large for the event store",
                     "append_too_large"};
    }
    return std::nullopt;
}

error failure_by_code(const grpc::Status& status, call_kind kind) {
    switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::OUT_OF_RANGE:
        return {errc::invalid_argument, status.error_message()};
    case grpc::StatusCode::UNAUTHENTICATED:
        return {errc::unauthenticated, "the event store knows no such user and password"};
    case grpc::StatusCode::PERMISSION_DENIED:
        return {errc::forbidden, "the event store does not allow that to this user"};
    case grpc::StatusCode::UNIMPLEMENTED:
        return {errc::mismatch, "the event store does not have this operation"};
    case grpc::StatusCode::FAILED_PRECONDITION:
        return {errc::invalid_argument, status.error_message()};
    default:
        break;
    }
    if (kind == call_kind::write) {
        return {errc::unknown_outcome,
                "it is not known whether the events were written: repeat the same request to find "
                "out",
                "event_store_away"};
    }
    return {errc::unavailable, "the event store does not answer", "event_store_away"};
}

} // namespace

base::result<std::unique_ptr<remote_link>> remote_link::make(remote_settings settings,
                                                             base::random_source& random) {
    std::unique_ptr<remote_link> made(new remote_link(std::move(settings), random));
    const connection_settings& to = made->settings_.connection;
    auto credentials = make_credentials(to);
    if (!credentials) {
        return fail(std::move(credentials.error()));
    }
    made->credentials_ = std::move(*credentials);
    if (to.login) {
        made->authorization_ = basic_authorization(*to.login, to.password);
    }
    return made;
}

std::shared_ptr<grpc::Channel> remote_link::connect(const endpoint& to) const {
    const connection_settings& with = settings_.connection;
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    if (with.keepalive_interval) {
        arguments.SetInt("grpc.keepalive_time_ms",
                         static_cast<int>(with.keepalive_interval->count()));
        arguments.SetInt("grpc.keepalive_timeout_ms",
                         static_cast<int>(with.keepalive_timeout.count()));
        arguments.SetInt("grpc.http2.max_pings_without_data", 0);
    }
    const int pause = static_cast<int>(settings_.reconnection_delay.count());
    arguments.SetInt("grpc.initial_reconnect_backoff_ms", pause);
    arguments.SetInt("grpc.min_reconnect_backoff_ms", pause);
    arguments.SetInt("grpc.max_reconnect_backoff_ms", std::max(10 * pause, 1000));
    arguments.SetInt("grpc.use_local_subchannel_pool", 1);
    return grpc::CreateCustomChannel(to.text(), credentials_, arguments);
}

std::optional<endpoint> remote_link::ask(const endpoint& host) const {
    const auto stub = gossip::Gossip::NewStub(connect(host));
    grpc::ClientContext context;
    context.set_deadline(after(settings_.connection.gossip_timeout));
    gossip::ClusterInfo info;
    if (!stub->Read(&context, ::event_store::client::Empty{}, &info).ok()) {
        return std::nullopt;
    }
    std::vector<std::pair<int, endpoint>> fitting;
    for (const gossip::MemberInfo& member : info.members()) {
        if (const auto rank = rank_of(member, settings_.connection.preference)) {
            fitting.emplace_back(
                *rank, endpoint{member.http_end_point().address(),
                                static_cast<std::uint16_t>(member.http_end_point().port())});
        }
    }
    if (settings_.connection.preference == node_preference::random) {
        if (!fitting.empty()) {
            return fitting[random_.next() % fitting.size()].second;
        }
    }
    const auto best = std::ranges::min_element(
        fitting, {}, [](const std::pair<int, endpoint>& one) { return one.first; });
    return best == fitting.end() ? std::nullopt : std::optional(best->second);
}

base::result<endpoint> remote_link::discover() {
    const connection_settings& to = settings_.connection;
    {
        const std::lock_guard lock(mutex_);
        if (hint_) {
            return *std::exchange(hint_, std::nullopt);
        }
    }
    if (!to.discover) {
        return to.hosts.front();
    }
    for (unsigned attempt = 0; attempt < to.discover_attempts; ++attempt) {
        if (attempt > 0) {
            pause();
        }
        for (const endpoint& host : to.hosts) {
            if (auto found = ask(host)) {
                return *found;
            }
        }
    }
    return fail(errc::unavailable,
                fmt::format("no node of the event store at {} was found in {} attempts",
                            describe(to), to.discover_attempts),
                "event_store_away");
}

base::result<std::shared_ptr<grpc::Channel>> remote_link::channel() {
    const auto current = [this] {
        const std::lock_guard lock(mutex_);
        return channel_;
    };
    if (auto known = current()) {
        return known;
    }
    const std::lock_guard finding(finding_);
    if (auto known = current()) {
        return known;
    }
    auto found = discover();
    if (!found) {
        return fail(std::move(found.error()));
    }
    auto made = connect(*found);
    const std::lock_guard lock(mutex_);
    node_ = *found;
    channel_ = made;
    return made;
}

void remote_link::prepare(grpc::ClientContext& context, call_kind kind) const {
    const connection_settings& with = settings_.connection;
    if (kind == call_kind::read || kind == call_kind::write) {
        context.set_deadline(after(settings_.operation_timeout));
    }
    if (!authorization_.empty()) {
        context.AddMetadata("authorization", authorization_);
    }
    if (!with.connection_name.empty()) {
        context.AddMetadata("connection-name", with.connection_name);
    }
    const bool writes = kind == call_kind::write || kind == call_kind::lasting_write;
    if (writes || settings_.reads_need_leader) {
        context.AddMetadata("requires-leader", "true");
    }
}

base::error remote_link::failure(const grpc::Status& status, const grpc::ClientContext& context,
                                 call_kind kind, std::string_view stream) {
    const std::string exception = trailer(context, "exception");
    if (exception == "not-leader") {
        const std::string port = trailer(context, "leader-endpoint-port");
        endpoint leader{trailer(context, "leader-endpoint-host"), 0};
        (void)std::from_chars(port.data(), port.data() + port.size(), leader.port);
        base::log_warning("eventstore", "the node is not the leader any more",
                          {{"leader", leader.text()}});
        forget(leader.host.empty() || leader.port == 0 ? std::nullopt : std::optional(leader));
        return {errc::unavailable, "the event store is changing its leader: try again",
                "event_store_away"};
    }
    if (auto told = told_failure(exception, stream)) {
        return std::move(*told);
    }
    if (auto typed = typed_failure(status.error_details())) {
        return std::move(*typed);
    }
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
        forget(std::nullopt);
    }
    return failure_by_code(status, kind);
}

// A single server keeps its channel, which connects again by itself.
void remote_link::forget(std::optional<endpoint> better) {
    const std::lock_guard lock(mutex_);
    if (better || settings_.connection.discover) {
        channel_.reset();
        node_.reset();
    }
    hint_ = std::move(better);
}

void remote_link::pause() {
    std::unique_lock lock(mutex_);
    paused_.wait_for(lock, settings_.connection.discovery_interval);
}

std::string remote_link::where() const {
    const std::lock_guard lock(mutex_);
    return node_ ? node_->text() : describe(settings_.connection);
}

} // namespace immortal::eventstore
