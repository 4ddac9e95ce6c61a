// What the module's tests share: an engine, a scratch database and a driver on it.
#pragma once

#include "postgres/database.hpp"
#include "postgres/scratch_database.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

namespace immortal::postgres {

class postgres_test : public testing::Test {
protected:
    postgres_test() { engine_.start(); }
    ~postgres_test() override {
        if (db_) {
            engine_.run(db_->stop());
        }
    }

    [[nodiscard]] settings defaults() const {
        settings out;
        out.uri = scratch_.uri();
        out.connect_timeout = milliseconds(20000); // a loaded machine is slow, not wrong
        out.statement_timeout = milliseconds(30000);
        out.waiting_timeout = milliseconds(30000);
        return out;
    }
    void open() { open(defaults()); }
    void open(settings options) {
        db_ = make_database(engine_.executor(), std::move(options), metrics_);
    }

    base::result<rows> run(query q) { return engine_.run(db_->run(std::move(q))); }
    base::result<std::vector<rows>> run_all(std::vector<query> q) {
        return engine_.run(db_->run_all(std::move(q)));
    }
    std::unique_ptr<transaction> begin() { return std::move(*engine_.run(db_->begin())); }
    std::int64_t number(query q) { return run(std::move(q)).value().get<std::int64_t>(0, 0); }

    // Ends every session of the driver; true when they are gone.
    void kill_sessions() {
        scratch_.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                         "datname = current_database() AND pid <> pg_backend_pid()");
        while (scratch_.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                "current_database() AND pid <> pg_backend_pid()") != "0") {
        }
    }
    // Waits until a session runs a statement like `pattern`.
    void await_statement(const std::string& pattern) {
        while (scratch_.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = "
                                "current_database() AND pid <> pg_backend_pid() AND state = "
                                "'active' AND query LIKE '" +
                                pattern + "'") == "0") {
        }
    }

    runtime::engine engine_;
    base::metrics metrics_;
    scratch_database scratch_;
    std::unique_ptr<database> db_;
};

} // namespace immortal::postgres
