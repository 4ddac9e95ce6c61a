// Benchmarks of the event log beside the limits of the machine, measured in the same run.
//
// usage: eventlog_bench [--folder DIR] [--events MILLIONS] [--correlations 1]
//        eventlog_bench --frames 1 [--folder DIR]
//        eventlog_bench --grow MILLIONS [--folder DIR]
//
// Prints one JSON line per figure: {"name", "value", "unit", "limit", "target"}. Everything is
// durable: fdatasync of the data and of the head anchor before each acknowledgement, hash chain
// included. The index stands on disk and holds streams, categories and types; with --correlations
// each event has a correlation id, one for every four, and is found by it.
//
// --frames does one thing only: 100,000 events in one append, and in 1,000, read in pages.
//
// --grow appends 100-byte events up to so many millions, and stops while 15 GiB are still free: the
// cost per event at the end beside that of the first million.
#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "bench/arguments.hpp"
#include "eventlog/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <future>
#include <iostream>
#include <mutex>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <time.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace immortal; // NOLINT: a program of one file
using namespace immortal::eventlog;
using steady = std::chrono::steady_clock;

constexpr std::size_t batch = 1024;
constexpr std::uint64_t streams = 100'000;
constexpr std::uint64_t free_bytes_min = 15ull << 30u;

std::size_t event_bytes = 400;
bool correlations = false;

base::posix_file_system files;
base::system_clock clock_;
base::system_random random_;

double seconds_since(steady::time_point began) {
    return std::chrono::duration<double>(steady::now() - began).count();
}

void print(const std::string& name, double value, const std::string& unit, double limit,
           const std::string& target) {
    std::cout << fmt::format(
                     R"({{"name":"{}","value":{:.4g},"unit":"{}","limit":{:.4g},"target":"{}"}})",
                     correlations ? name + ", with correlation ids" : name, value, unit, limit,
                     target)
              << std::endl;
}

new_event make_event(std::uint64_t number) {
    new_event event;
    std::memcpy(event.id.bytes.data(), &number, 8);
    event.id.bytes[15] = 1;
    event.type = number % 3 == 0 ? "CultivationProgressed" : "ExperienceGained";
    event.metadata = correlations ? fmt::format(R"({{"$correlationId":"{:016x}"}})", number / 4)
                                  : R"({"actor":"player","schemaVersion":1})";
    event.data.assign(event_bytes - event.metadata.size() - event.type.size(), 'x');
    return event;
}

std::unique_ptr<eventlog::log> open_log(const std::string& folder) {
    log_settings settings{.folder = folder};
    settings.index.folder = folder + "/index";
    settings.index.correlations = correlations;
    auto opened = eventlog::log::open(settings, files, clock_, random_, nullptr);
    if (!opened) {
        std::cerr << opened.error().message << "\n";
        std::exit(1);
    }
    return std::move(*opened);
}

// Raw limits: one write and one fdatasync per batch, nothing else.
double raw_batches_per_second(const std::string& folder, std::size_t bytes, int count) {
    const std::string path = folder + "/raw";
    std::filesystem::remove(path);
    auto file = files.open(path, base::open_mode::create_new).value();
    const std::vector<std::byte> block(bytes, std::byte{7});
    const auto began = steady::now();
    for (int i = 0; i < count; ++i) {
        if (!file->write_at(static_cast<std::uint64_t>(i) * bytes, block) || !file->sync()) {
            std::exit(1);
        }
    }
    const double rate = count / seconds_since(began);
    std::filesystem::remove(path);
    return rate;
}

