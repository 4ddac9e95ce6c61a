#include "app/simulate.hpp"

#include "app/simulate_report.hpp"
#include "app/simulate_world.hpp"
#include "base/assert.hpp"
#include "base/random.hpp"
#include "runtime/deadline.hpp"
#include "runtime/engine.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <future>
#include <unistd.h>

namespace immortal::app {
namespace {

namespace asio = boost::asio;

constexpr std::uint32_t connections_default_max = 32;
constexpr std::uint32_t connections_of_source = 4;
constexpr std::uint32_t sources_max = 250; // 127.0.0.2 to 127.0.0.251
constexpr auto call_timeout = std::chrono::seconds(30);

awaitable<std::string> metrics_text(http_client& client) {
    const auto answer = co_await client.send({.verb = "GET", .target = "/metrics"});
    co_return answer && answer->status == 200 ? answer->body : std::string();
}

// One line on standard error: rewritten on a terminal, else a new one every five seconds.
void show_progress(const counters& shared, double elapsed, std::uint32_t seconds,
                   std::uint64_t commands_before) {
    static const bool terminal = isatty(STDERR_FILENO) == 1;
    if (!terminal && static_cast<int>(elapsed) % 5 != 0)
        return;
    fmt::print(stderr,
               "{}{:>4.0f}/{} s  {:>6} commands/s  {:>9} commands  {:>9} queries  {} failed{}",
               terminal ? "\r" : "", elapsed, seconds, shared.accepted - commands_before,
               shared.accepted.load(), shared.queries.load(), shared.failed.load(),
               terminal ? "   " : "\n");
    std::fflush(stderr);
}

// Where the connection comes from: limits are kept for each source address.
std::string source_of(const http_address& server, std::uint32_t connection) {
    if (server.host != "127.0.0.1")
        return {};
    return fmt::format("127.0.0.{}", 2 + connection / connections_of_source % sources_max);
}

// Accounts, then characters on all connections at once.
base::status set_up(runtime::engine& engine, std::uint32_t players, http_client& client,
                    std::vector<worker>& workers) {
    const auto plan = engine.run(make_accounts(players, client));
    if (!plan)
        return base::fail(plan.error());
    for (std::uint32_t i = 0; i < players; ++i)
        workers[i % workers.size()].characters.push_back(
            {.token = plan->tokens[i % plan->tokens.size()]});
    std::vector<std::future<base::status>> running;
    for (std::size_t i = 0; i < workers.size(); ++i)
        running.push_back(asio::co_spawn(asio::make_strand(engine.executor()),
                                         make_characters(workers[i], i, *plan), asio::use_future));
    base::status all;
    for (std::future<base::status>& each : running) {
        if (auto done = each.get(); !done)
            all = std::move(done);
    }
    return all;
}

// Plays for the measured time and collects the workers' figures.
double play_all(runtime::engine& engine, const simulate_options& options,
                std::vector<worker>& workers, counters& shared) {
    asio::signal_set signals(engine.executor(), SIGINT, SIGTERM);
    signals.async_wait([&shared](const boost::system::error_code& problem, int) {
        if (!problem)
            shared.stop = true;
    });
    const auto began = steady_clock::now();
    std::vector<std::future<void>> running;
    for (worker& each : workers)
        running.push_back(asio::co_spawn(asio::make_strand(engine.executor()),
                                         play(each, shared, options.queries_per_command),
                                         asio::use_future));
    std::uint64_t before = 0;
    for (std::uint32_t second = 1; second <= options.seconds && !shared.stop; ++second) {
        const auto until = began + std::chrono::seconds(second);
        while (steady_clock::now() < until && !shared.stop)
            running.front().wait_until(
                std::min(until, steady_clock::now() + std::chrono::milliseconds(200)));
        show_progress(shared, static_cast<double>(second), options.seconds, before);
        before = shared.accepted;
    }
    const std::chrono::duration<double> measured = steady_clock::now() - began;
    shared.stop = true;
    for (std::future<void>& each : running)
        each.get();
    signals.cancel();
    fmt::print(stderr, "\n");
    return measured.count();
}

void collect(const std::vector<worker>& workers, const counters& shared, simulate_result& into) {
    for (const worker& each : workers) {
        into.commands.merge(each.commands);
        into.queries.merge(each.queries);
        into.delays.merge(each.delays);
        for (const auto& [what, count] : each.problems)
            into.problems[what] += count;
    }
    into.accepted = shared.accepted;
    into.refused = shared.refused;
    into.query_count = shared.queries;
    into.limited = shared.limited;
    into.failed = shared.failed;
    if (shared.behind != 0)
        into.problems["queries with ?after= that were answered 503 and repeated"] = shared.behind;
}

void run_check(const simulate_options& options, simulate_result& into) {
    if (!options.check) {
        into.check_problem = "this server's log cannot be reached from here";
        return;
    }
    fmt::print(stderr, "checking log, read model and cache ...\n");
    const auto agreed = options.check();
    into.check_passed = agreed && *agreed;
    if (!agreed)
        into.check_problem = agreed.error().message;
}

int refuse(const base::error& problem) {
    fmt::print(stderr, "immortal simulate: {}\n", problem.message);
    return 1;
}

} // namespace

int run_simulate(simulate_options options) {
    auto server = parse_http_url(options.url);
    if (!server)
        return refuse(server.error());
    if (server->host == "localhost")
        server->host = "127.0.0.1";
    IMMORTAL_ASSERT(options.players > 0 && options.players <= simulate_players_max);
    IMMORTAL_ASSERT(options.seconds > 0);
    if (options.connections == 0)
        options.connections = connections_default_max;
    options.connections = std::min(options.connections, options.players);
    base::system_random random;
    if (options.seed == 0)
        options.seed = random.next() >> 16;

    runtime::engine engine;
    engine.start();
    std::vector<worker> workers;
    for (std::uint32_t i = 0; i < options.connections; ++i)
        workers.push_back({.client = http_client(*server, call_timeout, source_of(*server, i)),
                           .dice = std::mt19937_64(options.seed + i)});
    fmt::print(stderr, "seed {}; making {} characters ...\n", options.seed, options.players);
    http_client observer(*server, call_timeout);
    if (const auto ready = set_up(engine, options.players, observer, workers); !ready)
        return refuse(ready.error());

    counters shared;
    simulate_result result{.players = options.players, .connections = options.connections};
    const std::string before = engine.run(metrics_text(observer));
    result.seconds = play_all(engine, options, workers, shared);
    result.hit_rate = hit_rate_between(before, engine.run(metrics_text(observer)));
    collect(workers, shared, result);
    run_check(options, result);
    engine.stop();

    fmt::print("{}\n", options.json ? report_json(result) : report_table(result));
    return result.passed() ? 0 : 1;
}

} // namespace immortal::app
