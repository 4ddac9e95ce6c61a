#include "base/clock.hpp"
#include "base/random.hpp"
#include "esdb/access_control.hpp"
#include "esdb/access_rule.hpp"
#include "esdb/failing_store.hpp"
#include "eventstore/memory_store.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

namespace immortal::esdb {
namespace {

namespace asio = boost::asio;

// Answers at once, as a store in memory does, and counts.
class counting_authorizer final : public authorizer {
public:
    awaitable<base::result<principal>> authenticate(call_headers /*headers*/) override {
        co_return principal{};
    }
    awaitable<base::status> may_access(principal /*who*/, stream_right /*right*/,
                                       std::string stream) override {
        ++streams;
        co_return stream == "secret" ? base::fail(base::errc::forbidden, "Access Denied")
                                     : base::status{};
    }
    awaitable<base::status> may_operate(principal /*who*/, operation /*what*/) override {
        co_return base::status{};
    }
    std::size_t streams = 0;
};

TEST(access_rule, a_request_of_many_streams_lets_the_others_have_their_turn) {
    counting_authorizer rules;
    stream_needs needs;
    for (int i = 0; i < 1'000; ++i) {
        needs.push_back({"s-" + std::to_string(i), stream_right::read});
    }
    needs.push_back({"secret", stream_right::read});
    needs.push_back({"never asked for", stream_right::read});
    asio::io_context context;
    std::string refused;
    asio::co_spawn(context, has_rights(rules, {}, needs),
                   [&](const std::exception_ptr& failure, const base::status& allowed) {
                       EXPECT_EQ(failure, nullptr);
                       refused = allowed ? "" : allowed.error().field;
                   });
    std::size_t streams_before_other = 0;
    asio::post(context, [&] { streams_before_other = rules.streams; });
    context.run();
    EXPECT_LE(streams_before_other, 16u);
    EXPECT_EQ(rules.streams, 1'001u);
    EXPECT_EQ(refused, "secret");
}

TEST(access_rule, the_default_lists_are_read_once_a_request) {
    base::system_clock clock;
    base::system_random random;
    const auto inner = eventstore::make_memory_store(clock);
    failing_store store(*inner);
    asio::io_context context;
    accounts::password_hasher hasher(
        {.memory_bytes = 8192 << 10, .passes = 1, .at_once = 1, .queue_max = 1});
    user_directory users(store, hasher, clock, random, context.get_executor());
    const auto rules = make_access_control(users, store, {});
    stream_needs needs;
    for (int i = 0; i < 100; ++i) {
        needs.push_back({"s-" + std::to_string(i), stream_right::read});
    }
    store.fail(102); // 100 streams, and the lists
    asio::co_spawn(context, has_rights(*rules, {"u", {}}, needs),
                   [](const std::exception_ptr& failure, const base::status& allowed) {
                       EXPECT_EQ(failure, nullptr);
                       EXPECT_TRUE(allowed);
                   });
    context.run();
    EXPECT_FALSE(store.failed());
    hasher.stop();
}

} // namespace
} // namespace immortal::esdb