double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Keeps `depth` batches under way until `count` were acknowledged.
double append_batches(eventlog::log& log, std::uint64_t count, std::size_t depth,
                      std::uint64_t& number, bool tell = true) {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t under_way = 0;
    const double cpu = cpu_seconds();
    const auto began = steady::now();
    for (std::uint64_t i = 0; i < count; ++i) {
        // A batch is one atomic append: four events to each of 256 streams.
        std::vector<stream_write> writes(256);
        for (auto& write : writes) {
            write.stream = fmt::format("player-{:08}", (number / 4 * 7919) % streams);
            for (std::size_t n = 0; n < batch / writes.size(); ++n) {
                write.events.push_back(make_event(++number));
            }
        }
        std::ranges::sort(writes, {}, &stream_write::stream);
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return under_way < depth; });
        ++under_way;
        lock.unlock();
        log.append(std::move(writes), [&](const base::result<append_outcome>& outcome) {
            if (!outcome) {
                std::cerr << outcome.error().message << "\n";
                std::exit(1);
            }
            const std::lock_guard done(mutex);
            --under_way;
            changed.notify_one();
        });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return under_way == 0; });
    if (tell) {
        print("processor time per event of a batch, making it included",
              (cpu_seconds() - cpu) / static_cast<double>(count * batch) * 1e6, "us", 0, "");
    }
    return static_cast<double>(count * batch) / seconds_since(began);
}

// 64 writers, each with one append under way: its answer starts the next one.
struct single_writers {
    eventlog::log& log;
    std::uint64_t first;
    steady::time_point until;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<double> latencies; // milliseconds; the callbacks run on one thread
    std::size_t running = 0;

    void start(std::uint64_t writer) {
        std::vector<stream_write> writes(1);
        writes[0].stream = fmt::format("single-{}", writer);
        writes[0].events.push_back(make_event(++first));
        const auto began = steady::now();
        log.append(std::move(writes), [this, writer, began](const base::result<append_outcome>& r) {
            if (!r) {
                std::exit(1);
            }
            latencies.push_back(seconds_since(began) * 1e3);
            if (steady::now() < until) {
                start(writer);
                return;
            }
            const std::lock_guard lock(mutex);
            --running;
            changed.notify_one();
        });
    }
};

void bench_single(eventlog::log& log, const std::string& folder, std::uint64_t& number) {
    constexpr std::size_t writers = 64;
    const double limit =
        raw_batches_per_second(folder, writers * (event_bytes + 144), 1500) * writers;
    single_writers run{log, number, steady::now() + std::chrono::seconds(3), {}, {}, {}, 0};
    run.running = writers;
    const auto began = steady::now();
    {
        // Callbacks start the following appends on the writer's thread; the first ones come from
        // here.
        std::vector<std::uint64_t> all(writers);
        for (std::uint64_t w = 0; w < writers; ++w) {
            run.start(w);
        }
    }
    std::unique_lock lock(run.mutex);
    run.changed.wait(lock, [&] { return run.running == 0; });
    const double took = seconds_since(began);
    number = run.first;
    std::ranges::sort(run.latencies);
    const auto at = [&](double share) {
        return run.latencies[static_cast<std::size_t>(
            static_cast<double>(run.latencies.size() - 1) * share)];
    };
    print("single-event appends, 64 writers", static_cast<double>(run.latencies.size()) / took,
          "events/s", limit, ">= 80000");
    print("single-event append p50", at(0.5), "ms", writers / limit * 1e3, "");
    print("single-event append p99", at(0.99), "ms", writers / limit * 1e3, "< 5");
}

