#include "eventstore/links.hpp"

#include "base/assert.hpp"
#include "eventlog/stream_metadata.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace immortal::eventstore {
namespace {

using base::fail;

std::string view_event_data(const recorded_event& target, bool names_stream) {
    return names_stream ? target.stream
                        : std::to_string(target.revision.value) + '@' + target.stream;
}

// What one step follows at most.
constexpr std::size_t links_per_step = 32;

bool leads_to(const recorded_event& event, std::string_view stream, std::uint64_t revision) {
    if (event.type != eventlog::link_type || event.link_target) {
        return false;
    }
    const auto target = parse_link(event.data);
    return target && target->stream == stream && target->revision.value == revision;
}

} // namespace

std::optional<link_target> parse_link(std::string_view data) {
    const std::size_t at = data.find('@');
    if (at == std::string_view::npos || at + 1 == data.size()) {
        return std::nullopt;
    }
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(data.data(), data.data() + at, number);
    if (parsed.ec != std::errc{} || parsed.ptr != data.data() + at ||
        number > eventlog::tombstone_revision.value) {
        return std::nullopt;
    }
    return link_target{{number}, data.substr(at + 1)};
}

recorded_event make_view_event(std::string_view view_stream, std::uint64_t number,
                               recorded_event target) {
    const auto view = eventlog::view_of(view_stream);
    IMMORTAL_ASSERT(view.has_value());
    const bool names_stream = view->view == eventlog::index_view::category_streams;
    recorded_event out;
    out.position = target.position;
    out.stream = view_stream;
    out.revision = {number};
    out.id = base::uuid::make_derived(view_stream, std::to_string(number));
    out.type = names_stream ? eventlog::stream_reference_type : eventlog::link_type;
    out.data = view_event_data(target, names_stream);
    out.metadata = R"({"$causedBy":")" + target.id.text() + "\"}";
    out.created = target.created;
    out.format = eventlog::content::binary;
    out.last_in_batch = target.last_in_batch;
    if (!names_stream) {
        out.link_target = std::make_shared<const recorded_event>(std::move(target));
    }
    return out;
}

link_follower::link_follower(std::vector<recorded_event> events, link_source& source)
    : events_(std::move(events)), source_(source), resolved_(events_.size()) {}

base::status link_follower::step() {
    const std::size_t end = std::min(next_ + links_per_step, events_.size());
    has_read_ = false;
    while (next_ < end && !has_read_) {
        const auto count = resolve(next_, end);
        if (!count) {
            return fail(count.error());
        }
        IMMORTAL_ASSERT(*count > 0);
        next_ += *count;
    }
    return take_targets();
}

// How many events were resolved.
base::result<std::size_t> link_follower::resolve(std::size_t place, std::size_t end) {
    recorded_event& event = events_[place];
    const auto target = event.type == eventlog::link_type ? parse_link(event.data) : std::nullopt;
    if (!target) {
        resolved_[place].event = std::move(event);
        return 1;
    }
    if (event.link_target) {
        attached_.push_back(place);
        return 1;
    }
    // Links that lead to neighbours are followed by one read.
    std::size_t run = 1;
    while (place + run < end &&
           leads_to(events_[place + run], target->stream, target->revision.value + run)) {
        ++run;
    }
    return read_run(place, run, *target);
}

base::result<std::size_t> link_follower::read_run(std::size_t place, std::size_t run,
                                                  const link_target& target) {
    has_read_ = true;
    auto read = source_.read(target.stream, target.revision, run);
    if (!read && read.error().code != base::errc::deleted) {
        return fail(std::move(read.error()));
    }
    std::size_t count = run;
    if (read) {
        count = std::min<std::uint64_t>(run, read->next.value - target.revision.value);
        for (recorded_event& event : read->events) {
            // A read begins later where the stream's beginning is hidden.
            const std::uint64_t distance = event.revision.value - target.revision.value;
            if (event.revision >= target.revision && distance < count) {
                resolved_[place + distance].event = std::move(event);
            }
        }
    }
    for (std::size_t n = place; n < place + count; ++n) {
        resolved_[n].link = std::move(events_[n]);
    }
    return count;
}

// The targets that the links brought along, if they may be shown.
base::status link_follower::take_targets() {
    std::vector<const recorded_event*> targets;
    targets.reserve(attached_.size());
    for (const std::size_t place : attached_) {
        targets.push_back(events_[place].link_target.get());
    }
    const auto shown = source_.are_shown(targets);
    if (!shown) {
        return fail(shown.error());
    }
    for (std::size_t n = 0; n < attached_.size(); ++n) {
        resolved_event& out = resolved_[attached_[n]];
        if ((*shown)[n]) {
            out.event = *targets[n];
        }
        out.link = std::move(events_[attached_[n]]);
        out.link->link_target.reset();
    }
    attached_.clear();
    return {};
}

base::result<std::vector<resolved_event>> follow_links(std::vector<recorded_event> events,
                                                       link_source& source) {
    link_follower follower(std::move(events), source);
    while (!follower.finished()) {
        if (auto done = follower.step(); !done) {
            return fail(std::move(done.error()));
        }
    }
    return follower.take();
}

} // namespace immortal::eventstore
