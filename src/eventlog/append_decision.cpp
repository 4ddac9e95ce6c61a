#include "eventlog/append_decision.hpp"

#include "base/assert.hpp"
#include "eventlog/planted_fault.hpp"
#include "eventlog/stream_metadata.hpp"
#include "eventlog/system_view.hpp"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <vector>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

struct stream_decision {
    enum class kind : std::uint8_t { write, repeated, conflict, deleted };
    kind what = kind::write;
    known_event original = {}; // of a repeated write: the last of its events
};

constexpr stream_decision conflict{stream_decision::kind::conflict, {}};
constexpr stream_decision write_it{stream_decision::kind::write, {}};
constexpr stream_decision deleted{stream_decision::kind::deleted, {}};

using action = stream_write::action;

bool is_delete(const stream_write& write) {
    return write.what == action::soft_delete || write.what == action::tombstone;
}

bool has_effect(const stream_write& write) {
    return !write.events.empty() || is_delete(write);
}

// `$$x` alone makes x exist.
bool exists(stream_facts& facts) {
    return facts.last() || facts.last_metadata();
}

bool all_remembered(const stream_write& write, stream_facts& facts, known_event& last) {
    for (const new_event& event : write.events) {
        const auto known = facts.find(event.id);
        if (!known) {
            return false;
        }
        last = *known;
    }
    return !write.events.empty();
}

// A soft delete needs something to delete.
bool nothing_to_delete(const stream_write& write, stream_facts& facts) {
    return write.what == stream_write::action::soft_delete && !facts.last() &&
           !facts.last_metadata();
}

stream_decision decide_soft_deleted(const stream_write& write, stream_facts& facts) {
    if (facts.soft_deleted()) {
        return nothing_to_delete(write, facts) ? conflict : write_it;
    }
    // Written by this very append, the stream is no longer deleted.
    known_event last;
    return all_remembered(write, facts, last)
               ? stream_decision{stream_decision::kind::repeated, last}
               : conflict;
}

bool check_holds(const expected_revision& expected, stream_facts& facts) {
    const auto last = facts.last();
    switch (expected.what) {
    case expected_revision::kind::any:
        return true;
    case expected_revision::kind::no_stream:
        return !last || facts.soft_deleted() || facts.tombstoned();
    case expected_revision::kind::stream_exists:
        return !facts.tombstoned() && !facts.soft_deleted() && exists(facts);
    case expected_revision::kind::exact:
        return !facts.tombstoned() && last == expected.exact;
    case expected_revision::kind::soft_deleted:
        return !facts.tombstoned() && facts.soft_deleted();
    case expected_revision::kind::tombstoned:
        return facts.tombstoned();
    }
    return false;
}

// Weak idempotency: only the remembered ids are looked at.
stream_decision decide_any(const stream_write& write, stream_facts& facts) {
    if (write.expected.what == expected_revision::kind::stream_exists) {
        if (facts.soft_deleted()) {
            return deleted;
        }
        if (!exists(facts)) {
            return conflict;
        }
    }
    if (nothing_to_delete(write, facts)) {
        return conflict;
    }
    stream_decision decision = write_it;
    for (std::size_t i = 0; i < write.events.size(); ++i) {
        const auto known = facts.find(write.events[i].id);
        if (!known || is_planted(planted_fault::forget_ids)) {
            return i == 0 ? write_it : conflict;
        }
        decision = {stream_decision::kind::repeated, *known};
    }
    return decision;
}

// Strong idempotency: the stored events after the expected revision are compared.
base::result<stream_decision> decide_behind(const stream_write& write, stream_facts& facts,
                                            std::uint64_t first, base::revision last) {
    if (write.events.empty()) {
        return conflict;
    }
    const bool none = write.expected.what == expected_revision::kind::no_stream;
    for (std::size_t i = 0; i < write.events.size(); ++i) {
        if (first + i > last.value) {
            return conflict;
        }
        const auto stored = facts.id_at({first + i});
        if (!stored) {
            return fail(stored.error());
        }
        if (*stored != write.events[i].id) {
            return i == 0 && none && facts.soft_deleted() ? write_it : conflict;
        }
    }
    const base::revision at{first + write.events.size() - 1};
    const auto position = facts.position_at(at);
    if (!position) {
        return fail(position.error());
    }
    return stream_decision{stream_decision::kind::repeated, {at, *position}};
}

