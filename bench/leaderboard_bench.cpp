// Ranks among a million players on a Redis of its own.
//
// usage: leaderboard_bench [--players N]
#include "base/log.hpp"
#include "bench/arguments.hpp"
#include "bench/figure.hpp"
#include "cache/leaderboard.hpp"
#include "cache/redis_process.hpp"
#include "runtime/engine.hpp"

#include <cstdlib>
#include <memory>
#include <string_view>

namespace {

using namespace immortal; // NOLINT: a program of one file
using bench::latencies;
using bench::print_figure;
using bench::seconds_since;
using bench::steady;
using boost::asio::awaitable;

constexpr int questions = 20'000;
constexpr std::size_t page_rows = 5'000;

void demand(const base::status& outcome) {
    if (!outcome) {
        std::cerr << outcome.error().message << "\n";
        std::exit(1);
    }
}

struct players {
    std::uint64_t count = 1'000'000;
    [[nodiscard]] static base::uuid id(std::uint64_t n) {
        return base::uuid::make_derived("bench", std::to_string(n));
    }
    // One score in ten is shared, so ties occur.
    [[nodiscard]] static cache::score_change change(std::uint64_t n, std::uint64_t position) {
        return {id(n), static_cast<std::int64_t>(n * 2654435761u % 100'000), {position}};
    }
};

awaitable<base::result<std::vector<cache::score_change>>>
next_rows(std::shared_ptr<std::uint64_t> at, std::uint64_t count) {
    std::vector<cache::score_change> rows;
    while (rows.size() < page_rows && *at < count) {
        rows.push_back(players::change(*at, *at + 1));
        ++*at;
    }
    co_return rows;
}

awaitable<base::result<cache::leaderboard::snapshot>> open_rows(std::uint64_t count) {
    auto at = std::make_shared<std::uint64_t>(0);
    cache::leaderboard::snapshot out{{base::position{count}},
                                     [at, count] { return next_rows(at, count); }};
    co_return out;
}

awaitable<latencies> round_trips(redis::client* redis) {
    latencies took;
    for (int i = 0; i < questions; ++i) {
        const auto began = steady::now();
        redis::command ping{"PING"};
        static_cast<void>(co_await redis->run(std::move(ping)));
        took.add(steady::now() - began);
    }
    co_return took;
}

awaitable<latencies> ranks(cache::leaderboard* board, std::uint64_t count) {
    latencies took;
    std::uint64_t n = 1;
    for (int i = 0; i < questions; ++i) {
        n = (n * 6364136223846793005u + 1442695040888963407u);
        const base::uuid who = players::id((n >> 20) % count);
        const auto began = steady::now();
        const auto rank = co_await board->rank(who);
        took.add(steady::now() - began);
        if (!rank || !rank->row) {
            std::cerr << "a player has no rank\n";
            std::exit(1);
        }
    }
    co_return took;
}

awaitable<latencies> pages(cache::leaderboard* board) {
    latencies took;
    for (int i = 0; i < questions / 4; ++i) {
        const auto began = steady::now();
        static_cast<void>(co_await board->top(20, static_cast<std::uint64_t>(i % 500) * 20));
        took.add(steady::now() - began);
    }
    co_return took;
}

awaitable<double> updates(cache::leaderboard* board, std::uint64_t count) {
    std::uint64_t position = count;
    constexpr std::uint64_t batch = 500;
    constexpr std::uint64_t batches = 200;
    const auto began = steady::now();
    for (std::uint64_t i = 0; i < batches; ++i) {
        cache::score_batch changes{1, {position}, {position + batch}, {}};
        for (std::uint64_t k = 0; k < batch; ++k) {
            ++position;
            changes.changes.push_back(players::change(position * 7919 % count, position));
        }
        demand(co_await board->update(std::move(changes)));
    }
    co_return static_cast<double>(batch * batches) / seconds_since(began);
}

} // namespace

int main(int argc, char** argv) {
    base::configure_log(base::log_level::error, base::log_format::text);
    players all;
    bench::arguments("leaderboard_bench", "Ranks on a Redis of its own.")
        .option("--players", all.count, "On the leaderboard")
        .read(argc, argv);
    cache::testing::redis_process server;
    runtime::engine engine;
    engine.start();
    base::metrics metrics;
    base::system_random random;
    redis::settings settings;
    settings.uri = server.uri();
    settings.command_timeout = std::chrono::seconds(10);
    const auto client = redis::make_client(engine.executor(), settings, metrics);
    cache::leaderboard board(*client, random, metrics, {"bench", {}, 1, std::chrono::seconds(2)});

    const auto began = steady::now();
    const std::uint64_t count = all.count;
    demand(engine.run(board.rebuild([count] { return open_rows(count); })));
    print_figure("leaderboard rebuild", static_cast<double>(count) / seconds_since(began),
                 "players/s", 0, "");
    latencies limit = engine.run(round_trips(client.get()));
    latencies rank = engine.run(ranks(&board, count));
    latencies page = engine.run(pages(&board));
    const std::string among = fmt::format(" among {} players", count);
    print_figure("rank of one player" + among + ", p99", rank.quantile(0.99), "ms",
                 limit.quantile(0.99), "< 2");
    print_figure("rank of one player" + among + ", p50", rank.quantile(0.5), "ms",
                 limit.quantile(0.5), "");
    print_figure("page of 20" + among + ", p99", page.quantile(0.99), "ms", limit.quantile(0.99),
                 "");
    print_figure("leaderboard updates" + among, engine.run(updates(&board, count)), "changes/s", 0,
                 "");
    engine.run(client->stop());
    engine.stop();
    return 0;
}
