// The HTTP figures of a running server, beside an empty Beast handler measured in the same run.
//
// usage: http_bench --port PORT [--connections 64] [--accounts 8] [--characters 50] [--seconds 10]
//
// The server's rate limits must be off and its game's time_scale great (bench/run sees to both).
// The load generator runs on one thread of the same machine.
#include "base/log.hpp"
#include "bench/arguments.hpp"
#include "bench/empty_server.hpp"
#include "bench/figure.hpp"
#include "bench/http_game.hpp"
#include "bench/http_wire.hpp"
#include "runtime/deadline.hpp"
#include "runtime/engine.hpp"

#include <atomic>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace {

using namespace immortal; // NOLINT: a program of one file
using namespace immortal::bench;
using boost::asio::awaitable;

struct options {
    std::uint16_t port = 0;
    std::size_t connections = 64;
    std::size_t accounts = 8;
    std::size_t characters = 50; // of an account
    std::chrono::seconds seconds{10};
    double rate = 5'000; // commands/s of the sustained run
};

struct tally {
    latencies took;
    latencies delays; // from a command's answer until it can be read
    std::uint64_t done = 0;
    std::uint64_t refused = 0;
    std::map<std::string, std::uint64_t> refusals; // by the rule's code
    std::uint64_t failed = 0;
    double seconds = 0;
    [[nodiscard]] double rate() const { return static_cast<double>(done) / seconds; }
};

// The first few are enough to see what is wrong. One load thread.
void show_failure(const wire_answer& answer) {
    static int shown = 0;
    if (++shown <= 5) {
        std::cerr << "answered " << answer.status << ": " << answer.body << "\n";
    }
}

// Runs `one(i)` once for each connection and waits for all.
template <typename Make>
void on_all_connections(runtime::engine& load, std::size_t connections, Make one) {
    std::vector<std::future<void>> running;
    for (std::size_t i = 0; i < connections; ++i) {
        running.push_back(boost::asio::co_spawn(load.executor(), one(i), boost::asio::use_future));
    }
    for (auto& f : running) {
        f.get();
    }
}

awaitable<void> repeat_gets(std::uint16_t port, std::vector<std::string> requests, std::size_t at,
                            steady::time_point until, tally* into) {
    wire on = co_await wire::connect(port);
    while (steady::now() < until) {
        const auto began = steady::now();
        const wire_answer answer = co_await on.exchange(requests[at++ % requests.size()]);
        into->took.add(steady::now() - began);
        ++(answer.status == 200 ? into->done : into->failed);
        if (answer.status != 200) {
            show_failure(answer);
        }
    }
}

tally measure_gets(runtime::engine& load, const options& o, std::uint16_t port,
                   const std::vector<std::string>& requests) {
    std::vector<tally> each(o.connections);
    const auto began = steady::now();
    on_all_connections(load, o.connections, [&](std::size_t i) {
        return repeat_gets(port, requests, i * 7919, began + o.seconds, &each[i]);
    });
    tally all;
    all.seconds = seconds_since(began);
    for (const tally& t : each) {
        all.took.add_all(t.took);
        all.done += t.done;
        all.failed += t.failed;
    }
    return all;
}

// From now until the character can be read as of its last command.
awaitable<void> sample_delay(wire* on, const character* who, tally* into) {
    const auto began = steady::now();
    const std::string request = request_text(
        "GET", fmt::format("/v1/players/{}?after={}", who->player_id, who->last_position),
        who->token);
    while (seconds_since(began) < 10) {
        const wire_answer answer = co_await on->exchange(request);
        if (answer.status == 200) {
            break;
        }
        into->failed += answer.status == 503 ? 0 : 1;
        if (!co_await runtime::wait_for(std::chrono::milliseconds(1))) {
            break;
        }
    }
    into->delays.add(steady::now() - began);
}

struct command_load {
    const options& o;
    game& with;
    std::atomic<std::uint64_t> number{0};
    double rate = 0; // of all connections; 0: as fast as possible
    int delay_every = 0;

    // Characters i, i + connections, ... belong to connection i. With a rate, latency counts from
    // the moment at which the command was due.
    awaitable<void> play(std::size_t i, steady::time_point began, tally* into) {
        wire on = co_await wire::connect(o.port);
        std::size_t at = i;
        const auto until = began + o.seconds;
        const std::chrono::duration<double> pause(
            rate > 0 ? static_cast<double>(o.connections) / rate : 0);
        std::uint64_t turn = 0;
        while (steady::now() < until) {
            auto due = steady::now();
            if (rate > 0) {
                due = began +
                      std::chrono::duration_cast<steady::duration>(
                          pause * (static_cast<double>(turn) +
                                   static_cast<double>(i) / static_cast<double>(o.connections)));
                ++turn;
                if (due > steady::now() && !co_await runtime::wait_for(due - steady::now())) {
                    co_return;
                }
            }
            character& who = with.characters()[at];
            at = at + o.connections < with.characters().size() ? at + o.connections : i;
            const wire_answer answer = co_await on.exchange(with.next_command(who, ++number));
            into->took.add(steady::now() - due);
            if (with.learn(who, answer)) {
                ++into->done;
                if (delay_every > 0 && into->done % static_cast<std::uint64_t>(delay_every) == 0) {
                    co_await sample_delay(&on, &who, into);
                }
            } else {
                if (answer.status == 409) {
                    ++into->refused;
                    ++into->refusals[member_text(answer.body, "code")];
                } else {
                    ++into->failed;
                    show_failure(answer);
                }
            }
        }
    }
};

