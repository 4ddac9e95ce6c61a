#include "eventstore/memory_contents.hpp"

#include "eventlog/append_order.hpp"
#include "eventlog/append_plan.hpp"
#include "eventlog/correlation.hpp"

#include <algorithm>
#include <utility>

namespace immortal::eventstore {
namespace {

using base::errc;
using base::fail;
using base::position;
using base::revision;
using eventlog::index_view;

bool correlation_is(const recorded_event& event, std::string_view id) {
    std::string buffer;
    return eventlog::correlation_of(event.metadata, buffer) == id;
}

bool stands_in(const eventlog::system_view& view, const recorded_event& event) {
    const bool link = event.type == eventlog::link_type;
    const bool original = !link && event.revision != eventlog::tombstone_revision;
    switch (view.view) {
    case index_view::category:
        return original && eventlog::category_of(event.stream) == view.name;
    case index_view::type:
        return !link && event.type == view.name;
    case index_view::correlation:
        return original && correlation_is(event, view.name);
    case index_view::streams:
        return event.revision.value == 0;
    case index_view::category_streams:
        return event.revision.value == 0 && eventlog::category_of(event.stream) == view.name;
    }
    return false;
}

} // namespace

class memory_contents::facts final : public eventlog::stream_facts {
public:
    facts(memory_contents& all, const std::string& name) : all_(all), name_(name) {}

    std::optional<revision> last() override { return all_.last(name_); }
    bool tombstoned() override { return all_.part_of(name_).tombstoned; }
    bool soft_deleted() override { return all_.part_of(name_).soft_deleted; }
    std::optional<revision> last_metadata() override {
        return eventlog::is_metadata_stream(name_) ? std::nullopt
                                                   : all_.last(eventlog::metadata_stream_of(name_));
    }
    base::result<std::string> metadata() override {
        const recorded_event* event = all_.metadata_event(name_);
        const bool json = event != nullptr && event->format == eventlog::content::json;
        return json ? event->data : std::string();
    }
    described describes() override {
        const std::string_view of = eventlog::described_stream(name_);
        return {all_.last(of), all_.part_of(of).soft_deleted};
    }
    base::result<std::optional<base::uuid>> id_at(revision at) override { return event_at(at).id; }
    base::result<position> position_at(revision at) override { return event_at(at).position; }
    std::optional<eventlog::known_event> find(const base::uuid& id) override {
        const stored_stream* stream = all_.find(name_);
        if (stream == nullptr) {
            return std::nullopt;
        }
        const auto found = stream->ids.find(id);
        if (found == stream->ids.end()) {
            return std::nullopt;
        }
        return eventlog::known_event{found->second, event_at(found->second).position};
    }

private:
    const recorded_event& event_at(revision at) {
        return all_.events_[all_.find(name_)->places[at.value]];
    }

