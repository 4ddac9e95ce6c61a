// Memory ends under the event store: the nth allocation of an operation fails, once or from then
// on, for all n of ten operations (ladder A9).
//
// usage: memory_faults [--all] [--samples N] [--seed S] [--replay OPERATION:INDEX:N:HOW] [--only
// OPERATION]
//
// Each case is a process of its own on a copy of a prepared log, in a folder in memory where there
// is one. The process may die; it may not hang, answer wrongly, or acknowledge what is not there
// afterwards. Judged by another process: the log opens, every acknowledged append is there at its
// place, none is halved, what was refused is not there, unknown ones are there once after a
// repetition, `verify` is sound, every backup that is listed can be restored. Before that four
// controls show that the harness can fail. Every operation with the index in memory and on disk.
// Counts: a sample of n for each operation; with IMMORTAL_LONG set every n, but of a start with the
// index on disk 700 each; with --all every n.
#include "base/log.hpp"
#include "base/random.hpp"
#include "memory/memory_case.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace immortal; // NOLINT: a test program of one file
using faults::index_place;
using faults::lie;
using faults::memory_case;
using faults::memory_verdict;
using faults::repetition;

constexpr std::size_t lanes = 2;        // cases at the same time
constexpr std::size_t failures_max = 8; // of one operation
constexpr std::uint64_t more = 3; // beyond the last n that was seen: threads take turns differently

struct totals {
    std::uint64_t cases = 0;
    std::uint64_t went_on = 0;
    std::uint64_t died = 0;
};

// A verdict that passes through a pipe.
struct told_verdict {
    memory_verdict::end how = memory_verdict::end::not_reached;
    bool acknowledged = false;
    std::uint64_t allocations = 0;
    std::array<char, 512> problem{};
};

struct running {
    memory_case which;
    pid_t pid = -1;
    int pipe = -1;
    std::filesystem::path scratch;
};

running start(const memory_case& which, const faults::prepared_folders& folders) {
    static std::uint64_t number = 0;
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) {
        std::abort();
    }
    running out{which, -1, ends[0], folders.scratch(++number)};
    out.pid = ::fork();
    if (out.pid == 0) {
        ::close(ends[0]);
        const memory_verdict verdict = run_case(which, folders, out.scratch);
        told_verdict told{verdict.how, verdict.acknowledged, verdict.allocations, {}};
        std::memcpy(told.problem.data(), verdict.problem.data(),
                    std::min(verdict.problem.size(), told.problem.size() - 1));
        _exit(::write(ends[1], &told, sizeof told) == sizeof told ? 0 : 4);
    }
    ::close(ends[1]);
    return out;
}

memory_verdict finish(const running& one) {
    told_verdict told;
    const ssize_t got = ::read(one.pipe, &told, sizeof told);
    ::close(one.pipe);
    int status = 0;
    ::waitpid(one.pid, &status, 0);
    memory_verdict out{told.how, told.allocations, told.acknowledged, told.problem.data()};
    if (got != sizeof told) {
        out.problem = "the process that opens the log afterwards ends by itself, status " +
                      std::to_string(status);
    }
    if (out.problem.empty()) {
        std::filesystem::remove_all(one.scratch);
    }
    return out;
}

memory_verdict run(const memory_case& which, const faults::prepared_folders& folders) {
    return finish(start(which, folders));
}

bool report(const memory_case& which, const memory_verdict& verdict, totals& sum) {
    sum.cases += verdict.how == memory_verdict::end::not_reached ? 0 : 1;
    sum.went_on += verdict.how == memory_verdict::end::went_on ? 1 : 0;
    sum.died += verdict.how == memory_verdict::end::died ? 1 : 0;
    if (!verdict.problem.empty()) {
        std::cout << "FAILED: " << verdict.problem << "\n  repeat with: memory_faults --replay "
                  << which.text() << std::endl;
    }
    return verdict.problem.empty();
}

// Runs these, `lanes` at a time, until `failures_max` broke a promise. False: one did.
bool run_all(const std::vector<memory_case>& cases, const faults::prepared_folders& folders,
             totals& sum) {
    std::size_t failures = 0;
    std::vector<running> now;
    for (std::size_t next = 0; next < cases.size() || !now.empty();) {
        if (next < cases.size() && now.size() < lanes && failures < failures_max) {
            now.push_back(start(cases[next++], folders));
            continue;
        }
        if (now.empty()) {
            break;
        }
        failures += report(now.front().which, finish(now.front()), sum) ? 0 : 1;
        now.erase(now.begin());
    }
    return failures == 0;
}

// A start with the index on disk has so many that a full count takes a quarter of an hour: nearly
// all of them are RocksDB's own.
constexpr std::uint64_t large_min = 2000;
constexpr std::uint64_t large_samples = 700;

// All n, or `samples` of them, from both ends and between.
std::vector<std::uint64_t> numbers(std::uint64_t total, std::uint64_t samples,
                                   base::random_source& random) {
    std::vector<std::uint64_t> out;
    if (samples == 0 || samples >= total + more) {
        for (std::uint64_t n = 1; n <= total + more; ++n) {
            out.push_back(n);
        }
        return out;
    }
    out = {1, total};
    while (out.size() < samples) {
        out.push_back(1 + random.next() % total);
    }
    std::ranges::sort(out);
    out.erase(std::ranges::unique(out).begin(), out.end());
    return out;
}

