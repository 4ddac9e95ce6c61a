#include "eventlog/stream_states.hpp"

#include "base/assert.hpp"
#include "base/hash.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>

namespace immortal::eventlog {
namespace {

struct hash_text {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(std::string_view text) const { return base::stable_hash(text); }
};

using table = boost::unordered_flat_map<std::string, stream_state, hash_text, std::equal_to<>>;

} // namespace

// When the younger is full, the older is dropped. What is looked at in the older moves to the
// younger.
struct stream_states::generations {
    std::size_t half;
    table young;
    table old;

    stream_state* add(std::string_view stream, const stream_state& state) {
        if (young.size() >= half) {
            std::swap(young, old);
            young.clear();
        }
        const auto [place, added] = young.emplace(std::string(stream), state);
        IMMORTAL_ASSERT(added);
        return &place->second;
    }
};

stream_states::stream_states(std::size_t capacity)
    : generations_(std::make_unique<generations>(std::max<std::size_t>(capacity / 2, 1), table(),
                                                 table())) {}
stream_states::~stream_states() = default;

stream_state* stream_states::find(std::string_view stream) {
    if (const auto young = generations_->young.find(stream); young != generations_->young.end()) {
        return &young->second;
    }
    const auto old = generations_->old.find(stream);
    if (old == generations_->old.end()) {
        return nullptr;
    }
    const stream_state state = old->second;
    generations_->old.erase(old);
    return generations_->add(stream, state);
}

void stream_states::add(std::string_view stream, const stream_state& state) {
    IMMORTAL_ASSERT(!generations_->old.contains(stream));
    generations_->add(stream, state);
}

void stream_states::clear() {
    generations_->young.clear();
    generations_->old.clear();
}

} // namespace immortal::eventlog
