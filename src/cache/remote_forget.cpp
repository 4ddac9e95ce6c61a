// Removal of keys from Redis: single ones, and by pattern.
#include "base/log.hpp"
#include "cache/remote_level.hpp"
#include "cache/scripts.hpp"

#include <algorithm>
#include <array>

namespace immortal::cache {

namespace {

constexpr const char* scan_count = "500";
constexpr std::size_t scan_rounds_max = 2'000'000; // a cursor that never ends is given up

bool is_protected(std::string_view key) {
    constexpr std::array<std::string_view, 3> prefixes{"lock:", "cache:", "leaderboard:"};
    const bool page = key.starts_with("leaderboard:") && key.find(":page:") != key.npos;
    return !page && std::ranges::any_of(
                        prefixes, [&](std::string_view prefix) { return key.starts_with(prefix); });
}

} // namespace

awaitable<bool> remote_level::forget(const key& where) {
    invalidation told{sender_, invalidation::kind::forget, {}};
    told.add(where, {});
    std::vector<redis::command> commands{
        {"UNLINK", where.text(), scripts::ticket_key(where.text())},
        {"PUBLISH", std::string(invalidation_channel), encode(told)}};
    const auto answers = co_await redis_.run_all(std::move(commands));
    if (!answers) {
        failed(answers.error());
        co_return false;
    }
    co_return std::ranges::none_of(*answers, [](const auto& r) { return r.is_error(); });
}

awaitable<base::result<std::uint64_t>> remote_level::forget_matching(std::string pattern) {
    std::uint64_t removed = 0;
    std::string cursor = "0";
    for (std::size_t round = 0; round < scan_rounds_max; ++round) {
        redis::command scan{"SCAN", cursor, "MATCH", pattern, "COUNT", scan_count};
        const auto answer = co_await redis_.run(std::move(scan));
        if (!answer) {
            failed(answer.error());
            co_return base::fail(answer.error());
        }
        if (answer->what != redis::reply::kind::array || answer->items.size() != 2) {
            failed(*answer);
            co_return base::fail(base::errc::unavailable, "The cache refused to be searched.");
        }
        redis::command unlink{"UNLINK"};
        for (const redis::reply& name : answer->items[1].items) {
            if (!is_protected(name.text)) {
                unlink.push_back(name.text);
            }
        }
        if (unlink.size() > 1) {
            const auto gone = co_await redis_.run(std::move(unlink));
            if (!gone) {
                failed(gone.error());
                co_return base::fail(gone.error());
            }
            removed += static_cast<std::uint64_t>(std::max<std::int64_t>(gone->integer, 0));
        }
        cursor = answer->items[0].text;
        if (cursor == "0") {
            break;
        }
    }
    redis::command tell{"PUBLISH", std::string(invalidation_channel),
                        message(invalidation::kind::clear)};
    const auto told = co_await redis_.run(std::move(tell));
    if (!told) {
        failed(told.error());
        co_return base::fail(told.error());
    }
    co_return removed;
}

} // namespace immortal::cache
