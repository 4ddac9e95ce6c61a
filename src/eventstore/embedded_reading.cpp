#include "eventstore/embedded_reading.hpp"

#include "base/assert.hpp"

#include <utility>

namespace immortal::eventstore {
namespace {

using base::position;
using base::revision;

// How much of the log one step of a subscription looks through.
constexpr std::uint64_t scan_bytes = 1u << 20u;

class all_source final : public catch_up_source {
public:
    all_source(eventlog::log& log, std::optional<position> after, event_filter filter)
        : log_(log), filter_(record_filter_of(std::move(filter))),
          from_{after ? after->value + 1 : 0}, processed_(after.value_or(position{})) {}

    base::result<subscription::batch> pull(std::size_t count_max,
                                           std::size_t considered_max) override {
        auto slice = log_.read_all(from_, direction::forwards, count_max, filter_, scan_bytes,
                                   where_, considered_max);
        if (!slice) {
            return base::fail(std::move(slice.error()));
        }
        where_ = eventlog::read_start::boundary;
        // Whole batches only, unless the first one alone fills the page.
        const bool cut = considered_max == subscription::unbounded && !slice->events.empty() &&
                         slice->whole > 0 && slice->whole < slice->events.size();
        if (cut) {
            slice->events.resize(slice->whole);
        }
        from_ = cut ? slice->whole_next : slice->next;
        processed_ = (cut ? slice->whole_last_seen : slice->last_seen).value_or(processed_);
        return subscription::batch{.events = std::move(slice->events),
                                   .processed = processed_,
                                   .caught_up = !cut && slice->end,
                                   .considered = cut ? slice->whole_considered : slice->considered};
    }

private:
    eventlog::log& log_;
    eventlog::record_filter filter_;
    position from_;
    eventlog::read_start where_ = eventlog::read_start::anywhere;
    position processed_;
};

class stream_source final : public catch_up_source {
public:
    stream_source(eventlog::log& log, std::string stream, std::optional<revision> after)
        : log_(log), stream_(std::move(stream)), from_{after ? after->value + 1 : 0} {}

    base::result<subscription::batch> pull(std::size_t count_max, std::size_t) override {
        auto slice = log_.read_stream(stream_, from_, direction::forwards, count_max);
        if (!slice) {
            return slice.error().code == base::errc::deleted && begun_
                       ? last_event(std::move(slice.error()))
                       : base::fail(std::move(slice.error()));
        }
        begun_ = true;
        const bool cut = slice->whole > 0 && slice->whole < slice->events.size();
        if (cut) {
            slice->events.resize(slice->whole);
        }
        if (!slice->events.empty()) {
            from_ = {slice->events.back().revision.value + 1};
            processed_ = slice->events.back().position;
        }
        return subscription::batch{.events = std::move(slice->events),
                                   .processed = processed_,
                                   .caught_up = !cut && slice->end};
    }

private:
    // The tombstone once, then the error. A metadata stream ends without an event of its own.
    base::result<subscription::batch> last_event(base::error why) {
        begun_ = false;
        auto event = log_.tombstone(stream_);
        if (!event || !*event) {
            return base::fail(event ? std::move(why) : std::move(event.error()));
        }
        subscription::batch out{.events = {}, .processed = (*event)->position, .caught_up = true};
        out.events.push_back(std::move(**event));
        return out;
    }

    eventlog::log& log_;
    std::string stream_;
    revision from_;
    position processed_;
    bool begun_ = false; // and not ended by a tombstone
};

class view_source final : public catch_up_source {
public:
    view_source(eventlog::log& log, std::string stream, std::optional<revision> after)
        : log_(log), stream_(std::move(stream)), view_(*eventlog::view_of(stream_)),
          from_(after ? after->value + 1 : 0) {}

    base::result<subscription::batch> pull(std::size_t count_max, std::size_t) override {
        auto slice = log_.read_view(view_.view, view_.name, from_, direction::forwards, count_max);
        if (!slice) {
            return base::fail(std::move(slice.error()));
        }
        subscription::batch out;
        out.events.reserve(slice->entries.size());
        for (auto& [number, event] : slice->entries) {
            processed_ = event.position;
            out.events.push_back(make_view_event(stream_, number, std::move(event)));
        }
        from_ = slice->next;
        out.processed = processed_;
        out.caught_up = slice->end;
        return out;
    }

private:
    eventlog::log& log_;
    std::string stream_;
    eventlog::system_view view_; // into `stream_`
    std::uint64_t from_;
    position processed_;
};

} // namespace

eventlog::record_filter record_filter_of(event_filter filter) {
    return [filter = std::move(filter)](const eventlog::record_view& record) {
        return filter.wants(record.stream, record.type);
    };
}

base::result<stream_page> read_view(eventlog::log& log, const std::string& stream, revision from,
                                    direction way, std::size_t count_max) {
    const auto view = eventlog::view_of(stream);
    IMMORTAL_ASSERT(view.has_value());
    stream_page page;
    std::uint64_t at = from.value;
    for (;;) { // where events were removed, a slice may be empty without being the end
        auto slice = log.read_view(view->view, view->name, at, way, count_max);
        if (!slice) {
            return base::fail(std::move(slice.error()));
        }
        if (slice->size > 0) {
            page.last = revision{slice->size - 1};
        }
        page.end = slice->end;
        for (auto& [number, event] : slice->entries) {
            page.events.push_back(make_view_event(stream, number, std::move(event)));
        }
        if (page.end || !page.events.empty()) {
            break;
        }
        at = slice->next;
    }
    if (!page.events.empty()) {
        page.next_readable = page.events.front().revision;
    } else if (page.last && way == direction::forwards) {
        page.next_readable = revision{page.last->value + 1};
    }
    return page;
}

base::result<std::vector<recorded_event>> log_links::read(std::string_view stream, revision from,
                                                          std::size_t count_max) {
    if (eventlog::view_of(stream)) {
        auto page = read_view(log_, std::string(stream), from, direction::forwards, count_max);
        return page ? base::result<std::vector<recorded_event>>(std::move(page->events))
                    : base::fail(std::move(page.error()));
    }
    auto slice = log_.read_stream(stream, from, direction::forwards, count_max);
    return slice ? base::result<std::vector<recorded_event>>(std::move(slice->events))
                 : base::fail(std::move(slice.error()));
}

std::unique_ptr<catch_up_source> make_all_source(eventlog::log& log, std::optional<position> after,
                                                 const all_filter& filter) {
    auto compiled = event_filter::compile(filter);
    if (!compiled) {
        return make_refused_source(std::move(compiled.error()));
    }
    return std::make_unique<all_source>(log, after, std::move(*compiled));
}

std::unique_ptr<catch_up_source> make_stream_source(eventlog::log& log, std::string stream,
                                                    std::optional<revision> after) {
    if (eventlog::view_of(stream)) {
        return std::make_unique<view_source>(log, std::move(stream), after);
    }
    return std::make_unique<stream_source>(log, std::move(stream), after);
}

} // namespace immortal::eventstore
