#include "store/combinations.hpp"
#include "store/rungs.hpp"

#include <array>

namespace immortal::faults {
namespace {

using base::cut_policy;
using kind = base::file_error::kind;

// EIO; ENOSPC and EDQUOT; EROFS and EPERM. A failing write leaves a part of its bytes, as a short
// write does. (EINTR and short writes that succeed in part are the system calls' matter:
// failing_calls.cpp in tests/fault/real.)
constexpr std::array kinds{kind::io, kind::no_space, kind::denied};
// What the disk holds afterwards: the process died, or the power failed.
constexpr std::array afterwards{cut_policy::keep_all, cut_policy::drop_all,
                                cut_policy::keep_random};

struct call_state {
    std::vector<std::size_t> operations;
    std::uint64_t step = 0;
    std::size_t kind = 0;
    bool sticky = false;
    bool while_starting = false; // `step` counts from the restart
    std::size_t afterwards = 0;
    std::uint64_t seed = 0;

    [[nodiscard]] std::string text() const {
        return text_of(operations) + ":" + std::to_string(step) + ":" + std::to_string(kind) + ":" +
               std::to_string(sticky) + ":" + std::to_string(while_starting) + ":" +
               std::to_string(afterwards) + ":" + std::to_string(seed);
    }
};

// `reached`: whether the call was made at all.
std::string run(const call_state& state, bool& reached) {
    store_session session(state.seed);
    base::memory_file_system& disk = session.disk;
    if (!state.while_starting) {
        disk.fail_at(state.step, kinds[state.kind], state.sticky);
    }
    session.open();
    for (const std::size_t which : state.operations) {
        operations()[which].run(session);
    }
    session.read_everything(); // goes on, whatever failed; what it shows must stay
    reached = disk.steps() >= state.step;
    session.close();
    if (state.while_starting) {
        // First something to recover: power is lost with writes on the way.
        disk.restart(cut_policy::tear_last);
        const std::uint64_t before = disk.steps();
        disk.fail_at(before + state.step, kinds[state.kind], state.sticky);
        session.open();
        operations()[state.seed % combined].run(session);
        session.close();
        reached = disk.steps() >= before + state.step;
    }
    disk.restart(afterwards[state.afterwards]);
    if (!session.open()) {
        return "the log does not open: " + session.problem.message;
    }
    std::string problem = session.book.violation(session.log());
    return problem.empty() ? session.book.settle(session.log()) : problem;
}

bool try_one(const call_state& state, rung_report& report) {
    bool reached = false;
    report.problem = run(state, reached);
    if (reached) {
        ++report.faults;
        ++report.counts[state.while_starting ? "while starting" : "while running"];
    }
    report.replay = state.text();
    return report.problem.empty();
}

std::uint64_t steps_of(const std::vector<std::size_t>& combination) {
    store_session session(1);
    session.open();
    for (const std::size_t which : combination) {
        operations()[which].run(session);
    }
    session.close();
    return session.disk.steps();
}

} // namespace

rung_report failing_calls(const rung_settings& settings) {
    rung_report report;
    if (!settings.replay.empty()) {
        const auto f = fields_of(settings.replay);
        static_cast<void>(try_one({combination_of(settings.replay), f.at(1), f.at(2), f.at(3) != 0,
                                   f.at(4) != 0, f.at(5), f.at(6)},
                                  report));
        return report;
    }
    for (std::uint64_t round = 0; report.faults < settings.faults; ++round) {
        const std::uint64_t seed = settings.seed + round;
        for (const auto& combination : combinations(seed)) {
            const std::uint64_t steps = steps_of(combination);
            for (std::uint64_t step = 1; step <= steps; ++step) {
                for (std::size_t which = 0; which < kinds.size() * 4; ++which) {
                    const std::size_t what = which / 4;
                    const bool sticky = which % 2 == 1;
                    const bool starting = which / 2 % 2 == 1;
                    if (starting && step > 12) {
                        continue;
                    }
                    if (!try_one({combination, step, what, sticky, starting,
                                  (step + which) % afterwards.size(), seed * 1000 + step},
                                 report)) {
                        return report;
                    }
                }
            }
            if (report.faults >= settings.faults) {
                break;
            }
        }
    }
    return report;
}

} // namespace immortal::faults
