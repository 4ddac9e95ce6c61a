// Faults of the disk under the event log, injected by the thousand in one process.
//
// usage: store_faults RUNG [--faults N] [--seed S] [--replay TEXT]
//   RUNG  crash_points | failing_calls | bit_flips | misplaced_files | all
//         planted   (the build with planted faults only) every planted fault must be noticed
//
// Exit code 0: every promise held (planted: every fault was noticed).
#include "base/log.hpp"
#include "eventlog/planted_fault.hpp"
#include "store/rungs.hpp"

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace immortal; // NOLINT: a test program
using faults::rung_report;
using faults::rung_settings;

struct rung {
    std::string_view name;
    rung_report (*run)(const rung_settings&);
    std::uint64_t faults;      // in every run
    std::uint64_t faults_long; // with IMMORTAL_LONG
};
constexpr rung rungs[] = {
    {"crash_points", faults::crash_points, 3000, 20'000},
    {"failing_calls", faults::failing_calls, 1000, 5000},
    {"bit_flips", faults::bit_flips, 200, 1000},
    {"misplaced_files", faults::misplaced_files, 100, 300},
};

bool run_one(const rung& which, rung_settings settings, std::uint64_t wanted) {
    const bool longer = std::getenv("IMMORTAL_LONG") != nullptr;
    settings.faults = wanted != 0 ? wanted : longer ? which.faults_long : which.faults;
    const rung_report report = which.run(settings);
    std::cout << which.name << ": " << report.faults << " faults, seed " << settings.seed;
    for (const auto& [what, count] : report.counts) {
        std::cout << ", " << count << " " << what;
    }
    std::cout << (report.problem.empty() ? ": every promise held\n" : "\n");
    if (!report.problem.empty()) {
        std::cout << "FAILED: " << report.problem << "\n  repeat with: store_faults " << which.name
                  << " --replay " << report.replay << "\n";
    }
    return report.problem.empty();
}

#ifdef IMMORTAL_PLANTED_FAULTS
using eventlog::planted_fault;
struct plant {
    std::string_view name;
    planted_fault what;
    rung_report (*noticed_by)(const rung_settings&);
};
constexpr plant plants[] = {
    {"acknowledge_before_sync", planted_fault::acknowledge_before_sync, faults::crash_points},
    {"publish_before_durable", planted_fault::publish_before_durable, faults::crash_points},
    {"skip_anchor_sync", planted_fault::skip_anchor_sync, faults::crash_points},
    {"skip_folder_sync", planted_fault::skip_folder_sync, faults::crash_points},
    {"forget_ids", planted_fault::forget_ids, faults::crash_points},
    {"expected_or_later", planted_fault::expected_or_later, faults::crash_points},
    {"resume_skips", planted_fault::resume_skips, faults::crash_points},
    {"go_on_after_failed_sync", planted_fault::go_on_after_failed_sync, faults::failing_calls},
    {"keep_index_after_no_space", planted_fault::keep_index_after_no_space, faults::failing_calls},
    {"trust_contents", planted_fault::trust_contents, faults::bit_flips},
    {"trust_length", planted_fault::trust_length, faults::misplaced_files},
};

// In a process of its own: some faults meet an assertion of the log, which notices them too.
bool is_noticed(const plant& each, rung_settings settings) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        eventlog::planted = each.what;
        settings.faults = 20'000;
        const rung_report report = each.noticed_by(settings);
        std::cout << "planted " << each.name << ": "
                  << (report.problem.empty() ? "NOT NOTICED" : report.problem) << " (after "
                  << report.faults << " faults)" << std::endl;
        _exit(report.problem.empty() ? 1 : 0);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    const bool asserted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    if (asserted) {
        std::cout << "planted " << each.name << ": an assertion of the log" << std::endl;
    }
    return asserted || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

bool every_planted_fault_is_noticed(const rung_settings& settings) {
    bool all = true;
    for (const plant& each : plants) {
        all = is_noticed(each, settings) && all;
    }
    return all;
}
#endif

int usage() {
    std::cerr << "usage: store_faults RUNG|all|planted [--faults N] [--seed S] [--replay TEXT]\n";
    return 2;
}

} // namespace

int main(int argc, char** argv) {
    base::configure_log(base::log_level::off, base::log_format::text);
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    if (arguments.empty() || arguments.size() % 2 == 0) {
        return usage();
    }
    rung_settings settings;
    std::uint64_t wanted = 0;
    for (std::size_t i = 1; i < arguments.size(); i += 2) {
        const std::string_view text = arguments[i + 1];
        if (arguments[i] == "--replay") {
            settings.replay = text;
        } else if (arguments[i] == "--faults") {
            std::from_chars(text.data(), text.data() + text.size(), wanted);
        } else if (arguments[i] == "--seed") {
            std::from_chars(text.data(), text.data() + text.size(), settings.seed);
        } else {
            return usage();
        }
    }
#ifdef IMMORTAL_PLANTED_FAULTS
    if (arguments[0] == "planted") {
        return every_planted_fault_is_noticed(settings) ? 0 : 1;
    }
#endif
    bool good = true;
    bool known = false;
    for (const rung& each : rungs) {
        if (arguments[0] == "all" || arguments[0] == each.name) {
            known = true;
            good = run_one(each, settings, wanted) && good;
        }
    }
    return known ? (good ? 0 : 1) : usage();
}