    memory_contents& all_;
    const std::string& name_;
};

base::result<append_outcome> memory_contents::append(std::vector<stream_write>& writes,
                                                     std::vector<unmet_expectation>* unmet) {
    if (auto valid = eventlog::validate_append(writes); !valid) {
        return fail(std::move(valid.error()));
    }
    std::vector<facts> known;
    known.reserve(writes.size());
    std::vector<eventlog::stream_facts*> views;
    for (const stream_write& write : writes) {
        known.emplace_back(*this, write.stream);
        views.push_back(&known.back());
    }
    auto verdict = eventlog::decide_append(writes, views, unmet);
    if (!verdict) {
        return fail(std::move(verdict.error()));
    }
    if (!verdict->write) {
        return std::move(verdict->outcome);
    }
    auto plan = eventlog::plan_append(writes, views);
    if (!plan) {
        return fail(std::move(plan.error()));
    }
    plan->outcome.position = write(writes, plan->first, plan->outcome_write, plan->outcome_event);
    return std::move(plan->outcome);
}

position memory_contents::write(std::vector<stream_write>& writes,
                                const std::vector<revision>& first, std::size_t outcome_write,
                                std::size_t outcome_event) {
    position outcome;
    last_created_ = std::max(last_created_, clock_.now());
    eventlog::visit_in_order(writes, [&](std::size_t i, std::size_t n) {
        stream_write& write = writes[i];
        new_event& event = write.events[n];
        const revision at{first[i].value + n};
        stored_stream& stream = streams_[write.stream];
        if (at == eventlog::tombstone_revision) {
            stream.tombstone = events_.size();
        } else {
            stream.places.push_back(events_.size());
            stream.ids.insert_or_assign(event.id, at);
        }
        if (i == outcome_write && n == outcome_event) {
            outcome = end_;
        }
        const std::uint64_t size =
            64 + event.data.size() + event.metadata.size() + event.type.size();
        events_.push_back({end_, write.stream, at, event.id, std::move(event.type),
                           std::move(event.data), std::move(event.metadata), last_created_,
                           event.format, false, nullptr});
        end_.value += size;
    });
    events_.back().last_in_batch = true;
    return outcome;
}

memory_contents::stored_stream* memory_contents::find(std::string_view stream) {
    const auto found = streams_.find(std::string(stream));
    return found == streams_.end() ? nullptr : &found->second;
}

std::optional<revision> memory_contents::last(std::string_view stream) {
    if (const auto view = eventlog::view_of(stream)) {
        const std::size_t size = places_in(*view).size();
        return size == 0 ? std::nullopt : std::optional(revision{size - 1});
    }
    const stored_stream* found = find(stream);
    if (found == nullptr) {
        return std::nullopt;
    }
    return found->tombstone ? eventlog::tombstone_revision : revision{found->places.size() - 1};
}

const recorded_event* memory_contents::metadata_event(std::string_view stream) {
    const stored_stream* holder = find(eventlog::metadata_stream_of(stream));
    return holder == nullptr ? nullptr : &events_[holder->places.back()];
}

const recorded_event* memory_contents::tombstone(std::string_view stream) {
    const stored_stream* found = find(stream);
    return found == nullptr || !found->tombstone ? nullptr : &events_[*found->tombstone];
}

memory_contents::shown_part memory_contents::part_of(std::string_view stream) {
    shown_part out;
    const stored_stream* found = find(stream);
    if (eventlog::is_metadata_stream(stream)) {
        out.tombstoned = tombstone(eventlog::described_stream(stream)) != nullptr;
        out.lowest = {found == nullptr ? 0 : found->places.size() - 1};
        return out;
    }
    out.tombstoned = tombstone(stream) != nullptr;
    const recorded_event* holder = metadata_event(stream);
    if (holder == nullptr || out.tombstoned) {
        return out;
    }
    const auto metadata = eventlog::metadata_of(*holder);
    out.soft_deleted = metadata.soft_deleted();
    if (found != nullptr) {
        out.lowest = eventlog::lowest_readable(metadata, {found->places.size() - 1});
        const base::utc_time now = clock_.now();
        while (out.lowest.value < found->places.size() &&
               eventlog::too_old(metadata, events_[found->places[out.lowest.value]].created, now)) {
            ++out.lowest.value;
        }
    }
    return out;
}

base::result<stream_page> memory_contents::page(std::string_view stream, revision from,
                                                direction way, std::size_t count_max) {
    if (const auto view = eventlog::view_of(stream)) {
        return view_page(*view, stream, from, way, count_max);
    }
    const shown_part part = part_of(stream);
    if (part.tombstoned) {
        return fail(errc::deleted, "stream " + std::string(stream) + " was deleted for ever",
                    "tombstoned", std::string(stream));
    }
    stream_page page;
    page.soft_deleted = part.soft_deleted;
    page.last = last(stream);
    if (!page.last || page.soft_deleted) {
        return page;
    }
    const stored_stream& found = *find(stream);
    const std::uint64_t size = found.places.size();
    if (way == direction::forwards) {
        std::uint64_t at = std::max(from.value, part.lowest.value);
        page.next_readable = revision{std::max(std::min(from.value, size), part.lowest.value)};
        for (; at < size && page.events.size() < count_max; ++at) {
            page.events.push_back(events_[found.places[at]]);
        }
        page.end = at >= size;
        return page;
    }
    std::uint64_t left = std::min<std::uint64_t>(from.value, size - 1) + 1;
    for (; left > part.lowest.value && page.events.size() < count_max; --left) {
        page.events.push_back(events_[found.places[left - 1]]);
    }
    page.end = left <= part.lowest.value;
    if (!page.events.empty()) {
        page.next_readable = page.events.front().revision;
    }
    return page;
}

std::vector<std::size_t> memory_contents::places_in(const eventlog::system_view& view) const {
    std::vector<std::size_t> out;
    for (std::size_t place = 0; place < events_.size(); ++place) {
        if (stands_in(view, events_[place])) {
            out.push_back(place);
        }
    }
    return out;
}

stream_page memory_contents::view_page(const eventlog::system_view& view, std::string_view stream,
                                       revision from, direction way, std::size_t count_max) {
    const auto places = places_in(view);
    stream_page page;
    if (places.empty()) {
        return page;
    }
    page.last = revision{places.size() - 1};
    const auto take = [&](std::uint64_t number) {
        page.events.push_back(make_view_event(stream, number, events_[places[number]]));
    };
    if (way == direction::forwards) {
        std::uint64_t at = from.value;
        for (; at < places.size() && page.events.size() < count_max; ++at) {
            take(at);
        }
        page.end = at >= places.size();
        page.next_readable = revision{std::min<std::uint64_t>(from.value, places.size())};
        return page;
    }
    std::uint64_t left = std::min<std::uint64_t>(from.value, places.size() - 1) + 1;
    page.next_readable = revision{left - 1};
    for (; left > 0 && page.events.size() < count_max; --left) {
        take(left - 1);
    }
    page.end = left == 0;
    return page;
}

stream_info memory_contents::info(std::string_view stream) {
    stream_info out;
    out.last = last(stream);
    if (eventlog::view_of(stream)) {
        return out;
    }
    const shown_part part = part_of(stream);
    out.soft_deleted = part.soft_deleted;
    out.tombstoned = part.tombstoned;
    if (out.tombstoned) {
        out.last = eventlog::tombstone_revision;
        return out;
    }
    const recorded_event* metadata =
        eventlog::is_metadata_stream(stream) ? nullptr : metadata_event(stream);
    if (metadata != nullptr) {
        out.metadata = *metadata;
    }
    return out;
}

bool memory_contents::ends_stream_write(const recorded_event& event) {
    std::size_t place = place_of(event.position);
    while (!events_[place].last_in_batch) {
        if (events_[++place].stream == event.stream) {
            return false;
        }
    }
    return true;
}

std::size_t memory_contents::place_of(position from) const {
    return static_cast<std::size_t>(
        std::ranges::lower_bound(events_, from, {}, &recorded_event::position) - events_.begin());
}

base::result<link_source::found> memory_contents::read(std::string_view stream, revision from,
                                                       std::size_t count_max) {
    auto all = page(stream, from, direction::forwards, count_max);
    if (!all) {
        return fail(std::move(all.error()));
    }
    return found{std::move(all->events), {from.value + count_max}};
}

base::result<std::vector<bool>>
memory_contents::are_shown(std::span<const recorded_event* const> events) {
    std::vector<bool> out;
    for (const recorded_event* event : events) {
        const shown_part part = part_of(event->stream);
        out.push_back(!part.tombstoned && !part.soft_deleted && event->revision >= part.lowest);
    }
    return out;
}

} // namespace immortal::eventstore
