#include "eventstore/remote_messages.hpp"

namespace immortal::eventstore::remote {

append_places::append_places(std::span<const stream_write> writes) {
    for (const stream_write& write : writes) {
        if (count_ == 0 && !write.events.empty()) {
            first_ = write.events.front().id;
        }
        count_ += static_cast<std::uint32_t>(write.events.size());
    }
}

std::int64_t expected_number(const expected_revision& expected) {
    using kind = expected_revision::kind;
    switch (expected.what) {
    case kind::any:
        return esproto::expected::any;
    case kind::no_stream:
        return esproto::expected::no_stream;
    case kind::stream_exists:
        return esproto::expected::stream_exists;
    case kind::soft_deleted:
        return esproto::expected::soft_deleted;
    case kind::tombstoned:
        return esproto::expected::tombstoned;
    case kind::exact:
        break;
    }
    return static_cast<std::int64_t>(expected.exact.value);
}

std::optional<received_event> receive_event(wire::ReadResp::ReadEvent&& message) {
    // Links are not followed, so the event is the one that was read.
    auto fields = esproto::read_event(std::move(*message.mutable_event()));
    if (!fields) {
        return std::nullopt;
    }
    remote_metadata metadata = from_remote(std::move(fields->metadata));
    received_event out;
    out.place = metadata.place;
    out.event = {.position = {fields->commit_position},
                 .stream = std::move(fields->stream),
                 .revision = {fields->revision},
                 .id = fields->id,
                 .type = std::move(fields->type),
                 .data = std::move(fields->data),
                 .metadata = std::move(metadata.metadata),
                 .created = fields->created,
                 .format = fields->is_json ? eventlog::content::json : eventlog::content::binary,
                 .last_in_batch = !out.place || out.place->last()};
    return out;
}

wire::ReadReq read_request(direction way) {
    wire::ReadReq request;
    auto& options = *request.mutable_options();
    options.set_read_direction(way == direction::forwards ? wire::ReadReq::Options::Forwards
                                                          : wire::ReadReq::Options::Backwards);
    options.set_resolve_links(false);
    options.mutable_no_filter();
    options.mutable_uuid_option()->mutable_structured();
    options.mutable_control_option()->set_compatibility(1);
    return request;
}

void set_stream(wire::ReadReq& request, const std::string& stream) {
    request.mutable_options()->mutable_stream()->mutable_stream_identifier()->set_stream_name(
        stream);
}

void set_filter(wire::ReadReq& request, const all_filter& filter) {
    using options = wire::ReadReq::Options::FilterOptions;
    options out;
    const auto prefixes = [](auto& expression, const std::vector<std::string>& all) {
        for (const std::string& prefix : all) {
            expression.add_prefix(prefix);
        }
    };
    // One expression fits into a request; the others are looked at when the events are here.
    if (!filter.stream_prefixes.empty()) {
        prefixes(*out.mutable_stream_identifier(), filter.stream_prefixes);
    } else if (!filter.type_prefixes.empty()) {
        prefixes(*out.mutable_event_type(), filter.type_prefixes);
    } else if (!filter.stream_expression.empty()) {
        out.mutable_stream_identifier()->set_regex(filter.stream_expression);
    } else if (!filter.type_expression.empty()) {
        out.mutable_event_type()->set_regex(filter.type_expression);
    } else if (filter.user_events_only) {
        out.mutable_event_type()->set_regex("^[^$]");
    } else {
        return;
    }
    out.mutable_count();
    out.set_checkpointintervalmultiplier(1);
    *request.mutable_options()->mutable_filter() = std::move(out);
}

} // namespace immortal::eventstore::remote
