#include "store/promise_book.hpp"

#include <algorithm>
#include <cstring>
#include <future>
#include <set>
#include <span>

namespace immortal::faults {
namespace {

using eventlog::direction;

base::uuid make_id(std::uint64_t number, std::uint64_t ordinal) {
    base::uuid id;
    std::memcpy(id.bytes.data(), &number, 8);
    std::memcpy(id.bytes.data() + 8, &ordinal, 8);
    id.bytes[15] = 1;
    return id;
}

std::uint64_t number_of(const base::uuid& id) {
    std::uint64_t number = 0;
    std::memcpy(&number, id.bytes.data(), 8);
    return number;
}

// The events of one append in the order of the log.
std::vector<const eventlog::new_event*> flat(const std::vector<eventlog::stream_write>& writes,
                                             std::vector<const std::string*>& streams) {
    std::vector<const eventlog::new_event*> out;
    for (const auto& write : writes) {
        for (const auto& event : write.events) {
            out.push_back(&event);
            streams.push_back(&write.stream);
        }
    }
    return out;
}

std::string named(const char* text, std::uint64_t number) {
    return text + (" (append " + std::to_string(number) + ")");
}

} // namespace

std::uint64_t promise_book::begin(std::vector<eventlog::stream_write> streams,
                                  const std::vector<std::size_t>& counts, std::size_t padding,
                                  rivalry kind) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t number = entries_.size();
    std::uint64_t ordinal = 0;
    for (std::size_t i = 0; i < streams.size(); ++i) {
        for (std::size_t n = 0; n < counts[i]; ++n, ++ordinal) {
            streams[i].events.push_back(
                {make_id(number, ordinal), "Happened",
                 std::to_string(number) + "/" + std::to_string(ordinal) + std::string(padding, '.'),
                 "{}", eventlog::content::binary});
        }
    }
    entry made;
    made.writes = std::move(streams);
    made.kind = kind;
    made.events = ordinal;
    entries_.push_back(std::move(made));
    return number;
}

std::vector<eventlog::stream_write> promise_book::writes(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    return entries_.at(number).writes;
}

void promise_book::finish(std::uint64_t number,
                          const base::result<eventlog::append_outcome>& outcome) {
    const std::lock_guard lock(mutex_);
    entry& of = entries_.at(number);
    const bool before = of.what == fate::acknowledged;
    if (!outcome) {
        of.maybe_there = of.maybe_there || outcome.error().code == base::errc::unknown_outcome;
        if (!before) {
            of.what = of.maybe_there ? fate::unknown : fate::refused;
        }
        return;
    }
    if (before && (of.position != outcome->position || !outcome->repeated)) {
        problem_ = named("a repeated append was given another place", number);
    }
    of.what = fate::acknowledged;
    of.position = outcome->position;
    of.last_revisions = outcome->last_revisions;
}

void promise_book::accuse(std::string problem) {
    const std::lock_guard lock(mutex_);
    problem_ = std::move(problem);
}

void promise_book::saw(const eventlog::recorded_event& event) {
    const std::lock_guard lock(mutex_);
    const auto [before, fresh] = seen_.emplace(event.position.value, event.id);
    if (!fresh && before->second != event.id) {
        problem_ = "a position names another event than before";
    }
}

void promise_book::saw(const eventlog::log_head& head) {
    const std::lock_guard lock(mutex_);
    seen_end_ = std::max(seen_end_, head.end);
}

std::uint64_t promise_book::acknowledged() const {
    return answered().size();
}

std::optional<base::position> promise_book::last_acknowledged() const {
    const std::lock_guard lock(mutex_);
    std::optional<base::position> last;
    for (const entry& each : entries_) {
        if (each.what == fate::acknowledged && each.events > 0) {
            last = std::max(last.value_or(base::position{}), each.position);
        }
    }
    return last;
}

std::vector<std::uint64_t> promise_book::unknown() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::uint64_t> out;
    for (std::uint64_t number = 0; number < entries_.size(); ++number) {
        if (entries_[number].what == fate::unknown) {
            out.push_back(number);
        }
    }
    return out;
}

std::vector<std::uint64_t> promise_book::answered() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::uint64_t> out;
    for (std::uint64_t number = 0; number < entries_.size(); ++number) {
        if (entries_[number].what == fate::acknowledged && entries_[number].events > 0) {
            out.push_back(number);
        }
    }
    return out;
}

// One pass over a log, event by event.
struct promise_book::reading {
    const promise_book& book;
    std::map<std::string, std::vector<base::uuid>> streams;
    std::map<std::uint64_t, base::position> found; // appends, by number
    std::map<std::uint64_t, base::uuid> at;
    std::set<base::uuid> ids;
    base::position last;
    std::optional<std::uint64_t> open; // the append whose events are being read
    std::size_t next_ordinal = 0;

