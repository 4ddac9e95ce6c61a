// The adapter for a store in another process against peers that follow a script: clusters that
// change, nodes that are not the leader, connections that are torn.
#include "base/clock.hpp"
#include "esdb/protocol_server.hpp"
#include "esdb/server_features.hpp"
#include "esdb/server_fixture.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/gossip.pb.h"
#include "esproto/wire/server_features.pb.h"
#include "esproto/wire/streams.pb.h"
#include "eventstore/memory_store.hpp"
#include "eventstore/remote_store.hpp"

#include <atomic>

namespace immortal::esdb {
namespace {

using eventstore::remote_settings;
using std::chrono::milliseconds;
namespace gossip = ::event_store::client::gossip;

// One whole node over a store that outlives it.
class node {
public:
    node(runtime::engine& engine, eventstore::event_store& store, std::uint16_t port = 0) {
        protocol_settings settings;
        settings.server.port = port;
        server_ = std::make_unique<protocol_server>(engine, store, clock_, random_, settings);
        const auto started = server_->start();
        EXPECT_TRUE(started) << started.error().message;
    }
    ~node() { server_->stop(milliseconds(100)); }
    [[nodiscard]] std::uint16_t port() const { return server_->port(); }

private:
    base::system_clock clock_;
    base::system_random random_;
    std::unique_ptr<protocol_server> server_;
};

class remote_peer : public server_fixture {
protected:
    void TearDown() override {
        store_.reset();
        server_fixture::TearDown();
    }

    base::result<std::unique_ptr<eventstore::event_store>> open(const std::string& text) {
        remote_settings settings;
        settings.connection = *eventstore::parse_connection_string(text);
        settings.check_period = milliseconds(20);
        settings.reconnection_delay = milliseconds(10);
        settings.operation_timeout = milliseconds(20'000);
        settings.start_attempts = 1;
        return eventstore::open_remote_store(std::move(settings), random_);
    }
    void connect(const std::string& text) {
        auto opened = open(text);
        ASSERT_TRUE(opened) << opened.error().message;
        store_ = std::move(*opened);
    }
    static std::vector<eventstore::stream_write> one_event(std::uint8_t number) {
        eventstore::new_event event;
        event.id.bytes[0] = number;
        event.id.bytes[1] = 7;
        event.type = "Happened";
        event.data = "{}";
        std::vector<eventstore::stream_write> writes(1);
        writes[0] = {"s-1",
                     number == 1 ? eventstore::expected_revision::no_stream()
                                 : eventstore::expected_revision::at({number - 2u}),
                     {event}};
        return writes;
    }
    // As a client does it: the same append until its outcome is known.
    base::result<eventstore::append_outcome> insist(std::uint8_t number) {
        const auto until = std::chrono::steady_clock::now() + patience;
        for (;;) {
            auto done = engine_.run(store_->append(one_event(number)));
            const bool unknown = !done && (done.error().code == base::errc::unavailable ||
                                           done.error().code == base::errc::unknown_outcome);
            if (!unknown || std::chrono::steady_clock::now() > until) {
                return done;
            }
        }
    }
    // A scripted node of a cluster: tells where the members are, and that it is not the leader.
    void add_gossip() {
        methods_.add("event_store.client.gossip.Gossip", "Read",
                     {.serve = unary<::event_store::client::Empty, gossip::ClusterInfo>(
                          [this](call&, ::event_store::client::Empty) { return tell_members(); })});
    }
    awaitable<rpc_result<gossip::ClusterInfo>> tell_members() {
        ++asked_;
        gossip::ClusterInfo info;
        const auto add = [&info](std::uint16_t port, gossip::MemberInfo::VNodeState state,
                                 bool alive) {
            auto& member = *info.add_members();
            member.set_state(state);
            member.set_is_alive(alive);
            member.mutable_http_end_point()->set_address("127.0.0.1");
            member.mutable_http_end_point()->set_port(port);
        };
        add(1, gossip::MemberInfo::Leader, false); // the one that died
        if (asked_ > 2) {                          // an election takes its time
            add(leader_port_, gossip::MemberInfo::Leader, true);
        }
        co_return info;
    }

    base::system_clock clock_;
    base::system_random random_;
    std::unique_ptr<eventstore::event_store> memory_ = eventstore::make_memory_store(clock_);
    std::unique_ptr<eventstore::event_store> store_;
    std::atomic<int> asked_ = 0;
    std::atomic<std::uint16_t> leader_port_ = 0;
};

TEST_F(remote_peer, the_leader_is_found_by_gossip_and_dead_members_are_left_alone) {
    const node leader(engine_, *memory_);
    leader_port_ = leader.port();
    add_gossip();
    start();
    connect("esdb+discover://127.0.0.1:" + std::to_string(server_->port()) +
            "?tls=false&discoveryInterval=5");
    EXPECT_GE(asked_, 3);
    EXPECT_TRUE(insist(1));
    store_.reset();
}

TEST_F(remote_peer, nobody_there_is_a_sentence) {
    const auto opened = open("esdb://127.0.0.1:1?tls=false");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, base::errc::unavailable) << opened.error().message;
}

TEST_F(remote_peer, a_server_without_the_atomic_append_is_refused) {
    add_server_features(methods_); // and nothing else
    start();
    const auto opened = open("esdb://127.0.0.1:" + std::to_string(server_->port()) + "?tls=false");
    ASSERT_FALSE(opened);
    EXPECT_NE(opened.error().message.find("AppendSession"), std::string::npos)
        << opened.error().message;
    EXPECT_NE(opened.error().message.find("25.1"), std::string::npos);
}

TEST_F(remote_peer, a_subscription_survives_restarts_without_gap_or_repeat) {
    auto server = std::make_unique<node>(engine_, *memory_);
    const std::uint16_t port = server->port();
    connect("esdb://127.0.0.1:" + std::to_string(port) + "?tls=false");
    const auto all = store_->subscribe_stream("s-1", std::nullopt);
    std::uint64_t next = 0;
    for (std::uint8_t life = 0; life < 4; ++life) {
        for (std::uint8_t i = 1; i <= 3; ++i) {
            const auto done = insist(static_cast<std::uint8_t>(life * 3 + i));
            ASSERT_TRUE(done) << done.error().message;
        }
        while (next < (life + 1u) * 3u) {
            const auto batch = engine_.run(all->next(100));
            ASSERT_TRUE(batch) << batch.error().message;
            for (const auto& event : batch->events) {
                EXPECT_EQ(event.revision.value, next++);
            }
        }
        server.reset();
        const auto until = std::chrono::steady_clock::now() + patience;
        while (store_->state() != eventstore::write_state::unreachable &&
               std::chrono::steady_clock::now() < until) {
            std::this_thread::yield();
        }
        EXPECT_EQ(store_->state(), eventstore::write_state::unreachable);
        server = std::make_unique<node>(engine_, *memory_, port);
        while (store_->state() != eventstore::write_state::writable &&
               std::chrono::steady_clock::now() < until) {
            std::this_thread::yield();
        }
        EXPECT_EQ(store_->state(), eventstore::write_state::writable);
    }
    all->cancel();
    store_.reset();
}

TEST_F(remote_peer, who_the_store_is_stays_the_same_for_every_client) {
    const node server(engine_, *memory_);
    const std::string where = "esdb://127.0.0.1:" + std::to_string(server.port()) + "?tls=false";
    connect(where);
    const auto other = open(where);
    ASSERT_TRUE(other) << other.error().message;
    EXPECT_EQ((*other)->identity(), store_->identity());
    store_.reset();
}

} // namespace
} // namespace immortal::esdb
