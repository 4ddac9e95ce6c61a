// What the acceptor of the protocol's port does when it may not, or cannot, accept.
#include "base/descriptors_testing.hpp"
#include "esdb/connection_acceptor.hpp"
#include "esdb/raw_client_testing.hpp"
#include "esdb/server_features.hpp"
#include "esdb/server_fixture.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/server_features.grpc.pb.h"

#include <atomic>
#include <fcntl.h>
#include <mutex>
#include <set>
#include <sys/resource.h>
#include <thread>

namespace immortal::esdb {
namespace {

namespace client = ::event_store::client;
using client::server_features::ServerFeatures;

// All descriptors of this process but a few, while it lives; the limit is lowered so that they are
// not many.
class descriptor_flood {
public:
    descriptor_flood() {
        EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
        rlimit lowered = before_;
        const int lowest_free = open_one();
        lowered.rlim_cur = static_cast<rlim_t>(lowest_free) + 64;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &lowered), 0);
        while (open_one() >= 0) {
        }
        EXPECT_EQ(errno, EMFILE);
    }
    ~descriptor_flood() {
        while (!held_.empty()) {
            release_one();
        }
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0);
    }
    descriptor_flood(const descriptor_flood&) = delete;
    descriptor_flood& operator=(const descriptor_flood&) = delete;

    void release_one() {
        close(held_.back());
        held_.pop_back();
    }

private:
    int open_one() {
        const int made = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (made >= 0) {
            held_.push_back(made);
        }
        return made;
    }

    rlimit before_{};
    std::vector<int> held_;
};

class connection_acceptor_test : public server_fixture {
protected:
    // With a hook that counts how often it is asked, and answers `allowed_`.
    void start_counting() {
        add_server_features(methods_);
        auto settings = test_settings();
        settings.may_accept = [this] {
            ++asked_;
            return allowed_.load();
        };
        start(settings);
    }
    // Until the acceptor has looked at a waiting connection and come back to it.
    void await_attempts(int count) {
        const auto until = std::chrono::steady_clock::now() + patience;
        for (const int before = asked_; asked_ < before + count;) {
            ASSERT_LT(std::chrono::steady_clock::now(), until) << "nobody accepts";
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    [[nodiscard]] bool is_served(const std::string& address) {
        const auto stub = ServerFeatures::NewStub(make_channel(address));
        client::server_features::SupportedMethods answer;
        return stub->GetSupportedMethods(make_context().get(), {}, &answer).ok();
    }

    awaitable<rpc_status> note_source(call& asked) {
        {
            const std::lock_guard lock(mutex_);
            sources_.insert(address_of_peer(asked.headers().peer));
        }
        (void)co_await send(asked, client::server_features::SupportedMethods{});
        co_return rpc_status{};
    }

    std::mutex mutex_;
    std::set<std::string> sources_; // of calls
    std::atomic<int> asked_{0};
    std::atomic<bool> allowed_{true};
};

TEST_F(connection_acceptor_test, goes_on_after_there_was_no_descriptor) {
    SKIP_WHERE_CHECKS_NEED_DESCRIPTORS();
    start_counting();
    std::unique_ptr<raw_client> waiting;
    {
        descriptor_flood flood;
        flood.release_one(); // the client takes it
        waiting = std::make_unique<raw_client>(server_->port());
        ASSERT_NO_FATAL_FAILURE(await_attempts(3));
    }
    waiting->begin("/nobody/serves", 0);
    EXPECT_TRUE(waiting->run(patience)) << "the connection that waited is not answered";
    EXPECT_TRUE(is_served("127.0.0.1"));
    EXPECT_TRUE(is_served("[::1]"));
}

TEST_F(connection_acceptor_test, a_connection_waits_until_it_may_be_accepted) {
    start_counting();
    allowed_ = false;
    raw_client waiting(server_->port());
    waiting.begin("/nobody/serves", 0);
    await_attempts(3);
    EXPECT_TRUE(waiting.turn());
    EXPECT_EQ(waiting.open_calls(), 1u);
    allowed_ = true;
    EXPECT_TRUE(waiting.run(patience));
}

TEST_F(connection_acceptor_test, a_call_knows_the_address_it_comes_from) {
    methods_.add(ServerFeatures::service_full_name(), "GetSupportedMethods",
                 {.serve = [this](call& asked) { return note_source(asked); },
                  .access = access_rule::everybody()});
    start();
    EXPECT_TRUE(is_served("127.0.0.1"));
    EXPECT_TRUE(is_served("[::1]"));
    const std::lock_guard lock(mutex_);
    EXPECT_EQ(sources_, (std::set<std::string>{"ipv4:127.0.0.1", "ipv6:::"}));
}

TEST_F(connection_acceptor_test, a_stop_ends_it_while_connections_wait) {
    start_counting();
    allowed_ = false;
    raw_client waiting(server_->port());
    await_attempts(1);
    const auto port = server_->port();
    server_->stop(std::chrono::milliseconds(0));
    const auto free_again = check_listening({"127.0.0.1", "::1"}, port);
    EXPECT_TRUE(free_again) << free_again.error().message;
}

TEST_F(connection_acceptor_test, no_descriptor_at_the_start_is_a_sentence) {
    SKIP_WHERE_CHECKS_NEED_DESCRIPTORS();
    server refused(engine_, test_settings(), methods_, *rules_);
    const descriptor_flood flood;
    const auto started = refused.start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, base::errc::unavailable);
    EXPECT_NE(started.error().message.find("open files"), std::string::npos)
        << started.error().message;
}

} // namespace
} // namespace immortal::esdb
