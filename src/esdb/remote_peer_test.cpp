// The adapter for a store in another process against peers that follow a script: clusters that
// change, nodes that are not the leader, connections that are torn.
#include "base/clock.hpp"
#include "base/patience_testing.hpp"
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
#include <thread>

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

    base::result<std::unique_ptr<eventstore::event_store>>
    open(const std::string& text, milliseconds operation_timeout = milliseconds(20'000)) {
        remote_settings settings;
        settings.connection = *eventstore::parse_connection_string(text);
        settings.check_period = milliseconds(20);
        settings.reconnection_delay = milliseconds(10);
        settings.operation_timeout = operation_timeout;
        settings.start_attempts = 1;
        return eventstore::open_remote_store(std::move(settings), random_);
    }
    void connect(const std::string& text) {
        auto opened = open(text);
        ASSERT_TRUE(opened) << opened.error().message;
        store_ = std::move(*opened);
    }
    static std::vector<eventstore::stream_write> one_event(std::uint8_t number,
                                                           std::uint8_t stream) {
        eventstore::new_event event;
        event.id.bytes[0] = number;
        event.id.bytes[1] = 7;
        event.id.bytes[2] = stream;
        event.type = "Happened";
        event.data = "{}";
        std::vector<eventstore::stream_write> writes(1);
        writes[0] = {"s-" + std::to_string(stream),
                     number == 1 ? eventstore::expected_revision::no_stream()
                                 : eventstore::expected_revision::at({number - 2u}),
                     {event}};
        return writes;
    }
    // As a client does it: the same append until its outcome is known.
    base::result<eventstore::append_outcome> insist(std::uint8_t number, std::uint8_t stream = 1) {
        const auto until = std::chrono::steady_clock::now() + patience;
        for (;;) {
            auto done = engine_.run(store_->append(one_event(number, stream)));
            const bool unknown = !done && (done.error().code == base::errc::unavailable ||
                                           done.error().code == base::errc::unknown_outcome);
            if (!unknown || std::chrono::steady_clock::now() > until) {
                return done;
            }
        }
    }
    // A scripted node that has all that is asked for at the start, no events, and a batch append of
    // the test's.
    void add_follower(handler batch_append) {
        namespace streams = ::event_store::client::streams;
        add_server_features(methods_);
        methods_.add("kurrentdb.protocol.v2.streams.StreamsService", "AppendSession",
                     {.serve = [](call&) -> awaitable<rpc_status> { co_return rpc_status{}; },
                      .access = access_rule::everybody()});
        methods_.add("event_store.client.streams.Streams", "Read",
                     {.serve = [](call& asked) -> awaitable<rpc_status> {
                          (void)co_await asked.read();
                          streams::ReadResp none;
                          none.mutable_stream_not_found();
                          (void)co_await send(asked, none);
                          co_return rpc_status{};
                      },
                      .access = access_rule::everybody()});
        methods_.add("event_store.client.streams.Streams", "BatchAppend",
                     {.serve = std::move(batch_append),
                      .access = access_rule::everybody(),
                      .receives = intake::open_ended,
                      .lasting = duration::lasts});
        start();
    }
    awaitable<rpc_status> say_who_leads(call& asked) {
        ++asked_;
        (void)co_await asked.read();
        rpc_status status{grpc::StatusCode::NOT_FOUND, "Leader info available"};
        status.trailers.emplace_back("exception", "not-leader");
        status.trailers.emplace_back("leader-endpoint-host", "127.0.0.1");
        status.trailers.emplace_back("leader-endpoint-port", std::to_string(leader_port_));
        co_return status;
    }
    awaitable<rpc_status> say_nothing(call& asked) {
        while (co_await asked.read()) {
            ++asked_;
        }
        co_return rpc_status{};
    }
    // A scripted node of a cluster: tells where the members are, and that it is not the leader.
    void add_gossip() {
        methods_.add("event_store.client.gossip.Gossip", "Read",
                     {.serve = unary<::event_store::client::Empty, gossip::ClusterInfo>(
                          [this](call&, ::event_store::client::Empty) { return tell_members(); }),
                      .access = access_rule::everybody()});
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

// Many appends under way on one call while the server goes away: whoever insists has each of its
// events once, in its order.
TEST_F(remote_peer, appends_under_way_survive_restarts) {
    auto server = std::make_unique<node>(engine_, *memory_);
    const std::uint16_t port = server->port();
    connect("esdb://127.0.0.1:" + std::to_string(port) + "?tls=false");
    constexpr std::uint8_t writers = 48;
    constexpr std::uint8_t events = 20;
    std::atomic<int> acknowledged{0};
    std::vector<std::thread> threads;
    for (std::uint8_t w = 0; w < writers; ++w) {
        threads.emplace_back([&, w] {
            for (std::uint8_t i = 1; i <= events; ++i) {
                const auto done = insist(i, w);
                ASSERT_TRUE(done) << done.error().message;
                EXPECT_EQ(done->last_revisions.at(0), base::revision{i - 1u});
                ++acknowledged;
            }
        });
    }
    for (const int so_far : {100, 400, 700}) {
        EXPECT_TRUE(base::comes_true([&] { return acknowledged >= so_far; }));
        server.reset();
        server = std::make_unique<node>(engine_, *memory_, port);
    }
    for (std::thread& each : threads) {
        each.join();
    }
    for (std::uint8_t w = 0; w < writers; ++w) {
        const auto page = engine_.run(memory_->read_stream("s-" + std::to_string(w), {0},
                                                           eventstore::direction::forwards, 100));
        ASSERT_TRUE(page);
        ASSERT_EQ(page->events.size(), events);
        for (std::size_t i = 0; i < events; ++i) {
            EXPECT_EQ(page->events[i].id.bytes[0], i + 1);
        }
    }
    store_.reset();
}

// A node that is not the leader any more says who is.
TEST_F(remote_peer, appends_follow_the_leader) {
    const node leader(engine_, *memory_);
    leader_port_ = leader.port();
    add_follower([this](call& asked) { return say_who_leads(asked); });
    connect("esdb://127.0.0.1:" + std::to_string(server_->port()) + "?tls=false");
    EXPECT_EQ(asked_, 1);
    EXPECT_TRUE(insist(1));
    EXPECT_EQ(asked_, 1);
    store_.reset();
}

TEST_F(remote_peer, a_server_that_does_not_answer_is_given_up) {
    add_follower([this](call& asked) { return say_nothing(asked); });
    const auto opened = open("esdb://127.0.0.1:" + std::to_string(server_->port()) + "?tls=false",
                             milliseconds(50));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, base::errc::unavailable) << opened.error().message;
    EXPECT_GT(asked_, 1);
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