tally measure_commands(runtime::engine& load, const options& o, game& with, double rate,
                       int delay_every) {
    static std::uint64_t runs = 0;
    command_load run{o, with, {++runs << 40}, rate, delay_every};
    std::vector<tally> each(o.connections);
    const auto began = steady::now();
    on_all_connections(load, o.connections,
                       [&](std::size_t i) { return run.play(i, began, &each[i]); });
    tally all;
    all.seconds = seconds_since(began);
    for (const tally& t : each) {
        all.took.add_all(t.took);
        all.delays.add_all(t.delays);
        all.done += t.done;
        all.refused += t.refused;
        for (const auto& [code, count] : t.refusals) {
            all.refusals[code] += count;
        }
        all.failed += t.failed;
    }
    return all;
}

// Until everything that was commanded can be read.
awaitable<void> catch_up(std::uint16_t port, std::vector<const character*> all, tally* into) {
    wire on = co_await wire::connect(port);
    for (const character* who : all) {
        co_await sample_delay(&on, who, into);
    }
}

awaitable<double> metric(std::uint16_t port, std::string name) {
    wire on = co_await wire::connect(port);
    const wire_answer answer = co_await on.exchange(request_text("GET", "/metrics"));
    const std::size_t at = answer.body.find("\n" + name);
    if (answer.status != 200 || at == std::string_view::npos) {
        co_return 0.0;
    }
    const std::string_view line = answer.body.substr(at + 1, answer.body.find('\n', at + 1) - at);
    co_return std::strtod(std::string(line.substr(line.rfind(' ') + 1)).c_str(), nullptr);
}

void tell(const std::string& what, const tally& t) {
    std::cerr << fmt::format("{}: {} done, {} refused by a rule, {} failed\n", what, t.done,
                             t.refused, t.failed);
    for (const auto& [code, count] : t.refusals) {
        std::cerr << fmt::format("  refused, {}: {}\n", code, count);
    }
    if (t.failed * 1000 > t.done) {
        std::cerr << what << ": too many failures for the figure to mean anything\n";
        std::exit(1);
    }
}

options parse(int argc, char** argv) {
    options o;
    auto seconds = static_cast<unsigned>(o.seconds.count());
    arguments known("http_bench", "The HTTP figures of a running server.");
    known.option("--port", o.port, "Of the server; needed")
        .option("--connections", o.connections, "Keep-alive connections")
        .option("--accounts", o.accounts, "That play")
        .option("--characters", o.characters, "Of an account")
        .option("--seconds", seconds, "Of each measurement")
        .read(argc, argv);
    if (o.port == 0) {
        known.refuse("--port is needed");
    }
    o.seconds = std::chrono::seconds(seconds);
    return o;
}

void run(const options& o) {
    runtime::engine load({.threads = 1, .drain = std::chrono::milliseconds(500)});
    load.start();
    double limit = 0;
    double limit_p99 = 0;
    {
        const empty_server server(2);
        tally empty = measure_gets(load, o, server.port(), {request_text("GET", "/")});
        limit = empty.rate();
        limit_p99 = empty.took.quantile(0.99);
    }
    game with = load.run(game::set_up(o.port, o.accounts, o.characters));

    std::vector<std::string> gets;
    std::vector<const character*> everyone;
    for (const character& who : with.characters()) {
        everyone.push_back(&who);
        gets.push_back(request_text("GET", "/v1/players/" + who.player_id, who.token));
    }
    tally warm;
    load.run(catch_up(o.port, std::move(everyone), &warm));
    tally cached = measure_gets(load, o, o.port, gets);
    tell("cached GET", cached);
    print_figure("cached GET over HTTP", cached.rate(), "requests/s", limit, ">= 43000");
    print_figure("cached GET over HTTP, p99", cached.took.quantile(0.99), "ms", limit_p99, "< 5");

    const std::string events = "immortal_eventlog_events_total";
    const double events_before = load.run(metric(o.port, events));
    tally burst = measure_commands(load, o, with, 0, 0);
    tell("commands, burst", burst);
    print_figure(fmt::format("game commands over HTTP, burst of {} s", o.seconds.count()),
                 burst.rate(), "commands/s", limit, ">= 15000");
    print_figure("game commands over HTTP, burst, p99", burst.took.quantile(0.99), "ms", limit_p99,
                 "");
    tally lag;
    const auto last = std::ranges::max_element(with.characters(), {}, &character::last_position);
    load.run(catch_up(o.port, {&*last}, &lag));
    print_figure("lag of the read model at the end of the burst", lag.delays.quantile(1), "ms", 0,
                 "");
    const double written = load.run(metric(o.port, events)) - events_before;
    if (written > 0) {
        print_figure("events per command in this mix", written / static_cast<double>(burst.done),
                     "events", 0, "");
    }

    tally steady_run = measure_commands(load, o, with, o.rate, 10);
    tell("commands, sustained", steady_run);
    print_figure(fmt::format("game commands over HTTP, sustained at {:.0f}/s offered", o.rate),
                 steady_run.rate(), "commands/s", limit, ">= 5000");
    print_figure("game commands over HTTP, sustained, p99", steady_run.took.quantile(0.99), "ms",
                 limit_p99, "< 20");
    print_figure("event visible in the read model, sustained, p99",
                 steady_run.delays.quantile(0.99), "ms", 0, "< 100");
    load.stop();
}

} // namespace

int main(int argc, char** argv) {
    base::configure_log(base::log_level::error, base::log_format::text);
    try {
        run(parse(argc, argv));
        return 0;
    } catch (const std::exception& e) {
        std::cerr << "http_bench: " << e.what() << "\n";
        return 1;
    }
}