// The same from 64 threads that wait, as blocking callers do.
void bench_single_threads(eventlog::log& log, std::uint64_t& number) {
    constexpr std::size_t writers = 64;
    std::atomic<std::uint64_t> next{number};
    std::atomic<std::uint64_t> done{0};
    const auto began = steady::now();
    const auto until = began + std::chrono::seconds(3);
    std::vector<std::thread> threads;
    for (std::size_t w = 0; w < writers; ++w) {
        threads.emplace_back([&, w] {
            while (steady::now() < until) {
                std::vector<stream_write> writes(1);
                writes[0].stream = fmt::format("thread-{}", w);
                writes[0].events.push_back(make_event(next.fetch_add(1) + 1));
                std::promise<void> promise;
                auto answered = promise.get_future();
                log.append(std::move(writes), [&](const auto&) { promise.set_value(); });
                answered.wait();
                done.fetch_add(1);
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    number = next.load();
    print("single-event appends, 64 blocking threads",
          static_cast<double>(done.load()) / seconds_since(began), "events/s", 0, "");
}

// Reads random streams' first 100 events. Returns the median in microseconds.
double read_streams(eventlog::log& log, int rounds, std::uint64_t seed, std::size_t& found) {
    std::vector<double> took;
    for (int i = 0; i < rounds; ++i) {
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        const std::string stream = fmt::format("player-{:08}", (seed >> 33u) % streams);
        const auto began = steady::now();
        auto slice = log.read_stream(stream, {0}, direction::forwards, 100);
        took.push_back(seconds_since(began) * 1e6);
        found += slice->events.size();
    }
    std::ranges::sort(took);
    return took[took.size() / 2];
}

void bench_reads(eventlog::log& log, std::uint64_t events) {
    std::uint64_t read = 0;
    const auto began = steady::now();
    base::position from;
    for (bool end = false; !end && read < 4'000'000;) {
        auto slice =
            log.read_all(from, direction::forwards, 4096, {}, 4u << 20u, read_start::boundary);
        read += slice->events.size();
        from = slice->next;
        end = slice->end;
    }
    print("read all, sequential", static_cast<double>(read) / seconds_since(began), "events/s", 0,
          ">= 1000000");

    // Streams of 100 events over the whole log, the second time warm.
    constexpr int rounds = 2000;
    std::size_t found = 0;
    read_streams(log, rounds, 99, found);
    found = 0;
    const double median = read_streams(log, rounds, 99, found);
    print(fmt::format("read a stream's first 100 events, {} M events, median of {:.0f} events",
                      events / 1'000'000, static_cast<double>(found) / rounds),
          median, "us", 0, "<= 150");
}

// Reads 100,000 events in pages, from logs that hold them in frames of different sizes.
void bench_frames(const std::string& folder, std::size_t frames) {
    constexpr std::size_t events = 100'000;
    const std::string place = fmt::format("{}/frames-{}", folder, frames);
    auto log = open_log(place);
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < frames; ++i) {
        std::vector<stream_write> writes(1);
        writes[0].stream = "frames-1";
        for (std::size_t n = 0; n < events / frames; ++n) {
            writes[0].events.push_back(make_event(++number));
        }
        std::promise<void> promise;
        log->append(std::move(writes), [&](const base::result<append_outcome>& outcome) {
            if (!outcome) {
                std::cerr << outcome.error().message << "\n";
                std::exit(1);
            }
            promise.set_value();
        });
        promise.get_future().wait();
    }
    for (const auto way : {direction::forwards, direction::backwards}) {
        const auto began = steady::now();
        std::size_t read = 0;
        base::position next = way == direction::forwards ? base::position{} : log->head().end;
        for (bool end = false; !end;) {
            auto slice = log->read_all(next, way, 128);
            read += slice->events.size();
            next = slice->next;
            end = slice->end;
        }
        print(fmt::format("read {} events in pages of 128, {}, written in {} frames", read,
                          way == direction::forwards ? "forwards" : "backwards", frames),
              seconds_since(began), "s", 0, "");
    }
    log.reset();
    std::filesystem::remove_all(place);
}

// Makes the kernel forget what it keeps of the log's and its index's files.
void forget_pages(const std::string& folder) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) {
            const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
            ::fdatasync(file);
            ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
            ::close(file);
        }
    }
}

double timed_open(const std::string& folder, std::unique_ptr<eventlog::log>& log) {
    const auto began = steady::now();
    log = open_log(folder);
    return seconds_since(began);
}

