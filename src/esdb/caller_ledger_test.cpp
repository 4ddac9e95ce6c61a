#include "esdb/caller_ledger.hpp"

#include <gtest/gtest.h>

namespace immortal::esdb {
namespace {

using entries = std::vector<std::unique_ptr<caller_ledger::entry>>;

// Opens calls until one is refused.
std::size_t fill(caller_ledger& ledger, entries& open, const std::string& address,
                 const std::string& login, call_kind kind) {
    for (std::size_t count = 0;; ++count) {
        auto one = ledger.open(address, kind);
        if (!one || !one->identify(login)) {
            return count;
        }
        open.push_back(std::move(one));
    }
}

TEST(caller_ledger, every_kind_leaves_a_reserve_to_the_others) {
    caller_ledger ledger(caller_limits::undivided(80, 1000));
    entries open;
    EXPECT_EQ(fill(ledger, open, "a", "u", call_kind::lasting), 60u);
    EXPECT_EQ(fill(ledger, open, "a", "u", call_kind::append), 10u);
    EXPECT_EQ(fill(ledger, open, "a", "u", call_kind::short_call), 10u);
    EXPECT_EQ(ledger.calls(), 80u);
    open.clear();
    EXPECT_EQ(fill(ledger, open, "a", "u", call_kind::append), 70u);
    EXPECT_EQ(fill(ledger, open, "a", "u", call_kind::lasting), 0u);
    EXPECT_EQ(fill(ledger, open, "a", "u", call_kind::short_call), 10u);
    open.clear();
    EXPECT_EQ(ledger.calls(), 0u);
}

TEST(caller_ledger, one_login_and_one_address_leave_room_to_others) {
    caller_ledger ledger(caller_limits::divided(160, 1600));
    entries open;
    EXPECT_EQ(fill(ledger, open, "a", "u", call_kind::short_call), 70u);
    EXPECT_EQ(fill(ledger, open, "b", "u", call_kind::short_call), 0u) << "the login is full";
    EXPECT_EQ(fill(ledger, open, "a", "v", call_kind::short_call), 0u) << "the address is full";
    EXPECT_EQ(fill(ledger, open, "b", "v", call_kind::short_call), 70u);
    open.clear();
    EXPECT_EQ(fill(ledger, open, "a", "", call_kind::short_call), 9u) << "a sixteenth";
}

TEST(caller_ledger, a_read_that_goes_on_is_counted_as_lasting) {
    caller_ledger ledger(caller_limits::undivided(8, 1000));
    entries open;
    ASSERT_EQ(fill(ledger, open, "a", "u", call_kind::lasting), 6u);
    auto read = ledger.open("a", call_kind::short_call);
    ASSERT_TRUE(read && read->identify("u"));
    EXPECT_FALSE(read->turn(call_kind::lasting));
    open.pop_back();
    EXPECT_TRUE(read->turn(call_kind::lasting));
    EXPECT_FALSE(ledger.open("a", call_kind::lasting));
}

TEST(caller_ledger, bytes_are_charged_to_login_address_and_whole) {
    caller_ledger ledger(caller_limits::divided(100, 1600));
    auto first = ledger.open("a", call_kind::append);
    auto second = ledger.open("b", call_kind::append);
    auto third = ledger.open("b", call_kind::append);
    ASSERT_TRUE(first->identify("u") && second->identify("u") && third->identify(""));
    const auto charge = first->make_charge();
    EXPECT_FALSE(charge->grow(801));
    EXPECT_TRUE(charge->grow(800));
    EXPECT_FALSE(second->make_charge()->grow(1)) << "the login has no more";
    EXPECT_FALSE(third->make_charge()->grow(101)) << "without a login a sixteenth";
    EXPECT_TRUE(third->make_charge()->grow(100));
    EXPECT_EQ(ledger.bytes_left(), 800u);
}

TEST(caller_ledger, answers_of_calls_that_last_have_accounts_of_their_own) {
    constexpr std::size_t mebibyte = 1u << 20;
    caller_ledger ledger(caller_limits::divided(100, 256 * mebibyte));
    auto read = ledger.open("a", call_kind::short_call);
    auto still = ledger.open("a", call_kind::lasting);
    auto other = ledger.open("a", call_kind::lasting);
    ASSERT_TRUE(read->identify("u") && still->identify("u") && other->identify("u"));
    const auto held = still->make_answer_charge();
    ASSERT_TRUE(held->grow(64 * mebibyte));
    EXPECT_TRUE(read->make_answer_charge()->grow(128 * mebibyte));
    EXPECT_FALSE(held->is_wanted());
    const auto waiting = other->make_answer_charge();
    EXPECT_FALSE(waiting->grow_or_wait(1));
    EXPECT_TRUE(held->is_wanted());
    held->give_back();
    EXPECT_TRUE(waiting->grow_or_wait(1));
    ASSERT_TRUE(held->grow(1));
    EXPECT_FALSE(held->is_wanted()) << "nobody waits any more";
}

TEST(caller_ledger, bytes_stay_charged_until_the_last_holder_lets_go) {
    caller_ledger ledger(caller_limits::divided(100, 1600));
    std::shared_ptr<const void> kept; // by the log
    {
        auto call = ledger.open("a", call_kind::append);
        ASSERT_TRUE(call->identify("u"));
        auto charge = call->make_charge();
        ASSERT_TRUE(charge->grow(800));
        kept = charge;
    }
    auto back = ledger.open("b", call_kind::append);
    ASSERT_TRUE(back->identify("u"));
    EXPECT_FALSE(back->make_charge()->grow(1)) << "coming back gives no new account";
    EXPECT_EQ(ledger.bytes_left(), 800u);
    kept.reset();
    EXPECT_TRUE(back->make_charge()->grow(800));
}

TEST(caller_ledger, a_charge_outlives_the_ledger) {
    shared_charge charge;
    {
        caller_ledger ledger(caller_limits::undivided(8, 1000));
        auto call = ledger.open("a", call_kind::append);
        ASSERT_TRUE(call->identify("u"));
        charge = call->make_charge();
        ASSERT_TRUE(charge->grow(10));
    }
    charge.reset();
}

TEST(caller_ledger, an_address_is_an_ipv4_one_or_a_network) {
    EXPECT_EQ(address_of_peer("ipv4:127.0.0.1:40000"), "ipv4:127.0.0.1");
    EXPECT_EQ(address_of_peer("ipv6:%5B::1%5D:40000"), "ipv6:::");
    EXPECT_EQ(address_of_peer("ipv6:[2001:db8:1:2:3:4:5:6]:7"), "ipv6:2001:db8:1:2::");
    EXPECT_EQ(address_of_peer("ipv6:%5B2001:db8:1:2::9%5D:7"), "ipv6:2001:db8:1:2::");
    EXPECT_EQ(address_of_peer("unix:"), "unix");
}

} // namespace
} // namespace immortal::esdb
