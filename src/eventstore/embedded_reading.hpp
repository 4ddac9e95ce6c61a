// How the embedded store reads its log: views, links, and what subscriptions pull from.
#pragma once

#include "eventlog/log.hpp"
#include "eventstore/catch_up.hpp"
#include "eventstore/event_filter.hpp"
#include "eventstore/links.hpp"

namespace immortal::eventstore {

[[nodiscard]] eventlog::record_filter record_filter_of(event_filter filter);

// Precondition: `stream` is a view.
[[nodiscard]] base::result<stream_page> read_view(eventlog::log& log, const std::string& stream,
                                                  base::revision from, direction way,
                                                  std::size_t count_max);

// Follows links within `log`, which outlives it.
class log_links final : public link_source {
public:
    explicit log_links(eventlog::log& log) : log_(log) {}
    base::result<std::vector<recorded_event>> read(std::string_view stream, base::revision from,
                                                   std::size_t count_max) override;
    base::result<std::vector<bool>>
    are_shown(std::span<const recorded_event* const> events) override {
        return log_.are_shown(events);
    }

private:
    eventlog::log& log_;
};

// `log` outlives the sources.
[[nodiscard]] std::unique_ptr<catch_up_source>
make_all_source(eventlog::log& log, std::optional<base::position> after, const all_filter& filter);
[[nodiscard]] std::unique_ptr<catch_up_source>
make_stream_source(eventlog::log& log, std::string stream, std::optional<base::revision> after);

} // namespace immortal::eventstore
