#include "cache/entry.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <span>

namespace immortal::cache::wire {

namespace {

template <typename T>
void put(std::string& out, T value) {
    for (int shift = static_cast<int>(sizeof(T) - 1) * 8; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>((value >> shift) & 0xff));
    }
}

template <typename T>
T take(std::string_view bytes, std::size_t at) {
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        value = static_cast<T>((value << 8) | static_cast<unsigned char>(bytes[at + i]));
    }
    return value;
}

std::uint32_t check_of(std::string_view key, std::string_view rest) {
    return base::crc32c(std::as_bytes(std::span(rest)),
                        base::crc32c(std::as_bytes(std::span(key))));
}

} // namespace

std::string encode_identity(const base::log_identity& identity) {
    std::string out(identity.id.bytes.begin(), identity.id.bytes.end());
    put(out, identity.epoch);
    return out;
}

std::string encode(std::string_view key, const base::log_identity& identity, const entry& value,
                   bool changed) {
    std::string rest = encode_identity(identity);
    rest.reserve(header_size + value.payload.size());
    put(rest, value.position.value);
    put(rest, value.as_of.value);
    rest.push_back(
        static_cast<char>((value.absent ? flag_absent : 0u) | (changed ? flag_changed : 0u)));
    if (!changed) {
        rest.append(value.payload);
    }
    std::string out;
    out.reserve(4 + rest.size());
    put(out, check_of(key, rest));
    return out.append(rest);
}

std::optional<decoded> decode(std::string_view key, std::string_view bytes) {
    if (bytes.size() < header_size ||
        take<std::uint32_t>(bytes, check_at) != check_of(key, bytes.substr(identity_at))) {
        return std::nullopt;
    }
    decoded out;
    out.generation = bytes.substr(0, generation_size);
    std::copy_n(bytes.begin() + identity_at, out.identity.id.bytes.size(),
                out.identity.id.bytes.begin());
    out.identity.epoch = take<std::uint32_t>(bytes, identity_at + out.identity.id.bytes.size());
    out.value.position.value = take<std::uint64_t>(bytes, position_at);
    out.value.as_of.value = take<std::uint64_t>(bytes, as_of_at);
    const auto flags = static_cast<unsigned char>(bytes[flags_at]);
    out.value.absent = (flags & flag_absent) != 0;
    out.changed = (flags & flag_changed) != 0;
    out.value.payload = bytes.substr(header_size);
    return out;
}

} // namespace immortal::cache::wire
