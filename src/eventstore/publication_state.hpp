// What the board and its watches share. For their sources alone.
#pragma once

#include "base/hash.hpp"
#include "base/metrics.hpp"
#include "eventlog/index.hpp"
#include "eventstore/publication_board.hpp"

#include <array>
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace immortal::eventstore {

struct filter_group;
using party_pointer = std::shared_ptr<publication_watch::party>;
using parties = std::vector<party_pointer>;

// Readers by the names that they wait for: streams, and the five kinds of views.
constexpr std::size_t streams_table = eventlog::index_view_count;
constexpr std::size_t table_count = eventlog::index_view_count + 1;

struct hash_text {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return base::stable_hash(text); }
};
using name_table = std::unordered_map<std::string, parties, hash_text, std::equal_to<>>;

struct board_meters {
    explicit board_meters(base::metrics& to);
    base::counter wakes;
    base::counter evaluations;
    base::gauge watches;
};

struct publication_watch::party {
    runtime::async_event event;
    std::uint64_t round = 0; // of work() in which it was woken last
    // What it is registered for: a name in a table, or a filter.
    std::size_t table = table_count;
    std::string name;
    std::shared_ptr<filter_group> group;
    // Among those who wait for a report.
    std::optional<std::multimap<std::uint64_t, party_pointer>::iterator> report;
    std::uint64_t report_seen = 0;
    bool registered = false;
};

// Of one filter, what is known of the log from `begin` to `end`.
struct filter_group {
    // Something in it may be wanted; what stands before it, back to the stretch before, is not.
    struct stretch {
        base::position begin;
        base::position end;
        base::position last_event; // the last one before `begin`
        std::uint64_t events = 0;  // published before `begin`
    };

    explicit filter_group(event_filter wanted) : filter(std::move(wanted)) {}

    const event_filter filter;
    parties members;
    base::position begin;
    base::position end;
    base::position last_event;       // the last one before `end`
    std::uint64_t events = 0;        // published before `end`
    std::deque<stretch> stretches{}; // ascending
};

struct publication_board::state {
    explicit state(base::metrics* metrics) {
        if (metrics != nullptr) {
            meters.emplace(*metrics);
        }
    }

    std::mutex inbox_mutex; // after tables_mutex, where both are held
    publication_summary inbox;
    base::position handed_over; // the end of the log, as far as it was told
    std::size_t watches = 0;
    std::size_t correlation_watches = 0;

    publication_summary working; // of work() alone
    std::uint64_t round = 0;     // the same

    mutable std::mutex tables_mutex;
    std::array<name_table, table_count> tables;
    std::map<std::string, std::shared_ptr<filter_group>> groups; // by the filter's key
    // By the number of published events at which they are due.
    std::multimap<std::uint64_t, party_pointer> reports;
    std::uint64_t reported = 0; // events published at the last report()
    std::atomic<std::uint64_t> published{0};

    std::optional<board_meters> meters;

    // With tables_mutex. What they collect is woken without it.
    void collect(const party_pointer& one, parties& woken) const;
    void collect(std::size_t table, std::string_view name, parties& woken);
    void collect(const publication_summary::touch& touch, parties& woken);
    void collect_all(parties& woken);
    void note(filter_group& group, bool wanted, parties& woken);
    void drop_report(publication_watch::party& one);
    void count_watch(publication_watch::party& one, int by); // 1 or -1; with inbox_mutex too

    // Without it.
    void collect_named(parties& woken);
    void collect_filtered(parties& woken);
    [[nodiscard]] bool any_wanted(const event_filter& filter, std::uint64_t& evaluations) const;
    void wake(const parties& woken);
};

} // namespace immortal::eventstore
