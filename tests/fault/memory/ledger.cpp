#include "memory/ledger.hpp"

#include "eventlog/stream_metadata.hpp"

#include <algorithm>
#include <cstring>
#include <future>
#include <optional>

namespace immortal::faults {
namespace {

using eventlog::direction;
using action = eventlog::stream_write::action;

base::uuid make_id(std::uint64_t number, std::uint64_t ordinal) {
    base::uuid id;
    std::memcpy(id.bytes.data(), &number, 8);
    std::memcpy(id.bytes.data() + 8, &ordinal, 6);
    id.bytes[14] = 'A';
    id.bytes[15] = '9';
    return id;
}

std::optional<std::uint64_t> number_of(const base::uuid& id) {
    std::uint64_t number = 0;
    std::memcpy(&number, id.bytes.data(), 8);
    return id.bytes[14] == 'A' && id.bytes[15] == '9' ? std::optional(number) : std::nullopt;
}

std::string named(const char* text, std::uint64_t number) {
    return text + (" (append " + std::to_string(number) + ")");
}

} // namespace

base::result<eventlog::append_outcome> append_and_wait(eventlog::log& log,
                                                       std::vector<eventlog::stream_write> writes) {
    std::promise<base::result<eventlog::append_outcome>> promise;
    auto outcome = promise.get_future();
    log.append(std::move(writes), [&promise](auto said) { promise.set_value(std::move(said)); });
    return outcome.get();
}

std::uint64_t ledger::plan(std::vector<eventlog::stream_write> streams,
                           const std::vector<std::size_t>& counts, std::size_t padding,
                           future what) {
    entry made;
    for (std::size_t i = 0; i < streams.size(); ++i) {
        for (std::size_t n = 0; n < counts[i]; ++n, ++made.events) {
            streams[i].events.push_back({make_id(entries_.size(), made.events), "Happened",
                                         std::to_string(entries_.size()) + "/" +
                                             std::to_string(made.events) +
                                             std::string(padding, '.'),
                                         "{}", eventlog::content::binary});
        }
    }
    made.writes = std::move(streams);
    made.what = what;
    entries_.push_back(std::move(made));
    return entries_.size() - 1;
}

std::uint64_t ledger::plan(eventlog::stream_write write) {
    entry made;
    for (eventlog::new_event& event : write.events) {
        event.id = make_id(entries_.size(), made.events++);
    }
    made.writes.push_back(std::move(write));
    entries_.push_back(std::move(made));
    return entries_.size() - 1;
}

void ledger::note(std::uint64_t number, fate what, base::position position) {
    entries_.at(number).outcome = what;
    entries_.at(number).position = position;
}

std::uint64_t ledger::count(fate what) const {
    return static_cast<std::uint64_t>(std::ranges::count(entries_, what, &entry::outcome));
}

// One pass over a log.
struct ledger::reading {
    const ledger& book;
    std::map<std::string, std::vector<base::uuid>> streams;
    std::map<std::uint64_t, std::size_t> events_of;
    std::map<std::uint64_t, base::position> end_of;
    std::map<std::string, std::uint64_t> next_revision;
    std::set<base::uuid> ids;
    std::optional<base::position> last;
    std::optional<std::uint64_t> open; // the append whose end has not come yet

    std::string take(const eventlog::recorded_event& event) {
        if (last && event.position <= *last) {
            return "positions do not increase";
        }
        last = event.position;
        const auto number = number_of(event.id);
        if (!number) {
            return book.is_touched_by_delete(event.stream) ? "" : "an event that nobody wrote";
        }
        if (*number >= book.size()) {
            return "an event of an append that nobody planned";
        }
        if (!ids.insert(event.id).second) {
            return named("an event stands there twice", *number);
        }
        const entry& whole = book.entries_[*number];
        const bool gaps = whole.what == future::may_go;
        if (open && *open != *number) {
            return named("an append is not contiguous or not whole", *open);
        }
        if (std::string problem = compare(event, *number); !problem.empty()) {
            return problem;
        }
        std::uint64_t& due = next_revision[event.stream];
        if (gaps ? event.revision.value < due : event.revision.value != due) {
            return "the revisions of " + event.stream + " have a gap or repeat";
        }
        due = event.revision.value + 1;
        streams[event.stream].push_back(event.id);
        const std::size_t found = ++events_of[*number];
        open = event.last_in_batch ? std::nullopt : number;
        end_of[*number] = event.position;
        return event.last_in_batch && !gaps && found != whole.events
                   ? named("an append ends at another event than its last", *number)
                   : "";
    }