base::result<stream_decision> decide_stream(const stream_write& write, stream_facts& facts) {
    if (write.what == action::check) {
        IMMORTAL_ASSERT(write.events.empty());
        return check_holds(write.expected, facts) ? write_it : conflict;
    }
    if (facts.tombstoned()) {
        return deleted;
    }
    switch (write.expected.what) {
    case expected_revision::kind::any:
    case expected_revision::kind::stream_exists:
        return decide_any(write, facts);
    case expected_revision::kind::soft_deleted:
        return decide_soft_deleted(write, facts);
    case expected_revision::kind::tombstoned:
        return conflict;
    case expected_revision::kind::no_stream:
    case expected_revision::kind::exact:
        break;
    }
    const bool none = write.expected.what == expected_revision::kind::no_stream;
    const std::uint64_t next_expected = none ? 0 : write.expected.exact.value + 1;
    const auto last = facts.last();
    const std::uint64_t next = last ? last->value + 1 : 0;
    if (next_expected == next ||
        (is_planted(planted_fault::expected_or_later) && next_expected <= next)) {
        return nothing_to_delete(write, facts) ? conflict : write_it;
    }
    if (next_expected > next) {
        return conflict;
    }
    return decide_behind(write, facts, next_expected, *last);
}

std::string text_of(const expected_revision& expected) {
    switch (expected.what) {
    case expected_revision::kind::any:
        return "any";
    case expected_revision::kind::no_stream:
        return "no events";
    case expected_revision::kind::stream_exists:
        return "that it exists";
    case expected_revision::kind::soft_deleted:
        return "that it is deleted";
    case expected_revision::kind::tombstoned:
        return "that it is deleted for ever";
    case expected_revision::kind::exact:
        break;
    }
    return "revision " + std::to_string(expected.exact.value);
}

std::unexpected<base::error> conflict_on(const stream_write& write, stream_facts& facts) {
    const auto last = facts.last();
    return fail(errc::conflict,
                "stream " + write.stream + ": expected " + text_of(write.expected) +
                    ", but it has " +
                    (last ? "revision " + std::to_string(last->value) : "no events") +
                    "; read it again and decide anew",
                "wrong_expected_revision", write.stream);
}

std::unexpected<base::error> deleted_on(const stream_write& write, stream_facts& facts) {
    return facts.tombstoned()
               ? fail(errc::deleted, "stream " + write.stream + " was deleted for ever",
                      "tombstoned", write.stream)
               : fail(errc::deleted,
                      "stream " + write.stream +
                          " is deleted: write to it without expecting that it exists",
                      "soft_deleted", write.stream);
}

// How a stream stands that is not as `write` expects it. Of a soft-deleted stream its revision is
// told unless it was expected to exist: an append with that revision would be taken.
unmet_expectation standing_of(std::size_t number, const stream_write& write, stream_facts& facts) {
    using standing = unmet_expectation::standing;
    if (facts.tombstoned()) {
        return {number, standing::tombstoned, {}};
    }
    const bool wants_existing = write.expected.what == expected_revision::kind::stream_exists;
    if (facts.soft_deleted() && wants_existing) {
        return {number, standing::soft_deleted, {}};
    }
    const auto last = facts.last();
    return {number, last ? standing::present : standing::absent, last};
}

std::unexpected<base::error> refusal_of(const stream_write& write, stream_facts& facts) {
    const bool wants_existing = write.expected.what == expected_revision::kind::stream_exists;
    return facts.tombstoned() || (facts.soft_deleted() && wants_existing)
               ? deleted_on(write, facts)
               : conflict_on(write, facts);
}

