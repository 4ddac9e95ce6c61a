#include "eventlog/recent_ids.hpp"

#include "base/assert.hpp"
#include "base/hash.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <cstring>

namespace immortal::eventlog {
namespace {

struct key {
    base::uuid id;
    std::uint64_t stream =
        0; // hash of its name; the log compares the name itself before it relies on it
    friend bool operator==(const key&, const key&) = default;
};

struct key_hash {
    using is_avalanching = void;
    std::uint64_t seed = 0;

    static std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
        __extension__ using wide = unsigned __int128;
        const wide product = static_cast<wide>(a) * b;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64u);
    }
    std::size_t operator()(const key& k) const {
        std::uint64_t high = 0;
        std::uint64_t low = 0;
        std::memcpy(&high, k.id.bytes.data(), 8);
        std::memcpy(&low, k.id.bytes.data() + 8, 8);
        return fold(fold(high ^ seed, low ^ 0x9E3779B97F4A7C15ull) ^ k.stream,
                    0xD6E8FEB86659FD93ull ^ seed);
    }
};

using table = boost::unordered_flat_map<key, known_event, key_hash>;

} // namespace

// Two generations: when the younger is full, the older is dropped.
struct recent_ids::state {
    std::size_t half;
    table young;
    table old;

    [[nodiscard]] std::optional<known_event> find(const key& k) const {
        for (const table* generation : {&young, &old}) {
            if (const auto found = generation->find(k); found != generation->end()) {
                return found->second;
            }
        }
        return std::nullopt;
    }
};

recent_ids::recent_ids(std::size_t capacity, std::uint64_t seed)
    : state_(std::make_unique<state>(std::max<std::size_t>(capacity / 2, 1),
                                     table(0, key_hash{seed}), table(0, key_hash{seed}))) {}
recent_ids::~recent_ids() = default;
recent_ids::recent_ids(recent_ids&&) noexcept = default;
recent_ids& recent_ids::operator=(recent_ids&&) noexcept = default;

std::optional<known_event> recent_ids::add(std::string_view stream, const base::uuid& id,
                                           known_event event) {
    const key k{id, base::stable_hash(stream)};
    const auto earlier = state_->find(k);
    if (state_->young.size() >= state_->half) {
        std::swap(state_->young, state_->old);
        state_->young.clear();
    }
    IMMORTAL_ASSERT(state_->young.size() < state_->half && state_->old.size() <= state_->half);
    state_->young.insert_or_assign(k, event);
    return earlier;
}

void recent_ids::take_back(std::string_view stream, const base::uuid& id,
                           const std::optional<known_event>& earlier) {
    const key k{id, base::stable_hash(stream)};
    for (table* generation : {&state_->young, &state_->old}) {
        if (!earlier) {
            generation->erase(k);
        } else if (const auto found = generation->find(k); found != generation->end()) {
            found->second = *earlier;
        }
    }
}

std::optional<known_event> recent_ids::find(std::string_view stream, const base::uuid& id) const {
    return state_->find({id, base::stable_hash(stream)});
}

} // namespace immortal::eventlog
