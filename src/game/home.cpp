#include "game/home.hpp"

#include "base/hash.hpp"
#include "game/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace immortal::game {

namespace {

namespace json = base::json;

std::string_view text_at(const json::object& in, std::string_view key) {
    const json::value* found = in.if_contains(key);
    return found != nullptr && found->is_string() ? std::string_view(found->get_string())
                                                  : std::string_view{};
}

std::optional<request_hash> parse_request(std::string_view text) {
    request_hash out{};
    if (text.size() != out.size() * 2) {
        return std::nullopt;
    }
    const auto digit = [](char c) -> int {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    for (std::size_t i = 0; i < out.size(); ++i) {
        const int high = digit(text[2 * i]);
        const int low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return std::nullopt;
        }
        out[i] = static_cast<std::uint8_t>(high * 16 + low);
    }
    return out;
}

// Without the closing brace.
std::string open_metadata(const metadata_parts& parts) {
    const std::string id = parts.command_id.text();
    return fmt::format(R"({{"$correlationId":"{}","$causationId":"{}","commandId":"{}",)"
                       R"("actor":"{}","schemaVersion":"{}","at":"{}")",
                       id, id, id, parts.actor, schema_version, base::iso_text(parts.at));
}

} // namespace

event_metadata parse_metadata(std::string_view text) {
    event_metadata out;
    const auto parsed = base::parse_json(text);
    const json::object* in = parsed ? parsed->if_object() : nullptr;
    if (in == nullptr) {
        return out;
    }
    out.command_id = base::uuid::parse(text_at(*in, "commandId"));
    out.request = parse_request(text_at(*in, "requestHash"));
    out.outcome = text_at(*in, "outcome");
    out.actor = text_at(*in, "actor");
    out.correlation_id = text_at(*in, "$correlationId");
    out.causation_id = text_at(*in, "$causationId");
    out.at = base::parse_iso(text_at(*in, "at"));
    return out;
}

std::string make_metadata(const metadata_parts& parts) {
    return open_metadata(parts) + '}';
}

std::string make_home_metadata(const metadata_parts& parts, const request_hash& request,
                               std::string_view outcome) {
    std::string out = open_metadata(parts);
    fmt::format_to(std::back_inserter(out), R"(,"requestHash":"{}","outcome":{}}})",
                   base::hex(request), json::serialize(json::string_view(outcome)));
    return out;
}

const command_record* command_memory::find(const base::uuid& command) const noexcept {
    // The newest first: a retry comes soon.
    const auto found =
        std::find_if(records_.rbegin(), records_.rend(),
                     [&](const command_record& r) { return r.command_id == command; });
    return found == records_.rend() ? nullptr : &*found;
}

void command_memory::remember(command_record what) {
    records_.push_back(what);
    if (records_.size() > commands_remembered) {
        records_.pop_front();
    }
}

void command_memory::evolve(std::string_view metadata, base::revision revision, base::position at) {
    const event_metadata parts = parse_metadata(metadata);
    if (!parts.command_id) {
        return;
    }
    if (parts.request) {
        remember({*parts.command_id, *parts.request, revision, at});
    } else if (!records_.empty() && records_.back().command_id == *parts.command_id) {
        records_.back().position = at;
    }
}

json::array command_memory::encode() const {
    json::array out;
    out.reserve(records_.size());
    for (const command_record& r : records_) {
        out.push_back(json::array{r.command_id.text(), base::hex(r.request),
                                  static_cast<std::int64_t>(r.revision.value),
                                  static_cast<std::int64_t>(r.position.value)});
    }
    return out;
}

base::result<command_memory> command_memory::decode(const json::array& in) {
    command_memory out;
    const auto wrong = [] {
        return base::fail(base::errc::corrupt, "snapshot: a remembered command is not readable");
    };
    if (in.size() > commands_remembered) {
        return wrong();
    }
    for (const json::value& entry : in) {
        const json::array* parts = entry.if_array();
        if (parts == nullptr || parts->size() != 4 || !(*parts)[0].is_string() ||
            !(*parts)[1].is_string()) {
            return wrong();
        }
        const auto id = base::uuid::parse((*parts)[0].get_string());
        const auto request = parse_request((*parts)[1].get_string());
        const auto revision = base::decode<base::revision>((*parts)[2]);
        const auto at = base::decode<base::position>((*parts)[3]);
        if (!id || !request || !revision || !at) {
            return wrong();
        }
        out.remember({*id, *request, *revision, *at});
    }
    return out;
}

// --- snapshots ---

std::string snapshot_stream_of(std::string_view stream) {
    return std::string(snapshot_prefix) += stream;
}

std::string encode_snapshot_text(const json::value& state, const command_memory& commands,
                                 base::revision revision) {
    return json::serialize(json::object{{"rulesVersion", rules_version},
                                        {"revision", static_cast<std::int64_t>(revision.value)},
                                        {"state", state},
                                        {"commands", commands.encode()}});
}

base::result<snapshot_parts> decode_snapshot_text(std::string_view data) {
    auto parsed = base::parse_json(data);
    json::object* in = parsed ? parsed->if_object() : nullptr;
    if (in == nullptr) {
        return base::fail(base::errc::corrupt, "snapshot: it is not a JSON object");
    }
    const json::value* version = in->if_contains("rulesVersion");
    if (version == nullptr || *version != json::value(rules_version)) {
        return base::fail(base::errc::mismatch, "snapshot: it was made by other rules");
    }
    json::value* state = in->if_contains("state");
    const json::value* revision = in->if_contains("revision");
    const json::value* commands = in->if_contains("commands");
    const auto number = revision != nullptr
                            ? base::decode<base::revision>(*revision)
                            : base::fail(base::errc::corrupt, "snapshot: it has no revision");
    if (state == nullptr || !number || commands == nullptr || !commands->is_array()) {
        return base::fail(base::errc::corrupt, "snapshot: a part is missing");
    }
    auto remembered = command_memory::decode(commands->get_array());
    if (!remembered) {
        return base::fail(std::move(remembered.error()));
    }
    return snapshot_parts{std::move(*state), std::move(*remembered), *number};
}

} // namespace immortal::game
