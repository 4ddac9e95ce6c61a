// Who waits for which events, and how far they were published: a publication wakes those whom it
// concerns and nobody else. Without thread, clock and I/O; publication_hub drives it.
//
// How a reader waits. It has a watch from before it looks for the first time:
//
//   1. it reads the watch's version,
//   2. it looks at the log, up to the durable head;
//   3. when there is nothing more, it waits for a version above the one it read.
//
// Invariants:
//   A. The log's head moves before its events are handed over, and they are handed over before
//      anybody is woken for them. So events that a reader's look (2) missed are handed over after
//      its step 1, and what they raise is above the version that it waits for: no wake-up is lost.
//   B. Publications are worked on in the log's order, all of them: a filter that wanted nothing of
//      what was worked on since some place wants nothing there, and its readers may pass over it
//      without a look (quiet_from). Who comes later knows nothing of what was handed over before.
//   C. Too much to be told (publication_summary) concerns everybody.
// Rely on them: catch_up.cpp.
//
// What is touched by an event of stream s, type t: s, `$ce-`, `$et-`, `$bc-`, `$streams` and
// `$category-` of it, s' own reader if s is `$$s'`, and that of `$$s` if it is a tombstone.
#pragma once

#include "eventstore/event_filter.hpp"
#include "eventstore/publication_summary.hpp"
#include "runtime/async_event.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <span>

namespace immortal::base {
class metrics;
}

namespace immortal::eventstore {

class publication_board;

// Those who count events are told of such that do not concern them after so long.
constexpr std::chrono::milliseconds report_after{1'000};

// Where a filter may want something next.
struct outlook {
    base::position next;       // nothing before it is wanted; a boundary between appends
    base::position last_event; // the last one before `next`
    std::uint64_t events = 0;  // published before `next`, as publication_watch::sight counts them
    bool quiet = false;        // everything that was published stands before `next`
};

// One waiting reader's interest. Thread-safe; one coroutine waits at a time. Keeps the board alive.
class publication_watch {
public:
    struct party;
    publication_watch(std::shared_ptr<publication_board> board, std::shared_ptr<party> own);
    ~publication_watch();
    publication_watch(const publication_watch&) = delete;
    publication_watch& operator=(const publication_watch&) = delete;

    struct sight {
        std::uint64_t version = 0;
        std::uint64_t events = 0; // published since the board began, about
    };
    [[nodiscard]] sight look() const;
    // True as soon as the version is above `version`; false when `limit` has passed or the
    // coroutine was cancelled.
    [[nodiscard]] runtime::awaitable<bool> wait(std::uint64_t version,
                                                std::chrono::milliseconds limit);
    void wake();

    // Of a watch over all events: empty if not all of the log from `from` on is known.
    [[nodiscard]] std::optional<outlook> quiet_from(base::position from) const;
    // From now on wakes also when `more` events beyond `seen` were published, and at the next
    // publication_board::report() after the first of them. False: some were already.
    [[nodiscard]] bool ask_report(const sight& seen, std::uint64_t more);
    void end_report();

private:
    std::shared_ptr<publication_board> board_;
    std::shared_ptr<party> own_;
};

class publication_board : public std::enable_shared_from_this<publication_board> {
public:
    // `metrics` may be null.
    explicit publication_board(base::metrics* metrics);
    ~publication_board();
    publication_board(const publication_board&) = delete;
    publication_board& operator=(const publication_board&) = delete;

    // Before any watch is made: the log is readable up to `end`. hand_over() may have begun.
    void begin(base::position end);
    // One caller at a time, in the log's order, after the events became readable. Copies what it
    // needs; does not wait for work(). True: work() has something to do.
    bool hand_over(base::position end, std::span<const eventlog::index_entry> entries);

    // One caller at a time: looks at what was handed over and wakes whom it concerns.
    void work();
    // Whether somebody waits to be told of events that concern nobody.
    [[nodiscard]] bool wants_report() const;
    void report(); // tells them

    // Thread-safe. A stream or a view.
    [[nodiscard]] std::unique_ptr<publication_watch> watch_stream(std::string_view stream);
    // All events that `filter` wants. Equal filters are looked at once for all who have them.
    [[nodiscard]] std::unique_ptr<publication_watch> watch_all(const event_filter& filter);

private:
    friend class publication_watch;
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::eventstore
