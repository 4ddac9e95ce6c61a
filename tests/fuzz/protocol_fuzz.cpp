// Messages of the EventStoreDB protocol of any bytes; the first one says which. What the
// conversions read is legal, and is written back the same.
#include "esproto/convert.hpp"
#include "esproto/event.hpp"
#include "esproto/status_details.hpp"
#include "esproto/wire/streams.pb.h"
#include "fuzz.hpp"

namespace {

using namespace immortal; // NOLINT: a fuzz target
namespace wire = event_store::client::streams;

void expectation(std::optional<std::int64_t> value) {
    fuzz::require(!value || *value >= 0 || *value == esproto::expected::no_stream ||
                  *value == esproto::expected::any || *value == esproto::expected::stream_exists);
}

void event(wire::ReadResp::ReadEvent::RecordedEvent message) {
    auto fields = esproto::read_event(std::move(message));
    if (!fields) {
        return;
    }
    wire::ReadResp::ReadEvent::RecordedEvent again;
    const esproto::event_fields before = *fields;
    esproto::write_event(*fields, esproto::uuid_form::structured, again);
    const auto second = esproto::read_event(std::move(again));
    fuzz::require(second && second->id == before.id && second->stream == before.stream &&
                  second->type == before.type && second->data == before.data &&
                  second->metadata == before.metadata && second->created == before.created &&
                  second->revision == before.revision && second->is_json == before.is_json);
}

template <typename Message>
std::optional<Message> parse(std::string_view bytes) {
    Message message;
    return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))
               ? std::optional(std::move(message))
               : std::nullopt;
}

void ids(const event_store::client::UUID& id) {
    const auto read = esproto::read_uuid(id);
    for (const auto form : {esproto::uuid_form::structured, esproto::uuid_form::string}) {
        event_store::client::UUID again;
        if (read) {
            esproto::write_uuid(*read, form, again);
            fuzz::require(esproto::read_uuid(again) == read);
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0 || size > (1u << 20u)) {
        return 0;
    }
    const std::string_view bytes = fuzz::text_of(data + 1, size - 1);
    switch (data[0] % 7) {
    case 0:
        if (const auto message = parse<wire::AppendReq>(bytes)) {
            expectation(esproto::read_expected(message->options()));
            ids(message->proposed_message().id());
        }
        break;
    case 1:
        if (const auto message = parse<wire::BatchAppendReq>(bytes)) {
            expectation(esproto::read_expected_position(message->options()));
            ids(message->correlation_id());
        }
        break;
    case 2:
        if (const auto message = parse<wire::DeleteReq>(bytes)) {
            expectation(esproto::read_expected(message->options()));
        }
        break;
    case 3:
        if (auto message = parse<wire::ReadResp>(bytes)) {
            event(message->event().event());
        }
        break;
    case 4:
        if (const auto details = esproto::decode_status_details(bytes)) {
            fuzz::require(esproto::decode_status_details(esproto::encode(*details)) == details);
        }
        break;
    case 5:
        if (const auto time = esproto::time_from_ticks(bytes)) {
            fuzz::require(esproto::time_from_ticks(esproto::ticks_text(*time)) == time);
        }
        break;
    default:
        if (const auto id = parse<event_store::client::UUID>(bytes)) {
            ids(*id);
        }
        break;
    }
    return 0;
}
