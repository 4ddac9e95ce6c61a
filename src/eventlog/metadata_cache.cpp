#include "eventlog/metadata_cache.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <utility>

namespace immortal::eventlog {

std::size_t metadata_cache::hash_text::operator()(std::string_view text) const {
    return base::stable_hash(text);
}

metadata_cache::metadata_cache(std::size_t capacity)
    : half_(std::max<std::size_t>(capacity / shard_count / 2, 1)) {}

metadata_cache::shard& metadata_cache::shard_of(std::string_view stream) {
    static_assert(shard_count == 64);
    return shards_[base::stable_hash(stream) >> 58u];
}

void metadata_cache::put(shard& in, std::string_view stream, pointer metadata) {
    if (in.young.size() >= half_) {
        std::swap(in.young, in.old);
        in.young.clear();
    }
    in.young.insert_or_assign(std::string(stream), std::move(metadata));
}

metadata_cache::answer metadata_cache::find(std::string_view stream) {
    shard& in = shard_of(stream);
    const std::lock_guard lock(in.mutex);
    if (const auto young = in.young.find(stream); young != in.young.end()) {
        return {true, young->second, 0};
    }
    if (const auto old = in.old.find(stream); old != in.old.end()) {
        pointer metadata = std::move(old->second);
        in.old.erase(old);
        put(in, stream, metadata);
        return {true, std::move(metadata), 0};
    }
    return {false, nullptr, in.version};
}

void metadata_cache::keep(std::string_view stream, std::uint64_t ticket, pointer metadata) {
    shard& in = shard_of(stream);
    const std::lock_guard lock(in.mutex);
    if (in.version == ticket) {
        put(in, stream, std::move(metadata));
    }
}

void metadata_cache::forget(std::string_view stream) {
    shard& in = shard_of(stream);
    const std::lock_guard lock(in.mutex);
    ++in.version;
    if (const auto young = in.young.find(stream); young != in.young.end()) {
        in.young.erase(young);
    }
    if (const auto old = in.old.find(stream); old != in.old.end()) {
        in.old.erase(old);
    }
}

} // namespace immortal::eventlog
