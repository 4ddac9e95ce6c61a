#include "ops/test_world.hpp"

namespace immortal::ops {
namespace {

using namespace testing;

awaitable<void> count(std::atomic<int>& rounds) {
    ++rounds;
    co_return;
}

awaitable<void> fail_twice(std::atomic<int>& rounds) {
    if (++rounds < 3) {
        throw std::runtime_error("planted");
    }
    co_return;
}

class periodic_job_test : public world {
protected:
    struct worker {
        std::atomic<int> rounds = 0;
        std::unique_ptr<periodic_job> job;
    };
    std::unique_ptr<worker> make(job_settings settings) {
        auto out = std::make_unique<worker>();
        worker* const w = out.get();
        out->job =
            std::make_unique<periodic_job>(engine_.executor(), *db_, metrics_, "test",
                                           std::move(settings), [w] { return count(w->rounds); });
        out->job->start();
        return out;
    }
    static job_settings polite(std::string owner) {
        job_settings s = quick(std::move(owner));
        s.first = readmodel::job_start::respect;
        return s;
    }
};

TEST_F(periodic_job_test, one_process_at_a_time_works) {
    auto first = make(polite("one"));
    ASSERT_TRUE(eventually([&] { return first->rounds > 0; }));
    auto second = make(polite("two"));
    const int seen = first->rounds;
    ASSERT_TRUE(eventually([&] { return first->rounds > seen + 20; }));
    EXPECT_EQ(second->rounds, 0);
    engine_.run(first->job->stop()); // it gives the lease back
    ASSERT_TRUE(eventually([&] { return second->rounds > 0; }));
    engine_.run(second->job->stop());
    EXPECT_EQ(sql("SELECT lease_epoch FROM job_leases WHERE job = 'test'"), "2");
}

TEST_F(periodic_job_test, the_lease_of_a_dead_process_expires_or_is_taken) {
    sql("INSERT INTO job_leases VALUES ('test', 'dead', 7, now() + interval '1 hour')");
    auto polite_one = make(polite("one"));
    auto bold_one = make(quick("two"));
    ASSERT_TRUE(eventually([&] { return bold_one->rounds > 0; }));
    EXPECT_EQ(polite_one->rounds, 0);
    engine_.run(bold_one->job->stop());
    ASSERT_TRUE(eventually([&] { return polite_one->rounds > 0; }));
    engine_.run(polite_one->job->stop());
}

TEST_F(periodic_job_test, a_round_that_throws_is_not_the_last) {
    std::atomic<int> rounds = 0;
    periodic_job job(engine_.executor(), *db_, metrics_, "test", quick(),
                     [&rounds] { return fail_twice(rounds); });
    job.start();
    EXPECT_TRUE(eventually([&] { return rounds > 3; }));
    engine_.run(job.stop());
}

TEST_F(periodic_job_test, goes_on_when_the_database_comes_back) {
    auto one = make(polite("one"));
    ASSERT_TRUE(eventually([&] { return one->rounds > 0; }));
    for (int i = 0; i < 3; ++i) {
        sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()");
        const int seen = one->rounds;
        ASSERT_TRUE(eventually([&] { return one->rounds > seen + 1; }));
    }
    engine_.run(one->job->stop());
}

} // namespace
} // namespace immortal::ops
