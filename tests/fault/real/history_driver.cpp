// Clients of the embedded event log on several threads, whose questions and answers are kept.
//
// usage: history_driver --folder LOG --history FILE --boot N [--seed S] [--appends N]
//                       [--retry FILE] [--resume POSITION:SUB] [--plant FAULT]
//
// Random appends (any, none, exact, exists; one to three streams; repetitions of earlier ones),
// soft deletes and tombstones of streams of their own, reads, and one reader that follows the log
// from the position after which `--resume` says. Ends after N appends (without: only by a signal).
// `--retry`: operations of unknown outcome, one a line
// ("op|stream;expected;count|..."), are repeated first. Exit code 0: ended; 3: the log does not
// open.
#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "eventlog/log.hpp"
#include "eventlog/planted_fault.hpp"
#include "real/history.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <deque>
#include <fstream>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

namespace {

using namespace immortal; // NOLINT: a test program of one file
using eventlog::expected_revision;

constexpr std::uint64_t writers = 4;
constexpr std::uint64_t streams = 12;
constexpr std::uint64_t deletable = 4;     // streams that a boot may delete
constexpr std::uint64_t failures_max = 40; // of one writer, until it ends

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, at);) {
        out.push_back(part);
    }
    return out;
}

expected_revision expected_of(const std::string& text) {
    return text == "any"      ? expected_revision::any()
           : text == "none"   ? expected_revision::no_stream()
           : text == "exists" ? expected_revision::stream_exists()
                              : expected_revision::at({number(text)});
}

struct wanted_write {
    std::string stream;
    expected_revision expected;
    std::uint64_t count = 1;
};

// The same operation always has the same ids and data.
std::vector<eventlog::stream_write> make_writes(std::uint64_t op,
                                                const std::vector<wanted_write>& wanted) {
    std::vector<eventlog::stream_write> writes;
    std::uint64_t ordinal = 0;
    for (const wanted_write& each : wanted) {
        writes.push_back({each.stream, each.expected, {}, {}});
        for (std::uint64_t i = 0; i < each.count; ++i, ++ordinal) {
            base::uuid id;
            std::memcpy(id.bytes.data(), &op, 8);
            std::memcpy(id.bytes.data() + 8, &ordinal, 8);
            id.bytes[15] = 1;
            writes.back().events.push_back(
                {id, "Happened",
                 std::to_string(op) + "/" + std::to_string(ordinal) + std::string(op * 7 % 90, '.'),
                 "{}", eventlog::content::binary});
        }
    }
    return writes;
}

class driver {
public:
    driver(eventlog::log& log, faults::history& to, std::uint64_t boot, std::uint64_t seed)
        : log_(log), history_(to), next_op_(boot * 1'000'000), seed_(seed),
          own_("d-" + std::to_string(boot) + "-") {}

    void retry(const std::string& line) {
        const auto parts = split(line, '|');
        std::vector<wanted_write> wanted;
        for (std::size_t i = 1; i < parts.size(); ++i) {
            const auto fields = split(parts[i], ';');
            wanted.push_back({fields.at(0), expected_of(fields.at(1)), number(fields.at(2))});
        }
        append(next_op_++, number(parts.at(0)), make_writes(number(parts.at(0)), wanted));
    }

    void run(std::uint64_t appends, std::int64_t after, const std::string& resumes) {
        left_ = static_cast<std::int64_t>(std::min<std::uint64_t>(appends, 1u << 30u));
        std::vector<std::thread> threads;
        for (std::uint64_t i = 0; i < writers; ++i) {
            threads.emplace_back([this, i] { write(i); });
        }
        std::thread reader([this] { read(); });
        std::thread follower([this, after, resumes] { follow(after, resumes); });
        for (auto& thread : threads) {
            thread.join();
        }
        writing_ = false;
        reader.join();
        follower.join();
    }

private:
    bool append(std::uint64_t op, std::uint64_t retry_of,
                std::vector<eventlog::stream_write> writes) {
        history_.append_begins(op, retry_of, writes);
        std::promise<base::result<eventlog::append_outcome>> promise;
        auto future = promise.get_future();
        log_.append(std::move(writes), [&](auto said) { promise.set_value(std::move(said)); });
        const auto said = future.get();
        if (said) {
            history_.append_ends(op, *said);
        } else if (said.error().code == base::errc::unknown_outcome) {
            history_.unknown(op);
        } else {
            history_.refused(op);
        }
        return said || said.error().code == base::errc::conflict ||
               said.error().code == base::errc::deleted;
    }

