#include "eventstore/links.hpp"

#include "base/assert.hpp"
#include "eventlog/stream_metadata.hpp"

#include <charconv>
#include <utility>

namespace immortal::eventstore {
namespace {

using base::fail;

std::string view_event_data(const recorded_event& target, bool names_stream) {
    return names_stream ? target.stream
                        : std::to_string(target.revision.value) + '@' + target.stream;
}

// Follows the links of one page.
class follower {
public:
    follower(std::vector<recorded_event> events, link_source& source)
        : events_(std::move(events)), source_(source), resolved_(events_.size()) {}

    base::result<std::vector<resolved_event>> run() {
        for (std::size_t i = 0; i < events_.size();) {
            auto followed = step(i);
            if (!followed) {
                return fail(std::move(followed.error()));
            }
            i += *followed;
        }
        if (auto done = take_targets(); !done) {
            return fail(std::move(done.error()));
        }
        return std::move(resolved_);
    }

private:
    // How many events were resolved.
    base::result<std::size_t> step(std::size_t i) {
        recorded_event& event = events_[i];
        const auto target =
            event.type == eventlog::link_type ? parse_link(event.data) : std::nullopt;
        if (!target) {
            resolved_[i].event = std::move(event);
            return 1;
        }
        if (event.link_target) {
            attached_.push_back(i);
            return 1;
        }
        // Links that lead to neighbours are followed by one read.
        std::size_t run = 1;
        while (i + run < events_.size() &&
               leads_to(events_[i + run], target->stream, target->revision.value + run)) {
            ++run;
        }
        return read_run(i, run, *target);
    }

    static bool leads_to(const recorded_event& event, std::string_view stream,
                         std::uint64_t revision) {
        if (event.type != eventlog::link_type || event.link_target) {
            return false;
        }
        const auto target = parse_link(event.data);
        return target && target->stream == stream && target->revision.value == revision;
    }

    base::result<std::size_t> read_run(std::size_t i, std::size_t run, const link_target& target) {
        auto found = source_.read(target.stream, target.revision, run);
        if (!found && found.error().code != base::errc::deleted) {
            return fail(std::move(found.error()));
        }
        if (found) {
            for (recorded_event& event : *found) {
                // A read begins later where the stream's beginning is hidden.
                const std::uint64_t at = event.revision.value - target.revision.value;
                if (event.revision >= target.revision && at < run) {
                    resolved_[i + at].event = std::move(event);
                }
            }
        }
        for (std::size_t n = i; n < i + run; ++n) {
            resolved_[n].link = std::move(events_[n]);
        }
        return run;
    }

    // The targets that the links brought along, if they may be shown.
    base::status take_targets() {
        std::vector<const recorded_event*> targets;
        targets.reserve(attached_.size());
        for (const std::size_t i : attached_) {
            targets.push_back(events_[i].link_target.get());
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
        return {};
    }

    std::vector<recorded_event> events_;
    link_source& source_;
    std::vector<resolved_event> resolved_;
    std::vector<std::size_t> attached_; // links that bring their target along
};

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

base::result<std::vector<resolved_event>> follow_links(std::vector<recorded_event> events,
                                                       link_source& source) {
    return follower(std::move(events), source).run();
}

} // namespace immortal::eventstore