void bench_starts(const std::string& folder, std::uint64_t& number) {
    const auto millions = number / 1'000'000;
    std::unique_ptr<eventlog::log> log;
    print(fmt::format("open with {} M events", millions), timed_open(folder, log), "s", 0, "< 1");
    log.reset();
    // Another process appends a million and is killed.
    const pid_t child = ::fork();
    if (child == 0) {
        auto appending = open_log(folder);
        std::ostringstream quiet;
        std::cout.rdbuf(quiet.rdbuf());
        append_batches(*appending, 1'000'000 / batch, 4, number);
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    number += 1'000'000 / batch * batch;
    print(fmt::format("open with {} M events after kill -9", number / 1'000'000),
          timed_open(folder, log), "s", 0, "< 2");
    log.reset();
    forget_pages(folder);
    print("the same, closed well, from a cold page cache", timed_open(folder, log), "s", 0, "");
    std::size_t found = 0;
    forget_pages(folder);
    print("read a stream's first 100 events, page cache cold, median",
          read_streams(*log, 200, 7, found), "us", 0, "");
    log.reset();
    std::filesystem::remove_all(folder + "/index");
    const double rebuilt = timed_open(folder, log);
    print(fmt::format("open without the index folder, {} M events", number / 1'000'000), rebuilt,
          "s", 0, "");
    print("rebuild of the index", static_cast<double>(number) / rebuilt, "events/s", 0, "");
}

void bench_grow(const std::string& folder, std::uint64_t millions) {
    event_bytes = 100;
    auto log = open_log(folder + "/log");
    std::uint64_t number = 0;
    double first = 0;
    double last = 0;
    for (std::uint64_t done = 0; done < millions; ++done) {
        if (std::filesystem::space(folder).available < free_bytes_min) {
            break;
        }
        last = 1e6 / append_batches(*log, 1'000'000 / batch, 4, number, false);
        first = done == 0 ? last : first;
        if (done % 10 == 9) {
            print(fmt::format("cost per 100-byte event at {} M", done + 1), last, "us", first, "");
        }
    }
    print(fmt::format("cost per event at {} M beside that at 1 M", number / 1'000'000),
          last / first, "", 1.0, "<= 1.2");
    bench_reads(*log, number);
    log.reset();
    print(fmt::format("open with {} M events", number / 1'000'000),
          timed_open(folder + "/log", log), "s", 0, "");
}

} // namespace

int main(int argc, char** argv) {
    base::configure_log(base::log_level::error, base::log_format::text);
    std::string folder = std::filesystem::temp_directory_path().string();
    std::uint64_t millions = 10;
    std::uint64_t grow = 0;
    unsigned with_correlations = 0;
    unsigned only_frames = 0;
    bench::arguments("eventlog_bench", "The event log beside the limits of the machine; durable.")
        .option("--folder", folder, "A new folder is made in it, and removed")
        .option("--events", millions, "Millions of events")
        .option("--correlations", with_correlations, "1: each event has a correlation id")
        .option("--frames", only_frames, "1: only large and small appends, read in pages")
        .option("--grow", grow, "Only append up to so many millions; 0: no")
        .read(argc, argv);
    correlations = with_correlations != 0;
    folder += "/immortal-bench-XXXXXX";
    folder = mkdtemp(folder.data());
    std::filesystem::create_directory(folder + "/limits");

    if (grow > 0) {
        bench_grow(folder, grow);
        std::filesystem::remove_all(folder);
        return 0;
    }
    bench_frames(folder, 1);
    bench_frames(folder, 1000);
    if (only_frames != 0) {
        std::filesystem::remove_all(folder);
        return 0;
    }
    auto log = open_log(folder + "/log");
    std::uint64_t number = 0;
    const double raw =
        raw_batches_per_second(folder + "/limits", batch * (event_bytes + 16), 1000) * batch;
    const std::uint64_t first = std::min<std::uint64_t>(millions * 1'000'000, 1'000'000) / batch;
    print("batch append (1024), one under way", append_batches(*log, first / 2, 1, number),
          "events/s", raw, ">= 600000");
    print("batch append (1024), four under way", append_batches(*log, first - first / 2, 4, number),
          "events/s", raw, ">= 600000");
    log.reset();
    print("open with 1 M events", timed_open(folder + "/log", log), "s", 0, "");
    if (millions > 1) {
        const std::uint64_t rest = (millions - 1) * 1'000'000 / batch;
        print(fmt::format("batch append (1024), four under way, up to {} M events", millions),
              append_batches(*log, rest, 4, number), "events/s", raw, ">= 600000");
    }
    const std::uint64_t total = number;
    bench_reads(*log, total);
    bench_single(*log, folder + "/limits", number);
    bench_single_threads(*log, number);
    log.reset();
    bench_starts(folder + "/log", number);
    std::filesystem::remove_all(folder);
    return 0;
}