    // A soft delete, or now and then the end, of one of the streams that only this boot writes.
    void remove(base::random_source& random) {
        const std::uint64_t op = next_op_++;
        eventlog::stream_write write{own_ + std::to_string(random.next() % deletable), {}, {}, {}};
        write.what = random.next() % 16 == 0 ? eventlog::stream_write::action::tombstone
                                             : eventlog::stream_write::action::soft_delete;
        history_.delete_begins(op, write);
        std::promise<base::result<eventlog::append_outcome>> promise;
        auto future = promise.get_future();
        log_.append({std::move(write)}, [&](auto said) { promise.set_value(std::move(said)); });
        const auto said = future.get();
        if (said) {
            history_.delete_ends(op, {said->last_revisions.at(0)->value + 1});
        } else if (said.error().code == base::errc::unknown_outcome) {
            history_.unknown(op);
        } else {
            history_.refused(op);
        }
    }

    wanted_write wish(base::random_source& random) {
        if (random.next() % 8 == 0) {
            return {own_ + std::to_string(random.next() % deletable), expected_revision::any(), 2};
        }
        wanted_write out{"s-" + std::to_string(random.next() % streams), expected_revision::any(),
                         1 + random.next() % 3};
        const auto head = log_.stream_head(out.stream);
        switch (random.next() % 5) {
        case 0:
            out.expected = expected_revision::no_stream();
            break;
        case 1:
        case 2:
            out.expected = expected_revision::after(head ? *head : std::nullopt);
            break;
        case 3:
            out.expected =
                head && *head ? expected_revision::stream_exists() : expected_revision::any();
            break;
        default:
            break;
        }
        return out;
    }

    void write(std::uint64_t which) {
        base::seeded_random random(seed_ * 100 + which);
        std::map<std::uint64_t, std::vector<wanted_write>> mine;
        std::uint64_t failures = 0;
        while (left_-- > 0 && failures < failures_max) {
            if (random.next() % 20 == 0) {
                remove(random);
            }
            const std::uint64_t op = next_op_++;
            std::uint64_t of = op;
            if (!mine.empty() && random.next() % 8 == 0) {
                of = std::next(mine.begin(),
                               static_cast<std::ptrdiff_t>(random.next() % mine.size()))
                         ->first;
            } else {
                std::vector<wanted_write> wanted{wish(random)};
                for (std::uint64_t more = random.next() % 6; more > 3; --more) {
                    wanted_write other = wish(random);
                    const auto same = [&](const auto& w) { return w.stream == other.stream; };
                    if (std::ranges::none_of(wanted, same)) {
                        wanted.push_back(std::move(other));
                    }
                }
                mine[op] = std::move(wanted);
            }
            failures += append(op, of, make_writes(of, mine.at(of))) ? 0 : 1;
            if (mine.size() > 20) {
                mine.erase(mine.begin());
            }
        }
    }

