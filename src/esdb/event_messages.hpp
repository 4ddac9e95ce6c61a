// Events of the store as messages of the protocol, and the other way round. For .cpp files.
#pragma once

#include "esproto/event.hpp"
#include "eventstore/event_store.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <utility>
#include <vector>

namespace immortal::esdb {

[[nodiscard]] inline esproto::event_fields to_fields(eventlog::recorded_event event) {
    esproto::event_fields out;
    out.id = event.id;
    out.stream = std::move(event.stream);
    out.revision = event.revision.value;
    out.commit_position = out.prepare_position = event.position.value;
    out.type = std::move(event.type);
    out.is_json = event.format == eventlog::content::json;
    out.created = event.created;
    out.data = std::move(event.data);
    out.metadata = std::move(event.metadata);
    return out;
}

// Into a ReadEvent of either service. At least one of event and link is there.
template <typename ReadEvent>
void write_resolved(eventstore::resolved_event event, esproto::uuid_form form, ReadEvent& out) {
    const auto& original = event.link ? *event.link : *event.event;
    out.set_commit_position(original.position.value);
    if (event.event) {
        esproto::write_event(to_fields(std::move(*event.event)), form, *out.mutable_event());
    }
    if (event.link) {
        esproto::write_event(to_fields(std::move(*event.link)), form, *out.mutable_link());
    }
}

enum class proposal_fault : std::uint8_t { metadata_missing, bad_id, empty_type };

// From a ProposedMessage of Append or BatchAppend; takes its bytes.
template <typename Proposed>
std::expected<eventlog::new_event, proposal_fault> to_new_event(Proposed& in) {
    const auto type = esproto::find_metadata(in.metadata(), esproto::type_key);
    const auto format = esproto::find_metadata(in.metadata(), esproto::content_type_key);
    if (!type || !format) {
        return std::unexpected(proposal_fault::metadata_missing);
    }
    const auto id = esproto::read_uuid(in.id());
    if (!id || id->is_nil()) {
        return std::unexpected(proposal_fault::bad_id);
    }
    if (type->empty()) {
        return std::unexpected(proposal_fault::empty_type);
    }
    eventlog::new_event out;
    out.id = *id;
    out.type = *type;
    out.format =
        *format == esproto::json_content ? eventlog::content::json : eventlog::content::binary;
    out.data = std::move(*in.mutable_data());
    out.metadata = std::move(*in.mutable_custom_metadata());
    return out;
}

[[nodiscard]] inline std::size_t size_of(const eventlog::new_event& event) {
    return event.data.size() + event.metadata.size() + event.type.size();
}

// `value`: esproto::expected, or a revision. Empty: no expectation that an append can have.
[[nodiscard]] inline std::optional<eventlog::expected_revision> to_expected(std::int64_t value) {
    switch (value) {
    case esproto::expected::any:
        return eventlog::expected_revision::any();
    case esproto::expected::no_stream:
        return eventlog::expected_revision::no_stream();
    case esproto::expected::stream_exists:
        return eventlog::expected_revision::stream_exists();
    default:
        if (value < 0) {
            return std::nullopt;
        }
        return eventlog::expected_revision::at({static_cast<std::uint64_t>(value)});
    }
}

} // namespace immortal::esdb
