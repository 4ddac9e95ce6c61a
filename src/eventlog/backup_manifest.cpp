#include "eventlog/backup_manifest.hpp"

#include "base/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace immortal::eventlog {
namespace {

namespace json = base::json;
using base::errc;
using base::fail;

constexpr std::string_view title = "immortal-backup ";
constexpr std::string_view first_line = "immortal-backup 1 ";
constexpr std::size_t hex_size = 64;

std::string hash_of(std::string_view text) {
    return base::hex(base::sha256(text));
}

// Reads members; remembers that one was missing or wrong.
class object_reader {
public:
    explicit object_reader(const json::value& from)
        : object_(from.is_object() ? &from.get_object() : nullptr), good_(from.is_object()) {}

    std::uint64_t number(const char* key) {
        const json::value* value = find(key);
        if (value == nullptr || !value->is_number()) {
            good_ = false;
            return 0;
        }
        boost::system::error_code problem;
        const auto out = value->to_number<std::uint64_t>(problem);
        good_ = good_ && !problem;
        return problem ? 0 : out;
    }
    std::uint32_t small(const char* key) {
        const std::uint64_t out = number(key);
        good_ = good_ && out <= 0xFFFFFFFFu;
        return static_cast<std::uint32_t>(out);
    }
    bool flag(const char* key) {
        const json::value* value = find(key);
        good_ = good_ && value != nullptr && value->is_bool();
        return good_ && value->get_bool();
    }
    std::string text(const char* key) {
        const json::value* value = find(key);
        good_ = good_ && value != nullptr && value->is_string();
        return good_ ? std::string(value->get_string()) : std::string();
    }
    const json::array& list(const char* key) {
        static const json::array none;
        const json::value* value = find(key);
        good_ = good_ && value != nullptr && value->is_array();
        return good_ ? value->get_array() : none;
    }
    void demand(bool what) { good_ = good_ && what; }
    [[nodiscard]] bool good() const { return good_; }

private:
    const json::value* find(const char* key) const {
        return object_ == nullptr ? nullptr : object_->if_contains(key);
    }
    const json::object* object_;
    bool good_;
};

bool is_hash(const std::string& text) {
    return text.size() == hex_size && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

base::digest256 digest_of(const std::string& hex, object_reader& in) {
    base::digest256 out{};
    in.demand(is_hash(hex));
    for (std::size_t i = 0; in.good() && i < out.size(); ++i) {
        std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, out[i], 16);
    }
    return out;
}

json::object object_of(const backup_segment& segment) {
    json::array pieces;
    for (const backup_piece& piece : segment.pieces) {
        pieces.push_back(
            json::object{{"offset", piece.offset}, {"size", piece.size}, {"sha256", piece.sha256}});
    }
    return {{"number", segment.number},       {"first", segment.first_position},
            {"size", segment.logical_size},   {"headerCrc", segment.header_crc},
            {"scavenged", segment.scavenged}, {"pieces", std::move(pieces)}};
}

backup_segment segment_of(const json::value& from, object_reader& outer) {
    object_reader in(from);
    backup_segment out{.number = in.small("number"),
                       .first_position = in.number("first"),
                       .logical_size = in.number("size"),
                       .header_crc = in.small("headerCrc"),
                       .scavenged = in.flag("scavenged"),
                       .pieces = {}};
    for (const json::value& each : in.list("pieces")) {
        object_reader piece(each);
        out.pieces.push_back({piece.number("offset"), piece.number("size"), piece.text("sha256")});
        in.demand(piece.good() && is_hash(out.pieces.back().sha256));
    }
    outer.demand(in.good());
    return out;
}

// Whether the parts make a whole: nobody builds on a manifest that contradicts itself.
bool consistent(const backup_manifest& manifest) {
    std::uint64_t position = 0;
    for (std::size_t i = 0; i < manifest.segments.size(); ++i) {
        const backup_segment& one = manifest.segments[i];
        std::uint64_t offset = 0;
        for (const backup_piece& piece : one.pieces) {
            if (piece.offset != offset || piece.size == 0) {
                return false;
            }
            offset += piece.size;
        }
        if (one.number != i || one.first_position != position || one.pieces.empty() ||
            (!one.scavenged && offset != one.logical_size)) {
            return false;
        }
        position += one.logical_size;
    }
    return !manifest.segments.empty() && position == manifest.end.value &&
           !manifest.segments.back().scavenged;
}

} // namespace

std::string backup_manifest::name() const {
    return fmt::format("manifests/{:010}-{:020}.json", log.epoch, end.value);
}

std::uint64_t backup_manifest::stored_bytes() const {
    std::uint64_t sum = 0;
    for (const backup_segment& segment : segments) {
        sum += segment.stored_size();
    }
    return sum;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
    return hash_of({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string to_text(const backup_manifest& manifest) {
    json::array segments;
    for (const backup_segment& segment : manifest.segments) {
        segments.push_back(object_of(segment));
    }
    const std::string body =
        json::serialize(json::object{{"logId", manifest.log.id.text()},
                                     {"epoch", manifest.log.epoch},
                                     {"created", base::iso_text(manifest.created)},
                                     {"end", manifest.end.value},
                                     {"events", manifest.events},
                                     {"lastEvent", manifest.last_event.value},
                                     {"chain", base::hex(manifest.chain)},
                                     {"segments", std::move(segments)}});
    return std::string(first_line) + hash_of(body) + "\n" + body;
}

base::result<backup_manifest> parse_manifest(const std::string& name, std::string_view text) {
    const auto damaged = [&] {
        return fail(errc::corrupt, "the manifest " + name + " is damaged");
    };
    const std::size_t head = first_line.size() + hex_size + 1;
    if (!text.starts_with(first_line)) {
        return text.starts_with(title)
                   ? fail(errc::invalid_argument,
                          "the manifest " + name + " was written by a newer version")
                   : damaged();
    }
    if (text.size() < head || text[head - 1] != '\n' ||
        text.substr(first_line.size(), hex_size) != hash_of(text.substr(head))) {
        return damaged();
    }
    const auto parsed = base::parse_json(text.substr(head), 16);
    if (!parsed) {
        return damaged();
    }
    object_reader in(*parsed);
    backup_manifest out;
    const auto id = base::uuid::parse(in.text("logId"));
    const auto created = base::parse_iso(in.text("created"));
    in.demand(id && created);
    out.log = {id.value_or(base::uuid{}), in.small("epoch")};
    out.created = created.value_or(base::utc_time{});
    out.end = {in.number("end")};
    out.events = in.number("events");
    out.last_event = {in.number("lastEvent")};
    out.chain = digest_of(in.text("chain"), in);
    for (const json::value& segment : in.list("segments")) {
        out.segments.push_back(segment_of(segment, in));
    }
    if (!in.good() || !consistent(out) || out.name() != name) {
        return damaged();
    }
    return out;
}

base::result<backup_manifest> read_manifest(backup_target& from, const std::string& name) {
    const auto bytes = from.get(name);
    if (!bytes) {
        return fail(bytes.error());
    }
    return parse_manifest(name, {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
}

} // namespace immortal::eventlog
