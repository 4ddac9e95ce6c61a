// What the module's tests share: a service on a scratch database, with small hashes and a clock
// that moves when told to.
#pragma once

#include "accounts/service.hpp"
#include "base/embedded_file.hpp"
#include "eventstore/memory_store.hpp"
#include "postgres/scratch_database.hpp"
#include "redis/client.hpp"
#include "redis/scratch_server.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

#include <span>

namespace immortal::accounts {

std::span<const base::embedded_file> sql_files();

// Empty for a value.
template <typename T>
std::optional<base::errc> code_of(const base::result<T>& from) {
    return from ? std::nullopt : std::optional(from.error().code);
}

class accounts_fixture : public testing::Test {
protected:
    static constexpr auto good = "moonlit-sword-peak";

    accounts_fixture() {
        engine_.start();
        for (const auto& file : sql_files()) {
            const auto number = static_cast<std::uint32_t>(migrations_.size() + 1);
            migrations_.push_back({number, file.name, file.text});
        }
        postgres_.uri = scratch_.uri();
        postgres_.connect_timeout = milliseconds(20000);
        database_ = postgres::make_database(engine_.executor(), postgres_, metrics_);
        const auto done = engine_.run(postgres::migrate(*database_, migrations_));
        EXPECT_TRUE(done) << done.error().message;
        options_.hash_memory_bytes = 8192 * 8;
        options_.hash_passes = 1;
    }
    ~accounts_fixture() override {
        stop();
        engine_.run(database_->stop());
    }

    void open() { service_ = make_service(); }
    std::unique_ptr<service> make_service(redis::client* redis = nullptr) {
        return std::make_unique<service>(parts{engine_.executor(), *database_, postgres_, redis,
                                               store_.get(), clock_, random_, metrics_},
                                         options_);
    }
    void stop() {
        if (service_) {
            engine_.run(service_->stop());
            service_.reset();
        }
    }

    base::result<registration> sign_up(std::string name, std::string key = {},
                                       std::string password = good) {
        const std::string email = "u" + std::to_string(std::hash<std::string>()(name)) + "@ex.org";
        return engine_.run(service_->register_user(std::move(name), email, std::move(password),
                                                   "10.0.0.1", std::move(key)));
    }
    base::result<opened_session> log_in(std::string name, std::string password = good,
                                        std::string source = "10.0.0.1") {
        return engine_.run(
            service_->log_in(std::move(name), std::move(password), std::move(source)));
    }
    base::result<principal> whose(const std::string& token) {
        return engine_.run(service_->authenticate(token));
    }
    principal signed_in(const std::string& name) {
        if (auto made = sign_up(name); !made) {
            ADD_FAILURE() << made.error().message;
        }
        return whose(log_in(name).value().token).value();
    }
    // Types of the events in `system-events`, and everything in them as one text.
    std::vector<std::string> audited() {
        std::vector<std::string> types;
        audit_text_.clear();
        const auto page = engine_.run(
            store_->read_stream("system-events", {0}, eventlog::direction::forwards, 1000));
        for (const auto& event : page.value().events) {
            types.push_back(event.type);
            audit_text_ += event.data + event.metadata;
        }
        return types;
    }

    runtime::engine engine_;
    base::metrics metrics_;
    base::system_random random_;
    base::manual_clock clock_{base::utc_time(std::chrono::hours(24 * 365 * 50))};
    postgres::scratch_database scratch_;
    postgres::settings postgres_;
    std::vector<postgres::migration> migrations_;
    std::unique_ptr<postgres::database> database_;
    std::unique_ptr<eventstore::event_store> store_ = eventstore::make_memory_store(clock_);
    settings options_;
    std::unique_ptr<service> service_;
    std::string audit_text_;
};

} // namespace immortal::accounts
