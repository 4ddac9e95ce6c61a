// How the embedded store reads its log: views, links, and what subscriptions pull from.
#pragma once

#include "eventlog/log.hpp"
#include "eventstore/catch_up.hpp"
#include "eventstore/event_filter.hpp"
#include "eventstore/links.hpp"

namespace immortal::eventstore {

// A read never holds its thread for longer than a slice of so much takes; then others have it.
inline constexpr eventlog::read_bounds slice_bounds{
    .records = 2048, .bytes = 1u << 20u, .time = std::chrono::milliseconds(5)};

[[nodiscard]] eventlog::record_filter record_filter_of(event_filter filter);

// Of its contents, and of what it leads to where it brings that along.
[[nodiscard]] std::size_t bytes_of(const recorded_event& event);

// One page of a stream or view, read slice by slice. `log` outlives it; one thread at a time.
class page_reading {
public:
    page_reading(eventlog::log& log, std::string stream, base::revision from, direction way,
                 std::size_t count_max);
    page_reading(const page_reading&) = delete;
    page_reading& operator=(const page_reading&) = delete;

    // Reads one slice; true: the page is complete. Errors: as event_store::read_stream.
    [[nodiscard]] base::result<bool> step();
    [[nodiscard]] const stream_page& page() const { return page_; }
    [[nodiscard]] base::revision place() const { return place_; } // of the following slice
    [[nodiscard]] stream_page take() { return std::move(page_); }

private:
    [[nodiscard]] base::status read_stream();
    [[nodiscard]] base::status read_view();
    void take(recorded_event event);

    eventlog::log& log_;
    const std::string stream_;
    const std::optional<eventlog::system_view> view_; // into `stream_`
    base::revision place_;
    const direction way_;
    const std::size_t count_max_;
    stream_page page_;
    std::size_t bytes_ = 0; // of its events
};

// Follows links within `log`, which outlives it.
class log_links final : public link_source {
public:
    explicit log_links(eventlog::log& log) : log_(log) {}
    base::result<found> read(std::string_view stream, base::revision from,
                             std::size_t count_max) override;
    base::result<std::vector<bool>>
    are_shown(std::span<const recorded_event* const> events) override {
        return log_.are_shown(events);
    }

private:
    eventlog::log& log_;
};

// `log` outlives the sources.
[[nodiscard]] std::unique_ptr<catch_up_source> make_all_source(eventlog::log& log,
                                                               std::optional<base::position> after,
                                                               const event_filter& filter);
[[nodiscard]] std::unique_ptr<catch_up_source>
make_stream_source(eventlog::log& log, std::string stream, std::optional<base::revision> after);

} // namespace immortal::eventstore
