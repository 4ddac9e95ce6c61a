#include "eventlog/index_reading.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace immortal::eventlog {
namespace {

using base::fail;
using positions = std::vector<base::position>;

// Numbers below `until` that a read wants; `count_max` of them.
struct wish {
    std::uint64_t from = 0;
    direction way = direction::forwards;
    std::size_t count_max = 0;
};

// The list's entries before `end` without its tombstone: numbered first, first + 1, ...
std::uint64_t plain_count(const indexed_list& list, base::position end) {
    const std::uint64_t count = list.positions.count_before(end);
    return list.ended && count == list.positions.size() ? count - 1 : count;
}

// Adds what a part holds of the wish, its entries being numbered from `base` on.
void take(const indexed_list& list, std::uint64_t base, std::uint64_t count, const wish& wanted,
          positions& out) {
    if (wanted.way == direction::forwards) {
        const std::uint64_t next = wanted.from + out.size();
        for (std::uint64_t i = next > base ? next - base : 0;
             i < count && out.size() < wanted.count_max; ++i) {
            out.push_back(list.positions[i]);
        }
    } else if (wanted.from >= base && count > 0) {
        for (std::uint64_t i = std::min(wanted.from - base, count - 1) + 1;
             i > 0 && out.size() < wanted.count_max; --i) {
            out.push_back(list.positions[i - 1]);
        }
    }
}

} // namespace

base::result<std::optional<base::revision>> index_instant::last_revision(std::string_view stream,
                                                                         base::position end) const {
    const list_name name = make_list_name(list_kind::stream, stream);
    std::optional<base::revision> found;
    for (auto part = parts.rbegin(); part != parts.rend() && !found; ++part) {
        (*part)->with(name, [&](const indexed_list& list) {
            const std::uint64_t count = list.positions.count_before(end);
            if (count > 0) {
                const bool ended = list.ended && count == list.positions.size();
                found = ended ? tombstone_revision : base::revision{list.first + count - 1};
            }
        });
    }
    if (found || older == nullptr) {
        return found;
    }
    const auto last = older->last_number(name, std::min(end, older_end));
    if (!last) {
        return fail(last.error());
    }
    return *last ? std::optional(base::revision{**last}) : std::nullopt;
}

base::result<positions> index_instant::stream_positions(std::string_view stream,
                                                        base::revision from, direction way,
                                                        std::size_t count_max,
                                                        base::position end) const {
    const list_name name = make_list_name(list_kind::stream, stream);
    const wish wanted{from.value, way, count_max};
    positions out;
    if (way == direction::backwards) {
        for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
            (*part)->with(name, [&](const indexed_list& list) {
                const std::uint64_t plain = plain_count(list, end);
                if (plain < list.positions.count_before(end) && from >= tombstone_revision) {
                    out.push_back(list.positions.back());
                }
                if (plain > 0) {
                    take(list, list.first, plain, wanted, out);
                }
            });
        }
        if (older == nullptr || out.size() >= count_max) {
            return out;
        }
        // What was taken stands above what is older.
        const auto more =
            older->descend(name, from.value, 0, count_max - out.size(), std::min(end, older_end));
        if (!more) {
            return fail(more.error());
        }
        out.insert(out.end(), more->begin(), more->end());
        return out;
    }
    // The parts first: a stream that begins in one of them, after `from`, goes on there.
    positions in_parts;
    std::optional<std::uint64_t> parts_begin;
    for (const auto& part : parts) {
        part->with(name, [&](const indexed_list& list) {
            const std::uint64_t plain = plain_count(list, end);
            if (plain < list.positions.count_before(end) && from == tombstone_revision) {
                out.push_back(list.positions.back());
            }
            if (plain > 0) {
                const std::uint64_t begin = std::max(from.value, list.first);
                parts_begin = parts_begin ? parts_begin : std::optional(list.first);
                for (std::uint64_t i = begin - list.first; i < plain && in_parts.size() < count_max;
                     ++i) {
                    in_parts.push_back(list.positions[i]);
                }
            }
        });
    }
    if (older != nullptr && out.empty() && (!parts_begin || *parts_begin > from.value)) {
        const std::uint64_t wanted_last =
            count_max - 1 > ~from.value ? ~0ull : from.value + count_max - 1;
        const std::uint64_t highest =
            parts_begin ? std::min(wanted_last, *parts_begin - 1) : wanted_last;
        auto before = older->descend(
            name,
            from >= tombstone_revision ? highest : std::min(highest, tombstone_revision.value - 1),
            from.value, count_max, std::min(end, older_end));
        if (!before) {
            return fail(before.error());
        }
        out.assign(before->rbegin(), before->rend());
    }
    const std::size_t room = count_max - out.size();
    out.insert(out.end(), in_parts.begin(),
               in_parts.begin() + static_cast<std::ptrdiff_t>(std::min(room, in_parts.size())));
    return out;
}

