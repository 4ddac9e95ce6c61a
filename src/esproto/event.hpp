// Recorded and proposed events. The protocol has several messages of the same shape (one per
// service), so these are templates over the message.
#pragma once

#include "esproto/convert.hpp"

#include <string>
#include <utility>

namespace immortal::esproto {

inline constexpr char type_key[] = "type";
inline constexpr char content_type_key[] = "content-type";
inline constexpr char created_key[] = "created";
inline constexpr char json_content[] = "application/json";
inline constexpr char binary_content[] = "application/octet-stream";

using metadata_map = google::protobuf::Map<std::string, std::string>;
// The value lives as long as the map is not changed.
[[nodiscard]] std::optional<std::string_view> find_metadata(const metadata_map& map,
                                                            const char* key);

// An event as the protocol tells it.
struct event_fields {
    base::uuid id;
    std::string stream;
    std::uint64_t revision = 0;
    std::uint64_t commit_position = end_value; // end_value: unknown
    std::uint64_t prepare_position = end_value;
    std::string type;
    bool is_json = false;
    base::utc_time created;
    std::string data;
    std::string metadata; // the user's own
};

// Into a RecordedEvent of any service.
template <typename Message>
void write_event(event_fields event, uuid_form form, Message& out) {
    write_uuid(event.id, form, *out.mutable_id());
    out.mutable_stream_identifier()->set_stream_name(std::move(event.stream));
    out.set_stream_revision(event.revision);
    out.set_commit_position(event.commit_position);
    out.set_prepare_position(event.prepare_position);
    auto& map = *out.mutable_metadata();
    map[type_key] = std::move(event.type);
    map[content_type_key] = event.is_json ? json_content : binary_content;
    map[created_key] = ticks_text(event.created);
    out.set_custom_metadata(std::move(event.metadata));
    out.set_data(std::move(event.data));
}

// From a RecordedEvent of any service; takes its bytes. Empty: id, type or time are not there.
template <typename Message>
std::optional<event_fields> read_event(Message&& in) {
    const auto id = read_uuid(in.id());
    const auto type = find_metadata(in.metadata(), type_key);
    const auto created = find_metadata(in.metadata(), created_key);
    const auto time = created ? time_from_ticks(*created) : std::nullopt;
    if (!id || !type || !time) {
        return std::nullopt;
    }
    const auto content = find_metadata(in.metadata(), content_type_key);
    event_fields event;
    event.id = *id;
    event.stream = in.stream_identifier().stream_name();
    event.revision = in.stream_revision();
    event.commit_position = in.commit_position();
    event.prepare_position = in.prepare_position();
    event.type = *type;
    event.is_json = content && *content == json_content;
    event.created = *time;
    event.data = std::move(*in.mutable_data());
    event.metadata = std::move(*in.mutable_custom_metadata());
    return event;
}

} // namespace immortal::esproto
