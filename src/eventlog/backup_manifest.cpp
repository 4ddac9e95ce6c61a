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
    json::object out{{"number", segment.number},       {"first", segment.first_position},
                     {"size", segment.logical_size},   {"headerCrc", segment.header_crc},
                     {"scavenged", segment.scavenged}, {"pieces", std::move(pieces)}};
    if (!segment.header_sha256.empty()) {
        out["header"] = segment.header_sha256;
    }
    return out;
}

backup_segment segment_of(const json::value& from, std::uint32_t version, object_reader& outer) {
    object_reader in(from);
    backup_segment out{.number = in.small("number"),
                       .first_position = in.number("first"),
                       .logical_size = in.number("size"),
                       .header_crc = in.small("headerCrc"),
                       .header_sha256 = version == 1 ? std::string() : in.text("header"),
                       .scavenged = in.flag("scavenged"),
                       .pieces = {}};
    in.demand(version == 1 || is_hash(out.header_sha256));
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

std::string backup_place::blob() const {
    const std::string suffix = line == 1 ? "" : fmt::format("-line{}", line);
    return fmt::format("manifests/{:010}-{:020}{}.json", epoch, end.value, suffix);
}

std::optional<backup_place> backup_place::parse(std::string_view name) {
    constexpr std::size_t epoch_digits = 10;
    constexpr std::size_t end_digits = 20;
    constexpr std::string_view line_mark = "-line";
    constexpr std::size_t line_at = epoch_digits + 1 + end_digits;
    const auto read = [](std::string_view digits, auto& out) {
        const char* const last = digits.data() + digits.size();
        const auto done = std::from_chars(digits.data(), last, out);
        return done.ec == std::errc() && done.ptr == last;
    };
    backup_place out;
    if (!name.ends_with(".json") || name.size() < line_at ||
        !read(name.substr(0, epoch_digits), out.epoch) ||
        !read(name.substr(epoch_digits + 1, end_digits), out.end.value)) {
        return std::nullopt;
    }
    name.remove_suffix(std::string_view(".json").size());
    const std::string_view rest = name.size() < line_at ? "" : name.substr(line_at);
    const bool good = rest.empty() || (rest.starts_with(line_mark) &&
                                       read(rest.substr(line_mark.size()), out.line));
    // One name for each place.
    return good && out.blob() == fmt::format("manifests/{}.json", name) ? std::optional(out)
                                                                        : std::nullopt;
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
    json::object object{{"logId", manifest.log.id.text()},
                        {"epoch", manifest.log.epoch},
                        {"created", base::iso_text(manifest.created)},
                        {"end", manifest.end.value},
                        {"events", manifest.events},
                        {"lastEvent", manifest.last_event.value},
                        {"chain", base::hex(manifest.chain)},
                        {"segments", std::move(segments)}};
    if (manifest.version > 1) {
        object["line"] = manifest.line;
    }
    const std::string body = json::serialize(object);
    return fmt::format("{}{} {}\n{}", title, manifest.version, hash_of(body), body);
}

base::result<backup_manifest> parse_manifest(const std::string& name, std::string_view text) {
    const auto damaged = [&] {
        return fail(errc::corrupt, "the manifest " + name + " is damaged");
    };
    if (!text.starts_with(title) || text.size() < title.size() + 2) {
        return damaged();
    }
    const char version = text[title.size()];
    if (text[title.size() + 1] != ' ' || version < '1' || version > '2') {
        return fail(errc::invalid_argument,
                    "the manifest " + name + " was written by a newer version");
    }
    const std::size_t hash_at = title.size() + 2;
    const std::size_t head = hash_at + hex_size + 1;
    if (text.size() < head || text[head - 1] != '\n' ||
        text.substr(hash_at, hex_size) != hash_of(text.substr(head))) {
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
    out.version = static_cast<std::uint32_t>(version - '0');
    out.line = out.version == 1 ? 1 : in.small("line");
    out.log = {id.value_or(base::uuid{}), in.small("epoch")};
    out.created = created.value_or(base::utc_time{});
    out.end = {in.number("end")};
    out.events = in.number("events");
    out.last_event = {in.number("lastEvent")};
    out.chain = digest_of(in.text("chain"), in);
    for (const json::value& segment : in.list("segments")) {
        out.segments.push_back(segment_of(segment, out.version, in));
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
