#include "eventstore/embedded_reading.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace immortal::eventstore {
namespace {

using base::position;
using base::revision;

// The events that a reader of a store may take in one slice, with the store's bounds.
std::size_t in_slice(std::size_t count_max) {
    return std::min(count_max, slice_bounds.records);
}

class all_source final : public catch_up_source {
public:
    all_source(eventlog::log& log, std::optional<position> after, const event_filter& filter)
        : log_(log), filter_(record_filter_of(filter)), from_{after ? after->value + 1 : 0},
          processed_(after.value_or(position{})) {}

    base::result<slice> pull(std::size_t count_max, std::size_t considered_max) override {
        const bool whole = considered_max == subscription::unbounded;
        auto read = log_.read_all(from_, direction::forwards, count_max, filter_,
                                  slice_bounds.bytes, where_, in_slice(considered_max));
        if (!read) {
            return base::fail(std::move(read.error()));
        }
        where_ = eventlog::read_start::boundary;
        // Whole batches only, unless the first one alone fills the page.
        const bool cut =
            whole && !read->events.empty() && read->whole > 0 && read->whole < read->events.size();
        const bool unfinished = whole && !read->events.empty() && read->whole == 0 && !read->end;
        if (cut) {
            read->events.resize(read->whole);
        }
        from_ = cut ? read->whole_next : read->next;
        processed_ = (cut ? read->whole_last_seen : read->last_seen).value_or(processed_);
        return slice{{.events = std::move(read->events),
                      .processed = processed_,
                      .caught_up = !cut && read->end,
                      .considered = cut ? read->whole_considered : read->considered},
                     unfinished};
    }

    std::optional<position> place() const override { return from_; }
    position pass_over(position next, position last_event) override {
        IMMORTAL_ASSERT(next > from_ && last_event < next);
        from_ = next;
        where_ = eventlog::read_start::boundary;
        processed_ = std::max(processed_, last_event); // a client may begin between events
        return processed_;
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

    base::result<slice> pull(std::size_t count_max, std::size_t) override {
        auto read = log_.read_stream(stream_, from_, direction::forwards, count_max, slice_bounds);
        if (!read) {
            return read.error().code == base::errc::deleted && begun_
                       ? last_event(std::move(read.error()))
                       : base::fail(std::move(read.error()));
        }
        begun_ = true;
        const bool cut = read->whole > 0 && read->whole < read->events.size();
        const bool unfinished = !read->events.empty() && read->whole == 0 && !read->end;
        if (cut) {
            read->events.resize(read->whole);
        }
        from_ = cut ? revision{read->events.back().revision.value + 1} : read->next;
        if (!read->events.empty()) {
            processed_ = read->events.back().position;
        }
        return slice{{.events = std::move(read->events),
                      .processed = processed_,
                      .caught_up = !cut && read->end},
                     unfinished};
    }

private:
    // The tombstone once, then the error. A metadata stream ends without an event of its own.
    base::result<slice> last_event(base::error why) {
        begun_ = false;
        auto event = log_.tombstone(stream_);
        if (!event || !*event) {
            return base::fail(event ? std::move(why) : std::move(event.error()));
        }
        slice out{{.events = {}, .processed = (*event)->position, .caught_up = true}};
        out.part.events.push_back(std::move(**event));
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

    base::result<slice> pull(std::size_t count_max, std::size_t) override {
        auto read = log_.read_view(view_.view, view_.name, from_, direction::forwards, count_max,
                                   slice_bounds);
        if (!read) {
            return base::fail(std::move(read.error()));
        }
        slice out;
        out.part.events.reserve(read->entries.size());
        for (auto& [number, event] : read->entries) {
            processed_ = event.position;
            out.part.events.push_back(make_view_event(stream_, number, std::move(event)));
        }
        from_ = read->next;
        out.part.processed = processed_;
        out.part.caught_up = read->end;
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

std::size_t bytes_of(const recorded_event& event) {
    return event.data.size() + event.metadata.size() +
           (event.link_target ? bytes_of(*event.link_target) : 0);
}

page_reading::page_reading(eventlog::log& log, std::string stream, revision from, direction way,
                           std::size_t count_max)
    : log_(log), stream_(std::move(stream)), view_(eventlog::view_of(stream_)), place_(from),
      way_(way), count_max_(count_max) {}

base::result<bool> page_reading::step() {
    const bool was_empty = page_.events.empty();
    auto done = view_ ? read_view() : read_stream();
    if (!done) {
        return base::fail(std::move(done.error()));
    }
    if (was_empty && !page_.events.empty()) {
        page_.next_readable = page_.events.front().revision;
    }
    if (page_.end || page_.events.size() >= count_max_ || bytes_ >= page_bytes) {
        return true;
    }
    // Where events were removed, a page has fewer than it asks for.
    const std::uint64_t begin = page_.events.empty() ? 0 : page_.events.front().revision.value;
    const std::uint64_t looked =
        way_ == direction::forwards ? place_.value - begin : begin - place_.value;
    return !page_.events.empty() && looked >= count_max_;
}

void page_reading::take(recorded_event event) {
    bytes_ += bytes_of(event);
    page_.events.push_back(std::move(event));
}

base::status page_reading::read_stream() {
    auto slice =
        log_.read_stream(stream_, place_, way_, count_max_ - page_.events.size(), slice_bounds);
    if (!slice) {
        return base::fail(std::move(slice.error()));
    }
    page_.last = slice->last;
    page_.end = slice->end;
    place_ = slice->next;
    if (page_.events.empty()) {
        page_.soft_deleted = slice->soft_deleted;
        page_.next_readable = slice->next_readable;
    }
    for (recorded_event& event : slice->events) {
        take(std::move(event));
    }
    return {};
}

base::status page_reading::read_view() {
    auto slice = log_.read_view(view_->view, view_->name, place_.value, way_,
                                count_max_ - page_.events.size(), slice_bounds);
    if (!slice) {
        return base::fail(std::move(slice.error()));
    }
    if (slice->size > 0) {
        page_.last = revision{slice->size - 1};
    }
    page_.end = slice->end;
    place_.value = slice->next;
    for (auto& [number, event] : slice->entries) {
        take(make_view_event(stream_, number, std::move(event)));
    }
    if (page_.events.empty() && page_.last && way_ == direction::forwards) {
        page_.next_readable = revision{page_.last->value + 1};
    }
    return {};
}

base::result<link_source::found> log_links::read(std::string_view stream, revision from,
                                                 std::size_t count_max) {
    page_reading reading(log_, std::string(stream), from, direction::forwards, count_max);
    const auto complete = reading.step();
    if (!complete) {
        return base::fail(complete.error());
    }
    const revision behind{from.value + count_max};
    const bool to_the_end = *complete && reading.page().end;
    return found{reading.take().events,
                 to_the_end ? behind : std::clamp(reading.place(), {from.value + 1}, behind)};
}

std::unique_ptr<catch_up_source> make_all_source(eventlog::log& log, std::optional<position> after,
                                                 const event_filter& filter) {
    return std::make_unique<all_source>(log, after, filter);
}

std::unique_ptr<catch_up_source> make_stream_source(eventlog::log& log, std::string stream,
                                                    std::optional<revision> after) {
    if (eventlog::view_of(stream)) {
        return std::make_unique<view_source>(log, std::move(stream), after);
    }
    return std::make_unique<stream_source>(log, std::move(stream), after);
}

} // namespace immortal::eventstore
