// What the store in memory holds, and what a reader sees of it.
#pragma once

#include "base/clock.hpp"
#include "eventlog/append_decision.hpp"
#include "eventlog/stream_metadata.hpp"
#include "eventlog/system_view.hpp"
#include "eventstore/event_filter.hpp"
#include "eventstore/links.hpp"

#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace immortal::eventstore {

// Every member function expects `mutex` to be held; it is never held across a suspension.
class memory_contents final : public link_source {
public:
    explicit memory_contents(base::clock& clock) : clock_(clock) {}

    mutable std::mutex mutex;

    // As event_store::append; `unmet` as for decide_append.
    base::result<append_outcome> append(std::vector<stream_write>& writes,
                                        std::vector<unmet_expectation>* unmet);

    // What event_store::read_stream gives for a stream or view.
    [[nodiscard]] base::result<stream_page> page(std::string_view stream, base::revision from,
                                                 direction way, std::size_t count_max);
    [[nodiscard]] std::optional<base::revision> last(std::string_view stream);
    [[nodiscard]] stream_info info(std::string_view stream);
    [[nodiscard]] const recorded_event* tombstone(std::string_view stream);
    // Whether this event is the last one of its stream in its append.
    [[nodiscard]] bool ends_stream_write(const recorded_event& event);

    // Everything in log order.
    [[nodiscard]] const std::vector<recorded_event>& events() const { return events_; }
    [[nodiscard]] std::size_t place_of(base::position from) const; // of the first event at or after
    [[nodiscard]] base::position end() const { return end_; }

    base::result<found> read(std::string_view stream, base::revision from,
                             std::size_t count_max) override;
    base::result<std::vector<bool>>
    are_shown(std::span<const recorded_event* const> events) override;

private:
    class facts;
    struct stored_stream {
        std::vector<std::size_t> places; // in `events_`, by revision
        std::unordered_map<base::uuid, base::revision> ids;
        std::optional<std::size_t> tombstone; // in `events_`
    };
    struct shown_part {
        base::revision lowest;
        bool soft_deleted = false;
        bool tombstoned = false;
    };

    stored_stream* find(std::string_view stream);
    [[nodiscard]] const recorded_event* metadata_event(std::string_view stream);
    [[nodiscard]] shown_part part_of(std::string_view stream);
    [[nodiscard]] stream_page view_page(const eventlog::system_view& view, std::string_view stream,
                                        base::revision from, direction way, std::size_t count_max);
    [[nodiscard]] std::vector<std::size_t> places_in(const eventlog::system_view& view) const;
    base::position write(std::vector<stream_write>& writes,
                         const std::vector<base::revision>& first, std::size_t outcome_write,
                         std::size_t outcome_event);

    base::clock& clock_;
    std::vector<recorded_event> events_;
    std::unordered_map<std::string, stored_stream> streams_;
    base::position end_{256};
    base::utc_time last_created_{};
};

} // namespace immortal::eventstore
