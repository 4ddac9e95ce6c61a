#include "eventlog/revision_check.hpp"

#include "base/assert.hpp"
#include "base/hash.hpp"
#include "eventlog/event.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace immortal::eventlog {

revision_check::revision_check(std::size_t streams_max) : streams_max_(streams_max) {
    IMMORTAL_ASSERT(streams_max > 0);
}

// Half of a cryptographic hash: who chooses stream names cannot make two of them look like one.
revision_check::key revision_check::key_of(std::string_view stream) {
    const base::digest256 digest = base::blake2b(stream);
    key out;
    std::memcpy(&out.order, digest.data(), sizeof(out.order));
    std::memcpy(&out.rest, digest.data() + sizeof(out.order), sizeof(out.rest));
    return out;
}

bool revision_check::follows(std::string_view stream, base::revision revision) {
    const key one = key_of(stream);
    if (one.order < first_ || one.order > last_) {
        return true;
    }
    std::uint64_t& next = next_[one];
    const bool ends = revision == tombstone_revision && next < revision.value;
    const bool good = revision.value == next || ends;
    next = revision.value + 1;
    if (next_.size() > streams_max_) {
        make_room();
    }
    return good;
}

// Leaves the upper half to a later reading.
void revision_check::make_room() {
    std::vector<std::uint64_t> orders;
    orders.reserve(next_.size());
    for (const auto& [one, next] : next_) {
        orders.push_back(one.order);
    }
    const auto middle = orders.begin() + static_cast<std::ptrdiff_t>((orders.size() - 1) / 2);
    std::ranges::nth_element(orders, middle);
    IMMORTAL_ASSERT(*middle >= first_ && *middle <= last_);
    last_ = *middle;
    std::erase_if(next_, [&](const auto& each) { return each.first.order > last_; });
    IMMORTAL_ASSERT(!next_.empty());
}

bool revision_check::begin_next_reading() {
    next_.clear();
    if (last_ == std::numeric_limits<std::uint64_t>::max()) {
        return false;
    }
    first_ = last_ + 1;
    last_ = std::numeric_limits<std::uint64_t>::max();
    return true;
}

} // namespace immortal::eventlog
