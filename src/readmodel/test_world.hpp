// For tests: an empty read model beside a log in memory.
#pragma once

#include "eventstore/memory_store.hpp"
#include "game/catalog.hpp"
#include "postgres/scratch_database.hpp"
#include "readmodel/check.hpp"
#include "readmodel/migrations.hpp"
#include "readmodel/projector.hpp"
#include "readmodel/rebuild.hpp"
#include "readmodel/test_story.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace immortal::readmodel::testing {

using namespace std::chrono_literals;

inline const base::utc_time first_day = *base::parse_iso("2026-01-30T10:00:00.000Z");

inline bool eventually(const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > give_up) {
            return false;
        }
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

class world : public ::testing::Test {
protected:
    world() {
        engine_.start();
        db_ = open_database();
        const auto migrated = engine_.run(postgres::migrate(*db_, migrations()));
        EXPECT_TRUE(migrated) << (migrated ? "" : migrated.error().message);
    }
    ~world() override {
        stop();
        engine_.run(db_->stop());
    }

    std::unique_ptr<postgres::database> open_database() {
        postgres::settings s;
        s.uri = scratch_.uri();
        s.connect_timeout = 20s;
        s.statement_timeout = 30s;
        s.waiting_timeout = 30s;
        return postgres::make_database(engine_.executor(), s, metrics_);
    }

    projector::parts parts() {
        return {*db_, *store_, game::catalog::builtin(), applied_, nullptr, clock_, metrics_};
    }
    static projector_settings quick(std::string name = "one") {
        projector_settings s;
        s.name = std::move(name);
        s.policy = lease_policy::take_over;
        s.retry_min = 1ms;
        s.retry_max = 20ms;
        return s;
    }

    base::status start(projector_settings settings = quick(), step_hook hook = {}) {
        worker_ = std::make_unique<projector>(engine_.executor(), parts(), std::move(settings));
        worker_->set_step_hook(std::move(hook));
        return engine_.run(worker_->start());
    }
    void stop() {
        if (worker_) {
            engine_.run(worker_->stop());
            worker_.reset();
        }
    }
    void catch_up() {
        const auto head = store_->head();
        if (!head) {
            return;
        }
        const auto done = engine_.run(applied_.wait_everywhere(*head, 60s));
        ASSERT_TRUE(done) << (worker_ ? worker_->trouble() : "");
    }
    void project() {
        ASSERT_TRUE(start());
        catch_up();
        stop();
    }

    check_report check_all() {
        auto report =
            engine_.run(check({*db_, *store_, game::catalog::builtin(), nullptr}, {}, {}));
        EXPECT_TRUE(report) << (report ? "" : report.error().message);
        return report.value_or(check_report{});
    }
    void expect_clean() {
        const check_report report = check_all();
        EXPECT_EQ(report.differences, 0u) << base::encode_text(report);
    }
    // Everything derived, as text, in a stable order.
    std::string dump() {
        std::string out;
        for (const char* table : {"players", "player_techniques", "cultivation_records",
                                  "player_statistics_totals", "due_commands"}) {
            out += scratch_.execute(std::string("SELECT coalesce(string_agg(t::text, E'\\n' ORDER "
                                                "BY t::text), '') FROM ") +
                                    table + " t") +
                   "\n--\n";
        }
        return out;
    }
    std::string sql(const std::string& text) { return scratch_.execute(text); }

    runtime::engine engine_;
    base::metrics metrics_;
    base::manual_clock clock_{first_day};
    postgres::scratch_database scratch_;
    std::unique_ptr<postgres::database> db_;
    std::unique_ptr<eventstore::event_store> store_ = eventstore::make_memory_store(clock_);
    progress applied_;
    std::unique_ptr<projector> worker_;
    story story_{engine_, *store_, clock_, 7};
};

} // namespace immortal::readmodel::testing
