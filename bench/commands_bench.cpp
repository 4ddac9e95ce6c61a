// Game commands through commands::service on the embedded store, durable: start and complete a
// session, in turn, by many callers with a player each. One JSON line a figure.
//
//     commands_bench [folder] [seconds] [callers]
#include "base/file.hpp"
#include "base/metrics.hpp"
#include "bench/arguments.hpp"
#include "commands/service.hpp"
#include "eventlog/log.hpp"
#include "eventstore/embedded_store.hpp"
#include "runtime/deadline.hpp"
#include "runtime/engine.hpp"
#include "runtime/task_group.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <vector>

namespace {

using namespace std::chrono_literals;
namespace commands = immortal::commands;
namespace base = immortal::base;
using boost::asio::awaitable;

struct figures {
    std::mutex mutex;
    std::vector<double> milliseconds;
    std::atomic<std::uint64_t> refused = 0;
    std::atomic<std::size_t> callers = 0;
};

struct player {
    commands::actor who;
    base::uuid id;
};

awaitable<base::result<commands::outcome>> must(commands::service& service, commands::actor who,
                                                std::string key, commands::game_command command) {
    auto out = co_await service.execute(who, std::move(key), std::move(command));
    if (!out) {
        fmt::print(stderr, "refused: {} {}\n", base::name_of(out.error().code),
                   out.error().message);
        std::exit(1);
    }
    co_return out;
}

awaitable<player> make_player(commands::service& service, std::size_t number) {
    const commands::actor who{base::uuid::make_derived("bench", std::to_string(number))};
    auto made = co_await must(service, who, "create",
                              commands::create_player{"player " + std::to_string(number)});
    const auto id = *base::uuid::parse(made->body.at("playerId").as_string());
    (void)co_await must(service, who, "learn", commands::learn_technique{id, "basic_qi_gathering"});
    co_return player{who, id};
}

awaitable<void> play(commands::service& service, player with,
                     std::chrono::steady_clock::time_point until, figures& out) {
    std::vector<double> took;
    std::optional<base::uuid> session;
    for (std::uint64_t n = 0; std::chrono::steady_clock::now() < until; ++n) {
        commands::game_command command =
            session ? commands::game_command(commands::complete_cultivation{*session})
                    : commands::start_cultivation{with.id, "basic_qi_gathering", {}};
        const auto begun = std::chrono::steady_clock::now();
        auto done = co_await service.execute(with.who, std::to_string(n), std::move(command));
        took.push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun)
                .count());
        if (!done) {
            ++out.refused;
        } else if (session) {
            session.reset();
        } else {
            session = base::uuid::parse(done->body.at("sessionId").as_string());
        }
    }
    const std::lock_guard lock(out.mutex);
    out.milliseconds.insert(out.milliseconds.end(), took.begin(), took.end());
    --out.callers;
}

void print(const char* name, double value, const char* unit) {
    fmt::print("{{\"name\":\"{}\",\"value\":{:.3f},\"unit\":\"{}\"}}\n", name, value, unit);
}

} // namespace

int main(int argc, char** argv) {
    std::string folder = "/tmp/immortal_commands_bench";
    unsigned seconds = 10;
    std::size_t callers = 64;
    immortal::bench::arguments("commands_bench", "Game commands on the embedded store, durable.")
        .word("FOLDER", folder, "Of the event log; made anew")
        .word("SECONDS", seconds, "Measured time")
        .word("CALLERS", callers, "At once, each with a player")
        .read(argc, argv);
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);

    base::system_clock clock;
    base::system_random random;
    base::metrics metrics;
    base::posix_file_system files;
    immortal::eventlog::log_settings settings;
    settings.folder = folder;
    auto log = immortal::eventlog::log::open(settings, files, clock, random, nullptr);
    if (!log) {
        fmt::print(stderr, "{}\n", log.error().message);
        return 1;
    }
    const auto store = immortal::eventstore::make_embedded_store(**log);
    immortal::runtime::engine engine;
    engine.start();
    {
        commands::service_settings options;
        options.rules.time_scale = 1e7;          // a session can be completed at once
        options.rules.regeneration_seconds = 36; // and the player is rested again
        commands::service service(
            engine.executor(), {*store, immortal::game::catalog::builtin(), clock, random, metrics},
            options);
        std::vector<player> players;
        for (std::size_t i = 0; i < callers; ++i) {
            players.push_back(engine.run(make_player(service, i)));
        }
        figures out;
        out.callers = callers;
        const auto first = store->head()->value;
        const auto begun = std::chrono::steady_clock::now();
        const auto until = begun + std::chrono::seconds(seconds);
        immortal::runtime::task_group tasks(engine.executor(), "bench");
        for (const player& p : players) {
            tasks.spawn(play(service, p, until, out), "caller");
        }
        while (out.callers != 0) {
            engine.run(immortal::runtime::wait_for(20ms));
        }
        const double took =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
        (void)engine.run(tasks.stop(1s));
        std::sort(out.milliseconds.begin(), out.milliseconds.end());
        const auto at = [&](double share) {
            return out.milliseconds[static_cast<std::size_t>(
                share * static_cast<double>(out.milliseconds.size() - 1))];
        };
        const auto count = static_cast<double>(out.milliseconds.size());
        print("commands_per_second", (count - static_cast<double>(out.refused)) / took,
              "commands/s");
        print("commands_refused", static_cast<double>(out.refused), "commands");
        print("commands_p50", at(0.5), "ms");
        print("commands_p99", at(0.99), "ms");
        print("commands_log_bytes", static_cast<double>(store->head()->value - first) / count,
              "bytes/command");
        engine.run(service.stop());
    }
    engine.stop();
    (*log)->close();
    return 0;
}