base::result<std::uint64_t> index_instant::size(const list_name& list, base::position end) const {
    std::uint64_t count = 0;
    if (older != nullptr) {
        const auto last = older->last_number(list, std::min(end, older_end));
        if (!last) {
            return fail(last.error());
        }
        count = *last ? **last + 1 : 0;
    }
    for (const auto& part : parts) {
        part->with(list,
                   [&](const indexed_list& found) { count += found.positions.count_before(end); });
    }
    return count;
}

base::result<positions> index_instant::view_positions(const list_name& list, std::uint64_t from,
                                                      direction way, std::size_t count_max,
                                                      base::position end) const {
    const base::position older_limit = std::min(end, older_end);
    std::uint64_t older_count = 0;
    if (older != nullptr) {
        const auto last = older->last_number(list, older_limit);
        if (!last) {
            return fail(last.error());
        }
        older_count = *last ? **last + 1 : 0;
    }
    const wish wanted{from, way, count_max};
    positions out;
    const auto from_older = [&]() -> base::status {
        if (older_count == 0 || (way == direction::forwards && from >= older_count)) {
            return {};
        }
        const bool back = way == direction::backwards;
        const std::size_t room = count_max - out.size();
        const std::uint64_t highest =
            back ? std::min(from, older_count - 1)
                 : std::min<std::uint64_t>(older_count - 1, from + room - 1);
        auto found = older->descend(list, highest, back ? 0 : from, room, older_limit);
        if (!found) {
            return fail(found.error());
        }
        if (!back) {
            std::ranges::reverse(*found);
        }
        out.insert(out.end(), found->begin(), found->end());
        return {};
    };
    if (way == direction::forwards) {
        if (auto done = from_older(); !done) {
            return fail(std::move(done.error()));
        }
        std::uint64_t base = older_count;
        for (const auto& part : parts) {
            part->with(list, [&](const indexed_list& found) {
                const std::uint64_t count = found.positions.count_before(end);
                take(found, base, count, wanted, out);
                base += count;
            });
        }
        return out;
    }
    // Backwards: the bases of the parts first.
    std::vector<std::uint64_t> counts;
    std::uint64_t base = older_count;
    for (const auto& part : parts) {
        counts.push_back(0);
        part->with(list, [&](const indexed_list& found) {
            counts.back() = found.positions.count_before(end);
        });
        base += counts.back();
    }
    for (std::size_t i = parts.size(); i > 0; --i) {
        base -= counts[i - 1];
        parts[i - 1]->with(list, [&](const indexed_list& found) {
            take(found, base, counts[i - 1], wanted, out);
        });
    }
    if (out.size() < count_max) {
        if (auto done = from_older(); !done) {
            return fail(std::move(done.error()));
        }
    }
    return out;
}

base::result<base::position> index_instant::frame_before(base::position at) const {
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        if (const auto found = (*part)->frame_before(at)) {
            return *found;
        }
    }
    return older ? older->frame_before(at) : base::position{};
}

} // namespace immortal::eventlog
