#include "eventlog/append_deadlines.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "base/metrics.hpp"

#include <utility>

namespace immortal::eventlog {
namespace {

constexpr std::uint32_t retry_after_ms = 1000;

base::error unknown_error() {
    return {base::errc::unknown_outcome,
            "the disk did not answer in time and it is not known whether the events were written: "
            "repeat the same request to find out",
            "deadline",
            {},
            retry_after_ms};
}

} // namespace

base::error withdrawn_error() {
    return {base::errc::unavailable,
            "the event log is busy or its disk does not answer: nothing was written; try again a "
            "little later",
            "deadline",
            {},
            retry_after_ms};
}

struct append_deadlines::meters {
    explicit meters(base::metrics& target)
        : withdrawn(target.make_counter("immortal_eventlog_appends_withdrawn_total",
                                        "Appends that waited for the writer until their deadline")),
          unknown(
              target.make_counter("immortal_eventlog_appends_unknown_total",
                                  "Appends that were being written when their deadline passed")) {}
    base::counter withdrawn;
    base::counter unknown;
};

append_deadlines::append_deadlines(append_queue& queue, const base::clock& clock,
                                   base::metrics* metrics)
    : queue_(queue), clock_(clock),
      meters_(metrics == nullptr ? nullptr : std::make_unique<meters>(*metrics)),
      thread_([this] { run(); }) {}

append_deadlines::~append_deadlines() {
    stop();
}

void append_deadlines::stop() {
    queue_.end_watch();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void append_deadlines::run() {
    while (queue_.wait_for_unanswered(look_period)) {
        auto late = queue_.withdraw_late(clock_.steady_now());
        std::size_t unknown = 0;
        for (const auto& ticket : late.begun) {
            unknown += ticket->answer(base::fail(unknown_error())) ? 1 : 0;
        }
        for (pending_append& item : late.withdrawn) {
            const auto ticket = std::move(item.ticket);
            item = {}; // memory and charge first: whoever is answered may ask again at once
            const bool first = ticket->answer(base::fail(withdrawn_error()));
            IMMORTAL_ASSERT(first); // nobody else knew it any more
        }
        if (unknown + late.withdrawn.size() == 0) {
            continue;
        }
        base::log_warning("eventlog", "appends reached their deadline",
                          {{"withdrawn", late.withdrawn.size()}, {"under_way", unknown}});
        if (meters_) {
            meters_->withdrawn.add(static_cast<double>(late.withdrawn.size()));
            meters_->unknown.add(static_cast<double>(unknown));
        }
    }
}

} // namespace immortal::eventlog