bool controls_are_caught(const faults::prepared_folders& folders) {
    struct control {
        const char* name;
        memory_case which;
    };
    const auto place = [](std::string_view name) {
        const auto all = faults::memory_operations();
        return static_cast<std::size_t>(
            std::ranges::find(all, name, &faults::memory_operation::name) - all.begin());
    };
    const std::array controls{
        control{
            "acknowledged before it is written",
            {place("append"), index_place::memory, 3, repetition::sticky, lie::acknowledges_first}},
        control{"an event missing from an answer",
                {place("read_all"), index_place::memory, 0, repetition::once, lie::answers_wrong}},
        control{"the end of the log cut off",
                {place("append"), index_place::memory, 0, repetition::once, lie::cuts_the_log}},
        control{"a piece of a backup gone",
                {place("backup"), index_place::memory, 0, repetition::once, lie::loses_a_blob}}};
    bool all = true;
    for (const control& each : controls) {
        const running one = start(each.which, folders);
        const memory_verdict verdict = finish(one);
        std::filesystem::remove_all(one.scratch);
        const bool caught = !verdict.problem.empty();
        all = all && caught;
        std::cout << "control, " << each.name << ": "
                  << (caught ? "caught: " + verdict.problem : "NOT CAUGHT") << std::endl;
    }
    return all;
}

std::optional<memory_case> parse(const std::string& text) {
    std::array<std::string, 4> fields;
    std::size_t begin = 0;
    for (std::string& field : fields) {
        const std::size_t end = std::min(text.find(':', begin), text.size());
        field = text.substr(begin, end - begin);
        begin = std::min(end + 1, text.size());
    }
    const auto all = faults::memory_operations();
    const auto found = std::ranges::find(all, fields[0], &faults::memory_operation::name);
    memory_case out;
    out.operation = static_cast<std::size_t>(found - all.begin());
    out.index = fields[1] == "disk" ? index_place::disk : index_place::memory;
    out.how = fields[3] == "sticky" ? repetition::sticky : repetition::once;
    std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), out.nth);
    return found == all.end() ? std::nullopt : std::optional(out);
}

struct options {
    std::uint64_t samples = 6; // of each operation and kind; 0: all
    std::uint64_t large = 0;   // of one with more allocations than `large_min`; 0: all
    std::uint64_t seed = 0;
    std::string replay;
    std::string only;
};

bool test_operation(std::size_t operation, index_place index, const options& given,
                    const faults::prepared_folders& folders, totals& sum) {
    base::seeded_random random(given.seed + operation);
    const memory_case calm{operation, index, 0, repetition::once};
    const memory_verdict without = run(calm, folders);
    if (!without.problem.empty()) {
        return report(calm, without, sum);
    }
    const totals before = sum;
    const std::uint64_t samples =
        given.samples == 0 && without.allocations > large_min ? given.large : given.samples;
    std::vector<memory_case> cases;
    for (const repetition how : {repetition::once, repetition::sticky}) {
        for (const std::uint64_t n : numbers(without.allocations, samples, random)) {
            cases.push_back({operation, index, n, how});
        }
    }
    const bool good = run_all(cases, folders, sum);
    std::cout << faults::memory_operations()[operation].name << ", index "
              << (index == index_place::disk ? "on disk" : "in memory") << ": "
              << without.allocations << " allocations, " << sum.cases - before.cases
              << " failures, of which the process survived " << sum.went_on - before.went_on
              << std::endl;
    return good;
}

int test(const options& given) {
    faults::prepared_folders folders;
    if (const std::string problem = folders.fill(); !problem.empty()) {
        std::cout << "FAILED: " << problem << "\n";
        return 1;
    }
    if (!given.replay.empty()) {
        const auto which = parse(given.replay);
        totals sum;
        const bool good = which && report(*which, run(*which, folders), sum);
        std::cout << (good ? "every promise held" : "FAILED")
                  << (sum.died > 0 ? "; the process died" : "") << "\n";
        return good ? 0 : 1;
    }
    if (!controls_are_caught(folders)) {
        std::cout << "FAILED: a control was not caught\n";
        return 1;
    }
    totals sum;
    bool good = true;
    for (const index_place index : {index_place::memory, index_place::disk}) {
        for (std::size_t i = 0; i < faults::memory_operations().size(); ++i) {
            if (given.only.empty() || given.only == faults::memory_operations()[i].name) {
                good = test_operation(i, index, given, folders, sum) && good;
            }
        }
    }
    std::cout << sum.cases << " failing allocations: " << sum.died << " processes died, "
              << sum.went_on << " went on" << (good ? "; every promise held\n" : "\n");
    return good ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    base::configure_log(base::log_level::off, base::log_format::text);
    base::system_random system;
    options given;
    given.seed = system.next() >> 40u;
    if (std::getenv("IMMORTAL_LONG") != nullptr) {
        given.samples = 0;
        given.large = large_samples;
    }
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
        if (name == "--all") {
            given.samples = given.large = 0;
            continue;
        }
        if (name == "--replay") {
            given.replay = value;
        } else if (name == "--only") {
            given.only = value;
        } else if (name == "--seed") {
            std::from_chars(value.data(), value.data() + value.size(), given.seed);
        } else if (name == "--samples") {
            std::from_chars(value.data(), value.data() + value.size(), given.samples);
        } else {
            std::cerr << "usage: memory_faults [--all] [--samples N] [--seed S] [--only OPERATION] "
                         "[--replay OPERATION:INDEX:N:HOW]\n";
            return 2;
        }
        ++i;
    }
    std::cout << "memory_faults: seed " << given.seed << "; repeat with: memory_faults --seed "
              << given.seed << (given.samples == 0 ? " --all" : "") << std::endl;
    return test(given);
}