append_outcome outcome_without_write(std::span<const stream_write> writes,
                                     std::span<stream_facts* const> facts,
                                     std::span<const stream_decision> decisions) {
    append_outcome outcome;
    for (std::size_t i = 0; i < writes.size(); ++i) {
        if (decisions[i].what == stream_decision::kind::repeated) {
            outcome.repeated = true;
            outcome.position = std::max(outcome.position, decisions[i].original.position);
            outcome.last_revisions.emplace_back(decisions[i].original.revision);
        } else {
            outcome.last_revisions.push_back(facts[i]->last());
        }
    }
    IMMORTAL_ASSERT(outcome.last_revisions.size() == writes.size());
    return outcome;
}

// What the append as a whole comes to.
class decided_append {
public:
    decided_append(std::span<const stream_write> writes, std::span<stream_facts* const> facts)
        : writes_(writes), facts_(facts) {
        decisions_.reserve(writes.size());
    }

    base::status decide() {
        for (std::size_t i = 0; i < writes_.size(); ++i) {
            auto decision = decide_stream(writes_[i], *facts_[i]);
            if (!decision) {
                return fail(std::move(decision.error()));
            }
            effects_ += has_effect(writes_[i]) ? 1 : 0;
            repeated_ += decision->what == kind::repeated ? 1 : 0;
            decisions_.push_back(*decision);
        }
        IMMORTAL_ASSERT(repeated_ <= effects_);
        return {};
    }
    [[nodiscard]] bool is_repeated() const { return repeated_ > 0 && repeated_ == effects_; }
    [[nodiscard]] bool writes_something() const { return effects_ > 0; }
    // The first stream of that kind.
    [[nodiscard]] std::optional<std::size_t> first(stream_decision::kind what) const {
        const auto found = std::ranges::find(decisions_, what, &stream_decision::what);
        return found == decisions_.end()
                   ? std::nullopt
                   : std::optional(static_cast<std::size_t>(found - decisions_.begin()));
    }
    // Because of the stream with this number.
    std::unexpected<base::error> refuse(std::size_t number,
                                        std::vector<unmet_expectation>* unmet) const {
        for (std::size_t i = 0; unmet != nullptr && i < writes_.size(); ++i) {
            if (decisions_[i].what == kind::deleted || decisions_[i].what == kind::conflict) {
                unmet->push_back(standing_of(i, writes_[i], *facts_[i]));
            }
        }
        if (unmet != nullptr && unmet->empty()) { // written in part: only a repeated one is left
            unmet->push_back(standing_of(number, writes_[number], *facts_[number]));
        }
        return refusal_of(writes_[number], *facts_[number]);
    }
    [[nodiscard]] append_outcome outcome() const {
        return outcome_without_write(writes_, facts_, decisions_);
    }

private:
    using kind = stream_decision::kind;
    std::span<const stream_write> writes_;
    std::span<stream_facts* const> facts_;
    std::vector<stream_decision> decisions_;
    std::size_t effects_ = 0;
    std::size_t repeated_ = 0;
};

} // namespace

base::result<append_verdict> decide_append(std::span<const stream_write> writes,
                                           std::span<stream_facts* const> facts,
                                           std::vector<unmet_expectation>* unmet) {
    IMMORTAL_ASSERT(writes.size() == facts.size());
    IMMORTAL_ASSERT(unmet == nullptr || unmet->empty());
    using kind = stream_decision::kind;
    decided_append whole(writes, facts);
    if (auto decided = whole.decide(); !decided) {
        return fail(std::move(decided.error()));
    }
    if (const auto gone = whole.first(kind::deleted)) {
        return whole.refuse(*gone, unmet);
    }
    if (whole.is_repeated()) {
        return append_verdict{false, whole.outcome()};
    }
    if (const auto other = whole.first(kind::conflict)) {
        return whole.refuse(*other, unmet);
    }
    if (const auto part = whole.first(kind::repeated)) {
        return whole.refuse(*part, unmet);
    }
    return whole.writes_something() ? append_verdict{true, {}}
                                    : append_verdict{false, whole.outcome()};
}

