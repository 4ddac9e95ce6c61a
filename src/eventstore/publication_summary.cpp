#include "eventstore/publication_summary.hpp"

#include "base/assert.hpp"

#include <limits>
#include <new>

namespace immortal::eventstore {

namespace {

constexpr std::size_t name_size_max = std::numeric_limits<std::uint16_t>::max();
constexpr std::size_t kept_capacity = 256u << 10u; // bytes of names, from one use to the next

static_assert(eventlog::stream_name_size_max <= name_size_max);
static_assert(eventlog::event_type_size_max <= name_size_max);

} // namespace

publication_summary::touch publication_summary::operator[](std::size_t place) const {
    const stored_touch& one = touches_[place];
    const std::string_view names = std::string_view(names_).substr(one.begin);
    return {names.substr(0, one.stream_size), names.substr(one.stream_size, one.type_size),
            names.substr(std::size_t{one.stream_size} + one.type_size, one.correlation_size),
            one.first_event, one.tombstone};
}

void publication_summary::add(base::position end, std::span<const eventlog::index_entry> entries,
                              correlations ids) noexcept {
    IMMORTAL_ASSERT(!entries.empty() && entries.back().position < end);
    IMMORTAL_ASSERT(events_ == 0 || entries.front().position > last_event_);
    end_ = end;
    last_event_ = entries.back().position;
    events_ += entries.size();
    try {
        for (auto entry = entries.begin(); complete_ && entry != entries.end(); ++entry) {
            // An id too long to be kept is one that everybody is told of.
            complete_ = entry->correlation.size() <= name_size_max;
            const bool kept = complete_ && ids == correlations::kept;
            add_touch(*entry, kept ? entry->correlation : std::string_view{});
        }
    } catch (const std::bad_alloc&) {
        complete_ = false;
    }
}

void publication_summary::absorb(const publication_summary& later) {
    if (later.events_ > 0) {
        IMMORTAL_ASSERT(events_ == 0 || later.last_event_ > last_event_);
        end_ = later.end_;
        last_event_ = later.last_event_;
        events_ += later.events_;
    }
    complete_ = false;
}

void publication_summary::add_touch(const eventlog::index_entry& entry,
                                    std::string_view correlation) {
    if (!touches_.empty()) {
        const touch last = (*this)[touches_.size() - 1];
        if (last.stream == entry.stream && last.type == entry.type &&
            last.correlation == correlation) {
            stored_touch& same = touches_.back();
            same.first_event = same.first_event || entry.revision.value == 0;
            same.tombstone = same.tombstone || entry.revision == eventlog::tombstone_revision;
            return;
        }
    }
    if (touches_.size() == touches_max || names_.size() > names_size_max) {
        complete_ = false;
        return;
    }
    touches_.push_back({static_cast<std::uint32_t>(names_.size()),
                        static_cast<std::uint16_t>(entry.stream.size()),
                        static_cast<std::uint16_t>(entry.type.size()),
                        static_cast<std::uint16_t>(correlation.size()), entry.revision.value == 0,
                        entry.revision == eventlog::tombstone_revision});
    names_.append(entry.stream).append(entry.type).append(correlation);
}

void publication_summary::clear() {
    if (names_.capacity() > kept_capacity) {
        names_ = {};
        touches_ = {};
    }
    names_.clear();
    touches_.clear();
    events_ = 0;
    complete_ = true;
}

} // namespace immortal::eventstore