    std::string take(const eventlog::recorded_event& event) {
        const std::uint64_t number = number_of(event.id);
        if (number >= book.entries_.size()) {
            return "an event that nobody wrote";
        }
        if (!at.empty() && event.position <= last) {
            return "positions do not increase";
        }
        last = event.position;
        at[event.position.value] = event.id;
        if (!ids.insert(event.id).second) {
            return named("an event stands there twice", number);
        }
        if (open && *open != number) {
            return named("an append is not contiguous or not whole", *open);
        }
        next_ordinal = open ? next_ordinal : 0;
        std::vector<const std::string*> names;
        const auto events = flat(book.entries_[number].writes, names);
        if (next_ordinal >= events.size() || events[next_ordinal]->id != event.id ||
            events[next_ordinal]->data != event.data || *names[next_ordinal] != event.stream) {
            return named("an event is not what was written", number);
        }
        auto& stream = streams[event.stream];
        if (event.revision.value != stream.size()) {
            return "the revisions of " + event.stream + " have a gap or repeat";
        }
        stream.push_back(event.id);
        ++next_ordinal;
        if (event.last_in_batch != (next_ordinal == events.size())) {
            return named("an append ends at another event than its last", number);
        }
        open = event.last_in_batch ? std::nullopt : std::optional(number);
        if (event.last_in_batch) {
            found[number] = event.position;
        }
        return {};
    }
};

std::string promise_book::violation(eventlog::log& log) {
    const std::lock_guard lock(mutex_);
    if (!problem_.empty()) {
        return problem_;
    }
    reading pass{*this, {}, {}, {}, {}, {}, {}, 0};
    base::position from;
    for (bool end = false; !end;) {
        const auto slice = log.read_all(from, direction::forwards, 3, {}, 4u << 20u,
                                        from == base::position{} ? eventlog::read_start::anywhere
                                                                 : eventlog::read_start::boundary);
        if (!slice) {
            return "a read failed: " + slice.error().message;
        }
        for (const auto& event : slice->events) {
            if (std::string problem = pass.take(event); !problem.empty()) {
                return problem;
            }
        }
        from = slice->next;
        end = slice->end;
    }
    if (pass.open) {
        return named("half an append is left", *pass.open);
    }
    if (log.head().end < seen_end_) {
        return "what was readable is gone: the log ends earlier";
    }
    for (const auto& [position, id] : seen_) {
        const auto there = pass.at.find(position);
        if (there == pass.at.end() || there->second != id) {
            return "an event that was read is gone or another";
        }
    }
    for (std::uint64_t number = 0; number < entries_.size(); ++number) {
        const entry& of = entries_[number];
        const auto there = pass.found.find(number);
        if (of.what == fate::acknowledged && of.events > 0 &&
            (there == pass.found.end() || there->second != of.position)) {
            return named(there == pass.found.end() ? "an acknowledged append is lost"
                                                   : "an acknowledged append stands elsewhere",
                         number);
        }
        if (of.what == fate::refused && there != pass.found.end()) {
            return named("a refused append is there", number);
        }
    }
    for (const auto& [name, ids] : pass.streams) {
        if (std::string problem = check_stream(log, name, ids); !problem.empty()) {
            return problem;
        }
    }
    return {};
}

std::string promise_book::check_stream(eventlog::log& log, const std::string& stream,
                                       const std::vector<base::uuid>& ids) const {
    const auto whole = log.read_stream(stream, {0}, direction::forwards, ids.size() + 1);
    if (!whole) {
        return "a read of " + stream + " failed: " + whole.error().message;
    }
    if (!std::ranges::equal(whole->events, ids, {}, &eventlog::recorded_event::id)) {
        return "stream " + stream + " differs from the log";
    }
    const auto last = log.stream_head(stream);
    if (!last || !*last || (*last)->value + 1 != ids.size()) {
        return "the head of " + stream + " differs from the log";
    }
    return {};
}

bool promise_book::overtaken(std::uint64_t number) const {
    const std::lock_guard lock(mutex_);
    const auto writes_to = [](const entry& one, const std::string& stream) {
        return std::ranges::any_of(one.writes, [&](const eventlog::stream_write& write) {
            return write.stream == stream && !write.events.empty();
        });
    };
    const auto later = std::span(entries_).subspan(number + 1);
    return std::ranges::any_of(entries_[number].writes, [&](const eventlog::stream_write& write) {
        return write.expected != eventlog::expected_revision::any() &&
               std::ranges::any_of(later, [&](const entry& one) {
                   return one.what == fate::acknowledged && writes_to(one, write.stream);
               });
    });
}

std::string promise_book::settle(eventlog::log& log) {
    for (const std::uint64_t number : unknown()) {
        const auto again = ask(log, *this, number);
        const bool lost_the_race =
            !again && again.error().code == base::errc::conflict &&
            (entries_[number].kind == rivalry::contended || overtaken(number));
        if (!again && !lost_the_race) {
            return named("a repeated append is refused", number) + ": " + again.error().message;
        }
    }
    const std::uint64_t more = begin({{"after-" + std::to_string(entries_.size()),
                                       eventlog::expected_revision::no_stream(),
                                       {},
                                       {}}},
                                     {2}, 0);
    if (const auto done = ask(log, *this, more); !done) {
        return "no append after the restart: " + done.error().message;
    }
    return violation(log);
}

base::result<eventlog::append_outcome> ask(eventlog::log& log, promise_book& book,
                                           std::uint64_t number) {
    std::promise<base::result<eventlog::append_outcome>> promise;
    auto outcome = promise.get_future();
    log.append(book.writes(number), [&promise](auto said) { promise.set_value(std::move(said)); });
    auto said = outcome.get();
    book.finish(number, said);
    return said;
}

} // namespace immortal::faults
