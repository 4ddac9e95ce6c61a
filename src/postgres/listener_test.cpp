#include "postgres/test_support.hpp"

namespace immortal::postgres {

using base::errc;

namespace {

class listener_test : public postgres_test {
protected:
    auto next() { return engine_.run(listener_->next()); }

    std::unique_ptr<listener> listener_ =
        make_listener(engine_.executor(), defaults(), "Weird \"channel\"");
};

TEST_F(listener_test, gives_payloads_in_order) {
    EXPECT_EQ(next().value(), std::nullopt); // listening from now on
    scratch_.execute("SELECT pg_notify('Weird \"channel\"', n::text) FROM generate_series(1, 3) n");
    EXPECT_EQ(next().value(), "1");
    EXPECT_EQ(next().value(), "2");
    scratch_.execute("SELECT pg_notify('other', 'x'), pg_notify('Weird \"channel\"', '')");
    EXPECT_EQ(next().value(), "3");
    EXPECT_EQ(next().value(), "");
}

TEST_F(listener_test, says_when_something_may_have_been_missed) {
    EXPECT_EQ(next().value(), std::nullopt);
    kill_sessions();
    EXPECT_EQ(next().value(), std::nullopt);
    scratch_.execute("SELECT pg_notify('Weird \"channel\"', 'again')");
    EXPECT_EQ(next().value(), "again");
}

TEST_F(listener_test, cancel_ends_a_waiting_call) {
    EXPECT_EQ(next().value(), std::nullopt);
    auto waiting =
        boost::asio::co_spawn(engine_.executor(), listener_->next(), boost::asio::use_future);
    listener_->cancel();
    EXPECT_EQ(waiting.get().error().code, errc::cancelled);
    EXPECT_EQ(next().error().code, errc::cancelled);
}

} // namespace
} // namespace immortal::postgres
