#include "eventlog/format.hpp"
#include "store/combinations.hpp"
#include "store/rungs.hpp"

#include <array>

namespace immortal::faults {
namespace {

using base::cut_policy;
using eventlog::format::segment_name;

constexpr std::array policies{cut_policy::drop_all, cut_policy::keep_random, cut_policy::tear_last,
                              cut_policy::reorder};

struct crash_state {
    std::vector<std::size_t> operations;
    std::uint64_t step = 0;
    std::uint64_t second = 0; // of the start after it; 0: that one is left in peace
    std::size_t policy = 0;
    std::uint64_t seed = 0;

    [[nodiscard]] std::string text() const {
        return text_of(operations) + ":" + std::to_string(step) + ":" + std::to_string(second) +
               ":" + std::to_string(policy) + ":" + std::to_string(seed);
    }
};

// Cuts the log within the last acknowledged append, as somebody might who has seen it closed. The
// head anchor must notice; the file is put back.
std::string cut_tail_is_noticed(store_session& of) {
    const auto last = of.book.last_acknowledged();
    std::uint64_t begin = 0;
    for (std::uint32_t number = 0; last; ++number) {
        const std::string path = std::string(store_session::folder) + "/" + segment_name(number);
        const std::string whole = of.disk.contents(path);
        if (whole.empty()) {
            return {}; // what is wrong is found by the next check
        }
        if (last->value < begin + whole.size()) {
            of.disk.set_contents(path, whole.substr(0, last->value - begin + 10));
            const bool started = of.open();
            of.close();
            of.disk.set_contents(path, whole);
            return started ? "a log without its acknowledged tail starts" : "";
        }
        begin += whole.size();
    }
    return {};
}

// `cut`: whether the step was reached.
std::string run(const crash_state& state, bool& cut) {
    store_session session(state.seed);
    session.disk.lose_power_at(state.step);
    session.open();
    for (const std::size_t which : state.operations) {
        operations()[which].run(session);
    }
    session.close();
    cut = session.disk.lost_power();
    session.disk.restart(policies[state.policy]);
    if (state.second > 0) {
        session.disk.lose_power_at(session.disk.steps() + state.second);
        session.open();
        session.close();
        session.disk.restart(policies[state.policy]);
    } else if (policies[state.policy] == cut_policy::drop_all) {
        if (std::string problem = cut_tail_is_noticed(session); !problem.empty()) {
            return problem;
        }
    }
    if (!session.open()) {
        return "the log does not open: " + session.problem.message;
    }
    std::string problem = session.book.violation(session.log());
    return problem.empty() ? session.book.settle(session.log()) : problem;
}

// The steps of a combination without faults: of the first opening, and of all.
std::pair<std::uint64_t, std::uint64_t> steps_of(const std::vector<std::size_t>& combination) {
    store_session session(1);
    session.open();
    const std::uint64_t opening = session.disk.steps();
    for (const std::size_t which : combination) {
        operations()[which].run(session);
    }
    session.close();
    return {opening, session.disk.steps()};
}

bool try_one(const crash_state& state, rung_report& report) {
    bool cut = false;
    report.problem = run(state, cut);
    report.faults += cut ? 1 : 0;
    report.replay = state.text();
    return report.problem.empty();
}

} // namespace

rung_report crash_points(const rung_settings& settings) {
    rung_report report;
    if (!settings.replay.empty()) {
        const auto fields = fields_of(settings.replay);
        static_cast<void>(try_one({combination_of(settings.replay), fields.at(1), fields.at(2),
                                   fields.at(3), fields.at(4)},
                                  report));
        return report;
    }
    for (std::uint64_t round = 0; report.faults < settings.faults; ++round) {
        const std::uint64_t seed = settings.seed + round;
        for (const auto& combination : combinations(seed)) {
            const auto [opening, all] = steps_of(combination);
            const std::uint64_t first = combination.size() == 1 ? 1 : opening + 1;
            for (std::uint64_t step = first; step <= all; ++step) {
                for (std::size_t policy = 0; policy < policies.size(); ++policy) {
                    const std::uint64_t second = step % 5 == 0 ? 1 + (step + policy) % 7 : 0;
                    if (!try_one({combination, step, second, policy, seed * 1000 + step}, report)) {
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
