#include "cache/local_level.hpp"

#include "base/hash.hpp"

#include <algorithm>

namespace immortal::cache {

namespace {

// Shard and slot come from different bits, so the counters of one shard spread over all slots.
std::size_t slot_of(std::uint64_t hash, std::size_t slots) {
    return (hash >> 8) % slots;
}

std::int64_t ticks(base::steady_time t) {
    return t.time_since_epoch().count();
}

} // namespace

local_level::local_level(const base::clock& clock, milliseconds unconfirmed_age,
                         bool always_confirmed, std::size_t entries_max)
    : clock_(clock), unconfirmed_age_(unconfirmed_age), always_confirmed_(always_confirmed),
      freshened_(std::make_unique<std::array<std::atomic<std::uint64_t>, slots>>()) {
    for (const cache_class* c : classes::all()) {
        // Few entries are kept in one shard, so that the bound means what it says.
        const std::size_t bound = std::min(c->local_entries_max, entries_max);
        const std::size_t used = bound < 1'000 ? 1 : shards_per_class;
        for (std::size_t i = 0; i < used; ++i) {
            shards_[c->index][i] = std::make_unique<shard>(
                local_limits{c->policy, bound / used, c->local_bytes_max / used});
        }
    }
}

local_level::shard& local_level::shard_of(std::size_t class_index, std::uint64_t hash) const {
    const auto& row = shards_[class_index];
    const auto& chosen = row[hash % shards_per_class];
    return chosen ? *chosen : *row[0];
}

bool local_level::confirmed() const {
    return always_confirmed_ ||
           ticks(clock_.steady_now()) < confirmed_until_.load(std::memory_order_relaxed);
}

void local_level::confirm_until(base::steady_time until) {
    confirmed_until_.store(ticks(until), std::memory_order_relaxed);
}

std::optional<entry> local_level::find(const key& where, std::optional<base::position> after) {
    if (where.what().local_entries_max == 0) {
        return std::nullopt;
    }
    const base::steady_time now = clock_.steady_now();
    shard& s = shard_of(where.what().index, base::stable_hash(where.text()));
    std::optional<local_hit> hit;
    {
        const std::lock_guard lock(s.mutex);
        hit = s.table.find(where.text(), now);
    }
    if (!hit || !passes(*hit->value, after)) {
        return std::nullopt;
    }
    if (now - hit->stored > unconfirmed_age_ && !confirmed()) {
        return std::nullopt;
    }
    return *hit->value;
}

local_level::ticket local_level::take_ticket(const key& where) const {
    const std::size_t slot = slot_of(base::stable_hash(where.text()), slots);
    return {(*freshened_)[slot].load(), cleared_.load()};
}

bool local_level::store(const key& where, const entry& value, const ticket* taken) {
    const cache_class& c = where.what();
    if (c.local_entries_max == 0) {
        return false;
    }
    const std::uint64_t hash = base::stable_hash(where.text());
    const base::steady_time now = clock_.steady_now();
    const auto ttl = value.absent ? std::min(c.negative_ttl, c.local_ttl) : c.local_ttl;
    auto copy = std::make_shared<const entry>(value);
    shard& s = shard_of(c.index, hash);
    const std::lock_guard lock(s.mutex);
    auto& counter = (*freshened_)[slot_of(hash, slots)];
    if (taken == nullptr) {
        counter.fetch_add(1);
    } else if (counter.load() != taken->slot || cleared_.load() != taken->cleared) {
        return false;
    }
    return s.table.put(where.text(), std::move(copy), now, now + ttl);
}

bool local_level::fill(const key& where, const entry& value, const ticket& taken) {
    return store(where, value, &taken);
}

void local_level::freshen(const key& where, const entry& value) {
    static_cast<void>(store(where, value, nullptr));
}

void local_level::invalidate(std::size_t class_index, const std::string& key_text,
                             base::position position) {
    const std::uint64_t hash = base::stable_hash(key_text);
    shard& s = shard_of(class_index, hash);
    const std::lock_guard lock(s.mutex);
    (*freshened_)[slot_of(hash, slots)].fetch_add(1);
    s.table.erase_older(key_text, position);
}

void local_level::forget(std::size_t class_index, const std::string& key_text) {
    const std::uint64_t hash = base::stable_hash(key_text);
    shard& s = shard_of(class_index, hash);
    const std::lock_guard lock(s.mutex);
    (*freshened_)[slot_of(hash, slots)].fetch_add(1);
    s.table.erase(key_text);
}

void local_level::clear() {
    cleared_.fetch_add(1);
    for (const auto& row : shards_) {
        for (const auto& s : row) {
            if (s) {
                const std::lock_guard lock(s->mutex);
                s->table.clear();
            }
        }
    }
}

local_level::usage local_level::used() const {
    usage out;
    for (const auto& row : shards_) {
        for (const auto& s : row) {
            if (s) {
                const std::lock_guard lock(s->mutex);
                out.entries += s->table.entries();
                out.bytes += s->table.bytes();
                out.evictions += s->table.evictions();
            }
        }
    }
    return out;
}

} // namespace immortal::cache