    [[nodiscard]] std::string compare(const eventlog::recorded_event& event,
                                      std::uint64_t number) const {
        for (const auto& write : book.entries_[number].writes) {
            for (const auto& wanted : write.events) {
                if (wanted.id == event.id) {
                    return wanted.data == event.data && write.stream == event.stream
                               ? ""
                               : named("an event is not what was written", number);
                }
            }
        }
        return named("an event that its append did not hold", number);
    }
};

std::string ledger::learn(eventlog::log& log) {
    base::position next;
    for (bool end = false; !end;) {
        const auto slice = log.read_all(next, direction::forwards, 100);
        if (!slice) {
            return slice.error().message;
        }
        for (const auto& event : slice->events) {
            if (const auto number = number_of(event.id); number && *number < size()) {
                note(*number, fate::acknowledged, event.position);
            }
        }
        next = slice->next;
        end = slice->end;
    }
    return count(fate::acknowledged) == size() ? violation(log) : "not all of it is there";
}

bool ledger::is_touched_by_delete(std::string_view stream) const {
    const auto deletes = [stream](const eventlog::stream_write& write) {
        return write.what != action::append &&
               (write.stream == stream || eventlog::metadata_stream_of(write.stream) == stream);
    };
    return std::ranges::any_of(entries_, [&](const entry& each) {
        return each.outcome != fate::not_begun && std::ranges::any_of(each.writes, deletes);
    });
}

std::string ledger::violation(eventlog::log& log) const {
    reading pass{*this, {}, {}, {}, {}, {}, {}, {}};
    base::position next;
    for (bool end = false; !end;) {
        const auto slice = log.read_all(next, direction::forwards, 50);
        if (!slice) {
            return "a read failed: " + slice.error().message;
        }
        for (const auto& event : slice->events) {
            if (std::string problem = pass.take(event); !problem.empty()) {
                return problem;
            }
        }
        next = slice->next;
        end = slice->end;
    }
    if (pass.open) {
        return named("half an append is left", *pass.open);
    }
    std::string problem = check_found(pass);
    problem = problem.empty() ? check_streams(log, pass) : problem;
    return problem.empty() ? check_deletes(log) : problem;
}

std::string ledger::check_found(const reading& pass) const {
    for (std::uint64_t number = 0; number < entries_.size(); ++number) {
        const entry& each = entries_[number];
        const auto found = pass.events_of.find(number);
        const bool there = found != pass.events_of.end();
        if (there && (each.outcome == fate::refused || each.outcome == fate::not_begun)) {
            return named("an append that was refused, or never asked for, is there", number);
        }
        if (each.events == 0 || each.what == future::may_go) {
            continue;
        }
        if (there && found->second != each.events) {
            return named("an append is halved", number);
        }
        if (each.outcome == fate::acknowledged && !there) {
            return named("an acknowledged append is lost", number);
        }
        if (each.outcome == fate::acknowledged && pass.end_of.at(number) != each.position) {
            return named("an acknowledged append stands elsewhere", number);
        }
    }
    return {};
}

std::string ledger::check_streams(eventlog::log& log, const reading& pass) const {
    for (const entry& each : entries_) {
        for (const auto& write : each.writes) {
            const auto found = pass.streams.find(write.stream);
            if (each.what == future::may_go || write.stream.starts_with("$$") ||
                is_touched_by_delete(write.stream) || found == pass.streams.end()) {
                continue;
            }
            const auto all =
                log.read_stream(write.stream, {0}, direction::forwards, found->second.size() + 1);
            if (!all) {
                return "a read of " + write.stream + " failed: " + all.error().message;
            }
            if (!std::ranges::equal(all->events, found->second, {},
                                    &eventlog::recorded_event::id)) {
                return "stream " + write.stream + " differs from the log";
            }
        }
    }
    return {};
}

std::string ledger::check_deletes(eventlog::log& log) const {
    for (const entry& each : entries_) {
        const eventlog::stream_write& write = each.writes.front();
        if (write.what == action::append) {
            continue;
        }
        const auto now = log.info(write.stream);
        if (!now) {
            return "the state of " + write.stream + " cannot be read: " + now.error().message;
        }
        const bool deleted = write.what == action::tombstone ? now->tombstoned : now->soft_deleted;
        if (each.outcome == fate::acknowledged && !deleted) {
            return "an acknowledged delete of " + write.stream + " is lost";
        }
        if ((each.outcome == fate::refused || each.outcome == fate::not_begun) && deleted) {
            return "a delete of " + write.stream + " that was refused took place";
        }
    }
    return {};
}

std::string ledger::settle(eventlog::log& log) {
    for (std::uint64_t number = 0; number < entries_.size(); ++number) {
        if (entries_[number].outcome != fate::begun) {
            continue;
        }
        const auto again = append_and_wait(log, entries_[number].writes);
        const bool deleted_before =
            !again && again.error().code == base::errc::deleted && entries_[number].events == 0;
        if (!again && !deleted_before) {
            return named("a repeated append is refused", number) + ": " + again.error().message;
        }
        note(number, fate::acknowledged, again ? again->position : base::position{});
    }
    const std::uint64_t more =
        plan({{"after-all", eventlog::expected_revision::any(), {}, {}}}, {2});
    const auto done = append_and_wait(log, entries_[more].writes);
    if (!done) {
        return "no append after the restart: " + done.error().message;
    }
    note(more, fate::acknowledged, done->position);
    return violation(log);
}

} // namespace immortal::faults