    void read() {
        base::seeded_random random(seed_ * 100 + 50);
        while (writing_) {
            const std::string stream = random.next() % 3 == 0
                                           ? own_ + std::to_string(random.next() % deletable)
                                           : "s-" + std::to_string(random.next() % streams);
            const std::uint64_t op = next_op_++;
            history_.read_begins(op, stream);
            if (const auto slice =
                    log_.read_stream(stream, {0}, eventlog::direction::forwards, 100'000)) {
                history_.read_ends(op, slice->events);
            }
            wait_a_little();
        }
        read_whole();
    }

    // A small log is read at once; the checker wants complete answers.
    void read_whole() {
        const std::uint64_t op = next_op_++;
        history_.read_begins(op, "");
        std::vector<eventlog::recorded_event> events;
        base::position from;
        for (bool end = false; !end;) {
            auto slice = log_.read_all(from, eventlog::direction::forwards, 1000);
            if (!slice) {
                return;
            }
            events.insert(events.end(), slice->events.begin(), slice->events.end());
            from = slice->next;
            end = slice->end;
        }
        history_.read_ends(op, events);
    }

    void follow(std::int64_t after, const std::string& resumes) {
        const std::uint64_t sub = next_op_++;
        history_.subscribed(sub, after, resumes);
        base::position from{static_cast<std::uint64_t>(after + 1)};
        auto where = eventlog::read_start::anywhere;
        for (bool last = false;;) {
            const bool ended = !writing_;
            const auto slice =
                log_.read_all(from, eventlog::direction::forwards, 7, {}, 4u << 20u, where);
            if (!slice) {
                return;
            }
            if (!slice->events.empty()) {
                history_.delivered(sub, slice->events);
            }
            from = slice->next;
            where = eventlog::read_start::boundary;
            if (slice->end && last) {
                return;
            }
            last = ended && slice->end;
            if (slice->end) {
                wait_a_little();
            }
        }
    }

    // Reads must not fill the history.
    void wait_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(3)); }

    eventlog::log& log_;
    faults::history& history_;
    std::atomic<std::uint64_t> next_op_;
    std::uint64_t seed_;
    const std::string own_; // begins the names of the streams that may be deleted
    std::atomic<std::int64_t> left_{0};
    std::atomic<bool> writing_{true};
};

std::map<std::string, std::string> options(int argc, char** argv) {
    std::map<std::string, std::string> out;
    for (int i = 1; i + 1 < argc; i += 2) {
        out[argv[i]] = argv[i + 1];
    }
    return out;
}

#ifdef IMMORTAL_PLANTED_FAULTS
void plant(const std::string& name) {
    using eventlog::planted_fault;
    const std::map<std::string, planted_fault> faults{
        {"forget_ids", planted_fault::forget_ids},
        {"expected_or_later", planted_fault::expected_or_later},
        {"resume_skips", planted_fault::resume_skips},
        {"show_hidden", planted_fault::show_hidden}};
    eventlog::planted = name.empty() ? planted_fault::none : faults.at(name);
}
#endif

} // namespace

int main(int argc, char** argv) {
    base::configure_log(base::log_level::off, base::log_format::text);
    auto given = options(argc, argv);
    if (given["--folder"].empty() || given["--history"].empty()) {
        std::cerr << "usage: history_driver --folder LOG --history FILE --boot N ...\n";
        return 2;
    }
#ifdef IMMORTAL_PLANTED_FAULTS
    plant(given["--plant"]);
#endif
    base::posix_file_system files;
    base::system_clock clock;
    base::system_random random;
    auto log = eventlog::log::open(
        {.folder = given["--folder"],
         .segment_size = 64u << 10u,
         .free_space_min = 0,
         .uncached_bytes_min = 4096, // so that groups go both ways
         .remembered_ids = 1u << 16u,
         .index = {.folder = given["--folder"] + "/index", .part_events_max = 300}},
        files, clock, random, nullptr);
    if (!log) {
        std::cerr << log.error().message << "\n";
        return 3;
    }
    faults::history history(given["--history"]);
    history.boot();
    driver run(**log, history, number(given["--boot"]), number(given["--seed"]));
    if (!given["--retry"].empty()) {
        std::ifstream lines(given["--retry"]);
        for (std::string line; std::getline(lines, line);) {
            run.retry(line);
        }
    }
    const auto resume = split(given["--resume"], ':');
    run.run(given["--appends"].empty() ? ~0ull : number(given["--appends"]),
            resume.size() < 2 ? -1 : static_cast<std::int64_t>(number(resume[0])),
            resume.size() < 2 ? "" : resume[1]);
    return 0;
}
