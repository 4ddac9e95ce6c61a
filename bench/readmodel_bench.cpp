// Benchmark of the read model's catch-up beside the limit of the machine, measured in the same run.
//
// usage: tests/with_services postgres -- readmodel_bench [EVENTS [PLAYERS]]
//
// Prints one JSON line per figure: {"name", "value", "unit", "limit", "target"}. The history is
// made by the game's rules (mostly sessions: about 4 events a command, over two streams). The limit
// is a plain insert of as many rows of 400 bytes by unnest, 1,024 a transaction.
#include "base/clock.hpp"
#include "base/log.hpp"
#include "bench/arguments.hpp"
#include "eventstore/memory_store.hpp"
#include "game/catalog.hpp"
#include "postgres/scratch_database.hpp"
#include "readmodel/check.hpp"
#include "readmodel/migrations.hpp"
#include "readmodel/projector.hpp"
#include "readmodel/test_story.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <iostream>

namespace {

using namespace immortal; // NOLINT: a program of one file
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

double seconds_since(steady::time_point began) {
    return std::chrono::duration<double>(steady::now() - began).count();
}

void print(const std::string& name, double value, const std::string& unit, double limit,
           const std::string& target) {
    std::cout << fmt::format(
                     R"({{"name":"{}","value":{:.4g},"unit":"{}","limit":{:.4g},"target":"{}"}})",
                     name, value, unit, limit, target)
              << std::endl;
}

// Plain rows a second: what PostgreSQL takes when nothing is computed.
double raw_rows(runtime::engine& engine, postgres::database& db, std::int64_t rows) {
    (void)engine.run(db.run({"CREATE TABLE raw (id bigint PRIMARY KEY, t text)"}));
    const auto began = steady::now();
    for (std::int64_t at = 0; at < rows; at += 1024) {
        std::vector<std::int64_t> ids;
        std::vector<std::string> texts;
        for (std::int64_t i = at; i < std::min(rows, at + 1024); ++i) {
            ids.push_back(i);
            texts.emplace_back(400, 'x');
        }
        postgres::query q{"INSERT INTO raw SELECT * FROM unnest($1::bigint[], $2::text[])"};
        q.values.add_array(ids).add_array(texts);
        (void)engine.run(db.run(std::move(q)));
    }
    return static_cast<double>(rows) / seconds_since(began);
}

std::uint64_t count_events(runtime::engine& engine, eventstore::event_store& store) {
    std::uint64_t count = 0;
    base::position from;
    for (bool end = false; !end;) {
        const auto page = engine.run(store.read_all(from, eventlog::direction::forwards, 4096));
        count += page->events.size();
        from = page->next;
        end = page->end;
    }
    return count;
}

} // namespace

int main(int argc, char** argv) {
    std::uint32_t wanted = 300'000;
    std::uint32_t players = 2'000;
    bench::arguments("readmodel_bench", "The read model's catch-up, on the PostgreSQL of "
                                        "IMMORTAL_TEST_POSTGRES (tests/with_services postgres --).")
        .word("EVENTS", wanted, "Of the history, about")
        .word("PLAYERS", players, "Of the history")
        .read(argc, argv);
    base::configure_log(base::log_level::warning, base::log_format::text);
    runtime::engine engine;
    engine.start();
    base::metrics metrics;
    base::system_clock clock;
    base::manual_clock game_clock(*base::parse_iso("2026-01-30T10:00:00.000Z"));
    postgres::scratch_database scratch;
    postgres::settings settings;
    settings.uri = scratch.uri();
    auto db = postgres::make_database(engine.executor(), settings, metrics);
    if (const auto done = engine.run(postgres::migrate(*db, readmodel::migrations())); !done) {
        std::cerr << done.error().message << '\n';
        return 1;
    }
    auto store = eventstore::make_memory_store(game_clock);
    readmodel::testing::story story(engine, *store, game_clock, 7);
    for (std::uint32_t i = 0; i < players; ++i) {
        story.create_player("player" + std::to_string(i));
    }
    story.set_pace(60'000); // a month or so in all
    story.act(static_cast<int>(wanted / 4), readmodel::testing::new_players::no);
    const auto events = static_cast<double>(count_events(engine, *store));
    const double limit = raw_rows(engine, *db, 100'000);

    readmodel::progress applied;
    readmodel::projector_settings how;
    how.name = "bench";
    how.policy = readmodel::lease_policy::take_over;
    readmodel::projector worker(
        engine.executor(),
        {*db, *store, game::catalog::builtin(), applied, nullptr, clock, metrics}, how);
    const auto began = steady::now();
    if (const auto started = engine.run(worker.start()); !started) {
        std::cerr << started.error().message << '\n';
        return 1;
    }
    (void)engine.run(applied.wait_everywhere(*store->head(), 600s));
    print(fmt::format("read model catch-up ({} events, {} players)", events, players),
          events / seconds_since(began), "events/s", limit, ">= 40000");
    engine.run(worker.stop());
    const auto report =
        engine.run(readmodel::check({*db, *store, game::catalog::builtin(), nullptr}));
    if (!report || report->differences > 0) {
        std::cerr << "the rows do not equal the fold of the log\n";
        return 1;
    }
    engine.run(db->stop());
    return 0;
}