namespace {

// Errors as validate_append; adds to `total`.
base::status validate_event(const new_event& event, std::size_t& total) {
    if (event.id.is_nil()) {
        return fail(errc::invalid_argument, "an event has an id", {}, "id");
    }
    if (event.type.empty() || event.type.size() > event_type_size_max) {
        return fail(errc::invalid_argument, "an event type has 1 to 1024 bytes", {}, "type");
    }
    const std::size_t size = event.data.size() + event.metadata.size() + event.type.size();
    if (size > event_size_max) {
        return fail(errc::too_large, "an event has at most 16 MiB", "event_too_large", "events");
    }
    total += size;
    return {};
}

// A name beginning with '$' may be a view's, or that of a stream's metadata.
base::status validate_system_stream(const stream_write& write) {
    if (view_of(write.stream) ||
        (is_metadata_stream(write.stream) && view_of(described_stream(write.stream)))) {
        return fail(errc::invalid_argument,
                    "stream " + write.stream +
                        " is derived from other streams' events and cannot be written",
                    "system_view", write.stream);
    }
    if (is_delete(write) && is_metadata_stream(write.stream)) {
        return fail(errc::invalid_argument, "the metadata of a stream is not deleted by itself",
                    "metadata_stream", write.stream);
    }
    return {};
}

base::status validate_stream(const stream_write& write) {
    const bool appends = write.what == action::append;
    // The metadata stream of every stream has a name too.
    const std::size_t room = is_metadata_stream(write.stream) ? 0 : 2;
    if (write.stream.empty() || write.stream.size() + room > stream_name_size_max) {
        return fail(errc::invalid_argument, "a stream name has 1 to 1022 bytes", {}, "stream");
    }
    if (!appends && !write.events.empty()) {
        return fail(errc::invalid_argument, "a delete or a check carries no events", {}, "events");
    }
    if (write.what == action::check && write.expected.what == expected_revision::kind::any) {
        return fail(errc::invalid_argument, "a check names the state that it wants", {},
                    "expected");
    }
    return write.stream.front() == '$' ? validate_system_stream(write) : base::status{};
}

base::status validate_together(std::span<const stream_write> writes) {
    std::unordered_set<std::string_view> seen;
    bool deletes = false;
    for (const stream_write& write : writes) {
        if (!seen.insert(write.stream).second) {
            return fail(errc::invalid_argument, "a stream stands at most once in an append", {},
                        "stream");
        }
        deletes = deletes || is_delete(write);
    }
    for (const stream_write& write : writes) {
        if (deletes && is_delete(write) && seen.contains(metadata_stream_of(write.stream))) {
            return fail(errc::invalid_argument,
                        "a stream is not deleted together with a write of its metadata", {},
                        "stream");
        }
    }
    return {};
}

// Before anything is looked at: with it and the events the streams are bounded too.
base::status validate_bare_streams(std::span<const stream_write> writes) {
    std::size_t bare = 0;
    for (const stream_write& write : writes) {
        if (write.events.empty() && ++bare > append_bare_streams_max) {
            return fail(errc::too_large,
                        "an append has at most 1000 streams without an event: divide it",
                        "append_too_large", "events");
        }
    }
    return {};
}

} // namespace

base::status validate_append(std::span<const stream_write> writes) {
    if (writes.empty()) {
        return fail(errc::invalid_argument, "an append names at least one stream");
    }
    if (auto valid = validate_bare_streams(writes); !valid) {
        return valid;
    }
    std::size_t total = 0;
    std::size_t count = 0;
    for (const stream_write& write : writes) {
        if (auto valid = validate_stream(write); !valid) {
            return valid;
        }
        count += write.events.size();
        std::uint32_t place = 0;
        for (const new_event& event : write.events) {
            if (auto valid = validate_event(event, total); !valid) {
                return valid;
            }
            if (event.place < place) {
                return fail(errc::invalid_argument,
                            "events of one stream stand in the log in the order of the stream", {},
                            "place");
            }
            place = event.place;
        }
    }
    if (writes.size() > 1) {
        if (auto valid = validate_together(writes); !valid) {
            return valid;
        }
    }
    if (total > append_size_max || count > append_events_max) {
        return fail(errc::too_large, "an append has at most 64 MiB in 131072 events: divide it",
                    "append_too_large", "events");
    }
    return {};
}

} // namespace immortal::eventlog
