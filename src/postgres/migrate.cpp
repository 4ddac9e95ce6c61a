#include "base/hash.hpp"
#include "base/log.hpp"
#include "postgres/database.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace immortal::postgres {

using base::errc;
using base::fail;

namespace {

constexpr milliseconds timeout{std::chrono::minutes(10)};

struct applied {
    std::string name;
    std::string digest;
};

std::string digest_of(const migration& m) {
    return base::hex(base::sha256(m.text));
}

query patient(query q) {
    q.timeout = timeout;
    return q;
}

base::status check_numbers(std::span<const migration> migrations) {
    for (std::size_t i = 0; i < migrations.size(); ++i) {
        if (migrations[i].number == 0 ||
            (i > 0 && migrations[i].number <= migrations[i - 1].number)) {
            return fail(errc::invalid_argument,
                        fmt::format("migration {} is out of order", migrations[i].name));
        }
    }
    return {};
}

// What was applied must stand here, unchanged, and before everything that was not.
base::status compare(const std::map<std::uint32_t, applied>& done,
                     std::span<const migration> migrations) {
    for (const auto& [number, row] : done) {
        const auto here = std::ranges::find(migrations, number, &migration::number);
        if (here == migrations.end()) {
            return fail(errc::mismatch,
                        fmt::format("the database was migrated by {}, which this program does not "
                                    "know; start the version that wrote it, or a newer one",
                                    row.name));
        }
        if (row.name != here->name || row.digest != digest_of(*here)) {
            return fail(errc::mismatch,
                        fmt::format("migration {} has changed since it was applied; restore its "
                                    "text and put the change into a new migration",
                                    here->name));
        }
    }
    for (const auto& m : migrations) {
        if (!done.contains(m.number) && !done.empty() && m.number < done.rbegin()->first) {
            return fail(errc::mismatch,
                        fmt::format("migration {} is missing in the database although later ones "
                                    "were applied",
                                    m.name));
        }
    }
    return {};
}

// Waits for its turn among processes, within the transaction.
awaitable<base::result<std::map<std::uint32_t, applied>>> lock_and_read(transaction& block) {
    std::vector<query> list;
    list.push_back(patient({"SET LOCAL statement_timeout = '10min'"}));
    list.push_back({"SET LOCAL client_min_messages = warning"});
    list.push_back({"SELECT pg_advisory_xact_lock(4842196172035311)"});
    list.push_back({"CREATE TABLE IF NOT EXISTS schema_migrations ("
                    " number integer PRIMARY KEY, name text NOT NULL, digest text NOT NULL,"
                    " applied_at timestamptz NOT NULL)"});
    list.push_back({"SELECT number, name, digest FROM schema_migrations"});
    auto got = co_await block.run_all(std::move(list));
    if (!got) {
        co_return fail(got.error());
    }
    const rows& table = got->back();
    std::map<std::uint32_t, applied> done;
    for (std::size_t i = 0; i < table.size(); ++i) {
        done[static_cast<std::uint32_t>(table.get<std::int32_t>(i, 0))] = {
            table.get<std::string>(i, 1), table.get<std::string>(i, 2)};
    }
    co_return done;
}

// The text of a migration is a value of the statement that executes it, so that SQL made at run
// time has no other way into this driver.
awaitable<base::status> apply(transaction& block, const migration& m) {
    std::vector<query> list;
    list.push_back(
        patient({"CREATE OR REPLACE FUNCTION pg_temp.apply_migration(statements text)"
                 " RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE statements;"
                 " EXCEPTION WHEN OTHERS THEN RAISE EXCEPTION '% (SQLSTATE %)', SQLERRM, SQLSTATE"
                 " USING ERRCODE = CASE WHEN SQLSTATE IN ('42501', '3F000') THEN SQLSTATE"
                 " ELSE 'P0001' END; END $$"}));
    list.push_back({"SELECT pg_temp.apply_migration($1)", arguments().add(m.text)});
    list.push_back({"INSERT INTO schema_migrations (number, name, digest, applied_at)"
                    " VALUES ($1, $2, $3, now())",
                    arguments().add(m.number).add(m.name).add(digest_of(m))});
    auto done = co_await block.run_all(std::move(list));
    if (!done && (done.error().code == errc::unavailable || done.error().code == errc::cancelled)) {
        co_return fail(done.error());
    }
    if (!done) { // the driver has logged the server's text
        co_return fail(errc::internal,
                       fmt::format("migration {} failed; the log says why", m.name));
    }
    co_return base::status{};
}

// One transaction: checks everything and applies the first that is missing. False: none was.
awaitable<base::result<bool>> step(database& target, std::span<const migration> migrations) {
    auto block = co_await target.begin();
    if (!block) {
        co_return fail(block.error());
    }
    const auto done = co_await lock_and_read(**block);
    if (!done) {
        co_return fail(done.error());
    }
    if (auto same = compare(*done, migrations); !same) {
        co_return fail(same.error());
    }
    const auto next = std::ranges::find_if(
        migrations, [&](const migration& m) { return !done->contains(m.number); });
    if (next == migrations.end()) {
        co_return false;
    }
    if (auto ran = co_await apply(**block, *next); !ran) {
        co_return fail(ran.error());
    }
    if (auto committed = co_await (*block)->commit(); !committed) {
        co_return fail(committed.error());
    }
    base::log_info("postgres", "migrated", {{"file", next->name}});
    co_return true;
}

} // namespace

awaitable<base::status> migrate(database& target, std::span<const migration> migrations) {
    if (auto ordered = check_numbers(migrations); !ordered) {
        co_return ordered;
    }
    for (;;) {
        auto more = co_await step(target, migrations);
        if (!more) {
            co_return fail(more.error());
        }
        if (!*more) {
            co_return base::status{};
        }
    }
}

} // namespace immortal::postgres
