#include "eventlog/index_keys.hpp"

#include "base/assert.hpp"

#include <cstring>

namespace immortal::eventlog::index_keys {
namespace {

template <typename Integer>
void put_big(Integer value, std::string& to) {
    for (std::size_t i = sizeof value; i > 0; --i) {
        to.push_back(static_cast<char>(value >> (8 * (i - 1))));
    }
}

void put_varint(std::uint64_t value, std::string& to) {
    while (value >= 0x80) {
        to.push_back(static_cast<char>(value | 0x80u));
        value >>= 7u;
    }
    to.push_back(static_cast<char>(value));
}

bool take_varint(std::string_view& from, std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (from.empty()) {
            return false;
        }
        const auto byte = static_cast<std::uint8_t>(from.front());
        from.remove_prefix(1);
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= static_cast<std::uint64_t>(byte & 0x7Fu) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

template <typename At>
void put_positions(std::uint64_t count, At at, std::string& value) {
    IMMORTAL_ASSERT(count > 0 && count <= block_size_max);
    put_varint(count, value);
    std::uint64_t before = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t position = at(i).value;
        put_varint(position - before, value);
        before = position;
    }
}

template <typename Value>
void put_raw(const Value& value, std::string& to) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename Value>
bool take_raw(std::string_view& from, Value& value) {
    if (from.size() < sizeof value) {
        return false;
    }
    std::memcpy(&value, from.data(), sizeof value);
    from.remove_prefix(sizeof value);
    return true;
}

} // namespace

void put_list(const list_name& list, std::string& key) {
    put_big(list.hash, key);
    key.push_back(static_cast<char>(list.kind));
    put_big(static_cast<std::uint16_t>(list.name.size()), key);
    key.append(list.name);
}

std::string key_of(const list_name& list, std::uint64_t first) {
    std::string key;
    key.reserve(19 + list.name.size());
    put_list(list, key);
    put_big(~first, key);
    return key;
}

std::uint64_t first_of(std::string_view key) {
    IMMORTAL_ASSERT(key.size() >= 8);
    std::uint64_t value = 0;
    for (const char byte : key.substr(key.size() - 8)) {
        value = value << 8u | static_cast<std::uint8_t>(byte);
    }
    return ~value;
}

std::string checkpoint_key() {
    return std::string(prefix_size, '\xFF');
}

void put_block(const position_list& positions, std::uint64_t from, std::uint64_t count,
               std::string& value) {
    put_positions(count, [&](std::uint64_t i) { return positions[from + i]; }, value);
}

void put_block(std::span<const base::position> positions, std::string& value) {
    put_positions(positions.size(), [&](std::uint64_t i) { return positions[i]; }, value);
}

bool read_block(std::string_view value, std::vector<base::position>& out) {
    std::uint64_t count = 0;
    if (!take_varint(value, count) || count == 0 || count > block_size_max) {
        return false;
    }
    out.clear();
    out.reserve(count);
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        std::uint64_t distance = 0;
        if (!take_varint(value, distance) || distance == 0 || distance > ~at) {
            return false;
        }
        at += distance;
        out.push_back({at});
    }
    return value.empty();
}

std::string to_bytes(const checkpoint& value) {
    std::string out;
    put_raw(version, out);
    put_raw(value.flags, out);
    put_raw(value.log.id.bytes, out);
    put_raw(value.log.epoch, out);
    put_raw(static_cast<std::uint32_t>(value.places.size()), out);
    for (const log_place& place : value.places) {
        put_raw(place.end.value, out);
        put_raw(place.chain, out);
        put_raw(place.events, out);
        put_raw(place.last_event.value, out);
        put_raw(static_cast<std::int64_t>(place.last_created.time_since_epoch().count()), out);
    }
    return out;
}

std::optional<checkpoint> read_checkpoint(std::string_view bytes) {
    checkpoint out;
    std::uint32_t found = 0;
    std::uint32_t count = 0;
    if (!take_raw(bytes, found) || found != version || !take_raw(bytes, out.flags) ||
        !take_raw(bytes, out.log.id.bytes) || !take_raw(bytes, out.log.epoch) ||
        !take_raw(bytes, count) || bytes.size() != std::uint64_t{count} * 64) {
        return std::nullopt;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        log_place place;
        std::int64_t created = 0;
        const bool whole = take_raw(bytes, place.end.value) && take_raw(bytes, place.chain) &&
                           take_raw(bytes, place.events) &&
                           take_raw(bytes, place.last_event.value) && take_raw(bytes, created);
        if (!whole || (i > 0 && place.end <= out.places.back().end)) {
            return std::nullopt;
        }
        place.last_created = base::utc_time(std::chrono::microseconds(created));
        out.places.push_back(place);
    }
    return out;
}

} // namespace immortal::eventlog::index_keys
