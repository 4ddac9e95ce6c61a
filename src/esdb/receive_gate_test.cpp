#include "esdb/receive_gate.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace immortal::esdb {
namespace {

class receive_gate_test : public testing::Test {
protected:
    receive_gate::visitor visitor_of(const std::string& caller) {
        receive_gate::visitor one;
        one.caller = caller;
        one.granted = [this, caller] { granted_.push_back(caller); };
        return one;
    }
    std::vector<std::string> granted_;
};

TEST_F(receive_gate_test, one_caller_leaves_places_to_others) {
    receive_gate gate(3, 2);
    auto a = visitor_of("a"), b = visitor_of("a"), c = visitor_of("a"), d = visitor_of("d");
    EXPECT_TRUE(gate.enter(a) && gate.enter(b));
    EXPECT_FALSE(gate.enter(c)) << "two at once";
    EXPECT_TRUE(gate.enter(d));
    gate.leave(a);
    EXPECT_EQ(granted_, std::vector<std::string>{"a"});
    for (const auto* one : {&b, &c, &d}) {
        gate.leave(*one);
    }
    EXPECT_TRUE(gate.enter(a)) << "all places are free again";
    gate.leave(a);
}

TEST_F(receive_gate_test, callers_take_turns) {
    receive_gate gate(1, 1);
    auto first = visitor_of("a"), a = visitor_of("a"), b = visitor_of("b"), c = visitor_of("c"),
         last = visitor_of("a");
    ASSERT_TRUE(gate.enter(first));
    for (auto* one : {&a, &last, &b, &c}) {
        EXPECT_FALSE(gate.enter(*one));
    }
    for (const auto* one : {&first, &a, &b, &c}) {
        gate.leave(*one);
    }
    EXPECT_EQ(granted_, (std::vector<std::string>{"a", "b", "c", "a"}));
    gate.leave(last);
}

TEST_F(receive_gate_test, who_withdraws_is_not_called) {
    receive_gate gate(1, 1);
    auto first = visitor_of("a"), second = visitor_of("b"), third = visitor_of("c");
    ASSERT_TRUE(gate.enter(first));
    ASSERT_FALSE(gate.enter(second) || gate.enter(third));
    EXPECT_TRUE(gate.withdraw(second));
    gate.leave(first);
    EXPECT_EQ(granted_, std::vector<std::string>{"c"});
    EXPECT_FALSE(gate.withdraw(third)) << "it is in already";
    gate.leave(third);
}

} // namespace
} // namespace immortal::esdb
