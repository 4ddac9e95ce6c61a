#include "eventlog/writer_facts.hpp"

#include "base/assert.hpp"
#include "eventlog/format.hpp"
#include "eventlog/stream_metadata.hpp"

namespace immortal::eventlog {

using base::fail;

namespace {

std::unexpected<base::error> wrong_index(log_index& index) {
    index.distrust("it names another event than the log");
    return fail(index_delay(
        "the event log's index is wrong and is being made anew from the log: nothing was written, "
        "try again a little later"));
}

} // namespace

writer_facts::writer_facts(writer_sources& from, const std::string& stream)
    : from_(from), stream_(stream) {
    auto state = state_of(stream_);
    if (state && is_metadata_stream(stream_)) {
        state_ = *state;
        state = state_of(described_stream(stream_));
        described_ = state ? *state : stream_state{};
    } else if (state) {
        state_ = *state;
    }
    problem_ = state ? base::status{} : fail(std::move(state.error()));
}

base::result<stream_state> writer_facts::state_of(std::string_view stream) {
    if (const stream_state* known = from_.states.find(stream)) {
        return *known;
    }
    auto loaded = load(stream);
    if (loaded) {
        from_.states.add(stream, *loaded);
    }
    return loaded;
}

base::result<stream_state> writer_facts::load(std::string_view stream) {
    stream_state out;
    const auto last = last_of(stream);
    if (!last) {
        return fail(last.error());
    }
    out.last = *last;
    if (is_metadata_stream(stream)) {
        return out;
    }
    const std::string metadata_stream = metadata_stream_of(stream);
    const auto last_metadata = from_.index.last_revision(metadata_stream, from_.tail.end());
    if (!last_metadata) {
        return fail(last_metadata.error());
    }
    out.last_metadata = *last_metadata;
    if (out.last_metadata) {
        const auto text = metadata_at(metadata_stream, *out.last_metadata);
        if (!text) {
            return fail(text.error());
        }
        out.soft_deleted = parse_stream_metadata(*text).soft_deleted();
    }
    return out;
}

bool writer_facts::tombstoned() {
    return state_.last == tombstone_revision || described_.last == tombstone_revision;
}

stream_facts::described writer_facts::describes() {
    IMMORTAL_ASSERT(is_metadata_stream(stream_));
    return {described_.last, described_.soft_deleted};
}

base::result<std::string> writer_facts::metadata() {
    return state_.last_metadata ? metadata_at(metadata_stream_of(stream_), *state_.last_metadata)
                                : base::result<std::string>();
}

base::result<std::string> writer_facts::metadata_at(std::string_view metadata_stream,
                                                    base::revision at) {
    std::vector<std::byte> buffer;
    const auto record = record_of(metadata_stream, at, buffer);
    if (!record) {
        return fail(record.error());
    }
    const bool json = (record->flags & format::record_flag::json) != 0 && !record->removed();
    return json ? std::string(record->data) : std::string();
}

base::result<record_view> writer_facts::record_of(std::string_view stream, base::revision at,
                                                  std::vector<std::byte>& buffer) {
    const auto places =
        from_.index.stream_positions(stream, at, direction::forwards, 1, from_.tail.end());
    if (!places) {
        return fail(places.error());
    }
    if (places->empty()) {
        return wrong_index(from_.index);
    }
    auto record = read(places->front(), buffer);
    if (record && (record->stream != stream || record->revision != at)) {
        return wrong_index(from_.index);
    }
    return record;
}

base::result<std::optional<base::revision>> writer_facts::last_of(std::string_view stream) {
    auto last = from_.index.last_revision(stream, from_.tail.end());
    if (!last || !*last) {
        return last;
    }
    std::vector<std::byte> buffer;
    if (const auto record = record_of(stream, **last, buffer); !record) {
        return fail(record.error());
    }
    return last;
}

base::result<base::position> writer_facts::position_at(base::revision at) {
    IMMORTAL_ASSERT(state_.last && at <= *state_.last);
    std::vector<std::byte> buffer;
    const auto record = record_of(stream_, at, buffer);
    return record ? base::result<base::position>(record->position) : fail(record.error());
}

base::result<std::optional<base::uuid>> writer_facts::id_at(base::revision at) {
    IMMORTAL_ASSERT(state_.last && at <= *state_.last);
    std::vector<std::byte> buffer;
    const auto record = record_of(stream_, at, buffer);
    if (!record) {
        return fail(record.error());
    }
    return record->removed() ? std::nullopt : std::optional(record->id);
}

std::optional<known_event> writer_facts::find(const base::uuid& id) {
    const auto known = from_.ids.find(stream_, id);
    if (!known) {
        return std::nullopt;
    }
    // The table holds a hash of the stream's name; the record itself decides.
    std::vector<std::byte> buffer;
    const auto record = read(known->position, buffer);
    if (!record) { // not to know is not to know that there is none
        problem_ = fail(record.error());
        return std::nullopt;
    }
    const bool same = record->id == id && record->stream == stream_;
    return same ? known : std::nullopt;
}

base::result<record_view> writer_facts::read(base::position place, std::vector<std::byte>& buffer) {
    IMMORTAL_ASSERT(place < from_.tail.end());
    const base::position durable = from_.tail.durable();
    return place < durable ? from_.reader.read_record(place, durable, buffer)
                           : from_.tail.staged_record(place);
}

void note_staged(stream_states& states, const stream_write& write, base::revision first) {
    IMMORTAL_ASSERT(!write.events.empty());
    const base::revision last{first.value + write.events.size() - 1};
    IMMORTAL_ASSERT(first < tombstone_revision || write.events.size() == 1);
    if (stream_state* state = states.find(write.stream)) {
        IMMORTAL_ASSERT(!state->last || *state->last < first);
        IMMORTAL_ASSERT(first == tombstone_revision ||
                        first.value == (state->last ? state->last->value + 1 : 0));
        state->last = last;
    }
    if (!is_metadata_stream(write.stream)) {
        return;
    }
    if (stream_state* state = states.find(described_stream(write.stream))) {
        const new_event& event = write.events.back();
        state->last_metadata = last;
        state->soft_deleted =
            event.format == content::json && parse_stream_metadata(event.data).soft_deleted();
    }
}

} // namespace immortal::eventlog
