#include "app/simulate_report.hpp"

#include "base/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

namespace immortal::app {
namespace {

struct row {
    std::string what;
    std::string figure;
    std::string floor;
    std::string verdict;
};

std::string verdict(bool held) {
    return held ? "pass" : "FAIL";
}

std::string latency(const latency_histogram& of) {
    return fmt::format("{:.1f} / {:.1f} / {:.1f} ms", of.quantile_ms(0.50), of.quantile_ms(0.95),
                       of.quantile_ms(0.99));
}

bool queries_held(const simulate_result& r) {
    return r.queries.count() > 0 && r.queries.quantile_ms(0.99) < query_floor_ms;
}
bool commands_held(const simulate_result& r) {
    return r.commands_per_second() > r.commands_per_second_min();
}
bool hit_rate_held(const simulate_result& r) {
    return r.hit_rate && *r.hit_rate > hit_rate_floor;
}
bool delay_held(const simulate_result& r) {
    return r.delays.count() > 0 && r.delays.quantile_ms(0.99) < delay_floor_ms;
}

// The sum of all samples of one counter, over its labels.
std::optional<double> counter_sum(const std::string& text, std::string_view name,
                                  std::string_view label) {
    std::optional<double> sum;
    for (std::string_view rest(text); !rest.empty();) {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (!line.starts_with(name) || line.find(label) == std::string_view::npos)
            continue;
        const char next = line.size() > name.size() ? line[name.size()] : ' ';
        const std::size_t space = line.rfind(' ');
        if ((next != '{' && next != ' ') || space == std::string_view::npos)
            continue;
        double value = 0;
        std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
        sum = sum.value_or(0) + value;
    }
    return sum;
}

boost::json::object latency_json(const latency_histogram& of) {
    return {{"count", of.count()},
            {"p50Ms", of.quantile_ms(0.50)},
            {"p95Ms", of.quantile_ms(0.95)},
            {"p99Ms", of.quantile_ms(0.99)}};
}

} // namespace

double simulate_result::commands_per_second() const {
    return seconds > 0 ? static_cast<double>(accepted) / seconds : 0;
}

double simulate_result::commands_per_second_min() const {
    return std::min(commands_floor, player_commands_floor * players);
}

bool simulate_result::passed() const {
    return queries_held(*this) && commands_held(*this) && hit_rate_held(*this) &&
           delay_held(*this) && check_passed.value_or(false) && failed == 0;
}

std::string report_table(const simulate_result& r) {
    const row rows[] = {
        {"queries, p50 / p95 / p99", latency(r.queries), "< 100 ms", verdict(queries_held(r))},
        {"commands carried out", fmt::format("{:.0f} /s", r.commands_per_second()),
         fmt::format("> {:.0f} /s", r.commands_per_second_min()), verdict(commands_held(r))},
        {"commands, p50 / p95 / p99", latency(r.commands), "", ""},
        {"cache hit rate",
         r.hit_rate ? fmt::format("{:.1f} %", *r.hit_rate * 100) : std::string("not known"),
         "> 90 %", verdict(hit_rate_held(r))},
        {"read-model delay, p50 / p95 / p99", latency(r.delays), "< 1 s", verdict(delay_held(r))},
        {"log, read model and cache agree",
         !r.check_passed   ? "not run"
         : *r.check_passed ? "yes"
                           : "no",
         "yes", verdict(r.check_passed.value_or(false))},
        {"requests that failed", fmt::format("{}", r.failed), "0", verdict(r.failed == 0)},
    };
    std::string out = fmt::format(
        "{} players on {} connections, {:.1f} s: {} commands, {} queries, {} refused "
        "by a rule, {} put off by a rate limit\n\n",
        r.players, r.connections, r.seconds, r.accepted, r.query_count, r.refused, r.limited);
    out += fmt::format("{:<36}{:<28}{:<12}{}\n", "what", "measured", "floor", "");
    for (const row& line : rows)
        out +=
            fmt::format("{:<36}{:<28}{:<12}{}\n", line.what, line.figure, line.floor, line.verdict);
    if (r.commands_per_second_min() < commands_floor)
        out += fmt::format(
            "\nThe floor of the commands is {:.0f} a second for each player, at most "
            "{:.0f} in all: play with {:.0f} players or more to measure that one.\n",
            player_commands_floor, commands_floor, commands_floor / player_commands_floor);
    if (!r.check_problem.empty())
        out += fmt::format("\ncheck: {}\n", r.check_problem);
    if (!r.problems.empty())
        out += "\nanswers other than success:\n";
    for (const auto& [what, count] : r.problems)
        out += fmt::format("{:>9}  {}\n", count, what);
    return out;
}

std::string report_json(const simulate_result& r) {
    boost::json::object problems;
    for (const auto& [what, count] : r.problems)
        problems[what] = count;
    boost::json::object out{{"players", r.players},
                            {"connections", r.connections},
                            {"seconds", r.seconds},
                            {"commandsPerSecond", r.commands_per_second()},
                            {"commandsPerSecondFloor", r.commands_per_second_min()},
                            {"accepted", r.accepted},
                            {"refused", r.refused},
                            {"queryCount", r.query_count},
                            {"rateLimited", r.limited},
                            {"failed", r.failed},
                            {"commands", latency_json(r.commands)},
                            {"queries", latency_json(r.queries)},
                            {"readModelDelay", latency_json(r.delays)},
                            {"answersOtherThanSuccess", std::move(problems)},
                            {"passed", r.passed()}};
    out["cacheHitRate"] =
        r.hit_rate ? boost::json::value(*r.hit_rate) : boost::json::value(nullptr);
    out["checkPassed"] =
        r.check_passed ? boost::json::value(*r.check_passed) : boost::json::value(nullptr);
    return base::json_text(out);
}

std::optional<double> hit_rate_between(const std::string& before, const std::string& after) {
    constexpr std::string_view name = "immortal_cache_reads_total";
    const auto grown = [&](std::string_view label) -> std::optional<double> {
        const auto last = counter_sum(after, name, label);
        if (!last)
            return std::nullopt;
        return *last - counter_sum(before, name, label).value_or(0);
    };
    const auto all = grown("");
    const auto missed = grown("from=\"load\"");
    if (!all || *all <= 0)
        return std::nullopt;
    return 1 - missed.value_or(0) / *all;
}

} // namespace immortal::app
