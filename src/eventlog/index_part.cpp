#include "eventlog/index_part.hpp"

#include "base/assert.hpp"
#include "base/hash.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <cstring>

namespace immortal::eventlog {
namespace {

constexpr std::uint64_t frame_distance = 64u << 10u;
constexpr std::size_t list_cost = sizeof(indexed_list) + 96; // with its place in the table
constexpr std::size_t name_block = 64u << 10u;

bool is_link(std::string_view type) {
    return type == "$>";
}

struct hash_name {
    using is_avalanching = void;
    std::size_t operator()(const list_name& name) const {
        return name.hash + static_cast<std::size_t>(name.kind) * 0x9E3779B97F4A7C15ull;
    }
};

} // namespace

list_kind kind_of(index_view view) {
    switch (view) {
    case index_view::category:
        return list_kind::category;
    case index_view::type:
        return list_kind::type;
    case index_view::correlation:
        return list_kind::correlation;
    case index_view::streams:
        return list_kind::streams;
    case index_view::category_streams:
        return list_kind::category_streams;
    }
    return list_kind::category;
}

void visit_views(const index_entry& entry, bool correlations,
                 const std::function<void(index_view view, std::string_view name)>& use) {
    const bool original = !is_link(entry.type) && entry.revision != tombstone_revision;
    const std::string_view category = category_of(entry.stream);
    if (!is_link(entry.type)) {
        use(index_view::type, entry.type);
    }
    if (original && !category.empty()) {
        use(index_view::category, category);
    }
    if (original && correlations && !entry.correlation.empty()) {
        use(index_view::correlation, entry.correlation);
    }
    if (entry.revision.value == 0) {
        use(index_view::streams, {});
        if (!category.empty()) {
            use(index_view::category_streams, category);
        }
    }
}

bool operator<(const list_name& a, const list_name& b) {
    if (a.hash != b.hash) {
        return a.hash < b.hash;
    }
    if (a.kind != b.kind) {
        return a.kind < b.kind;
    }
    return a.name.size() != b.name.size() ? a.name.size() < b.name.size() : a.name < b.name;
}

list_name make_list_name(list_kind kind, std::string_view name) {
    return {kind, base::stable_hash(name), name};
}

struct index_part::table {
    boost::unordered_flat_map<list_name, indexed_list*, hash_name> lists;
    std::vector<std::unique_ptr<char[]>> names;
    std::size_t left = 0; // in the newest block of names
    char* next = nullptr;

    std::string_view keep(std::string_view name) {
        if (name.size() > left) {
            const std::size_t size = std::max(name.size(), name_block);
            names.push_back(std::make_unique_for_overwrite<char[]>(size));
            next = names.back().get();
            left = size;
        }
        if (!name.empty()) {
            std::memcpy(next, name.data(), name.size());
        }
        const std::string_view kept(next, name.size());
        next += name.size();
        left -= name.size();
        return kept;
    }
};

index_part::index_part(bool correlations)
    : correlations_(correlations), table_(std::make_unique<table>()) {}
index_part::~index_part() = default;

void index_part::add(base::position frame, std::span<const index_entry> entries) {
    IMMORTAL_ASSERT(!entries.empty() && frame < entries.front().position);
    const std::lock_guard lock(mutex_);
    if (frames_.empty() || frame.value - frames_.back().value >= frame_distance) {
        frames_.push_back(frame);
        bytes_ += sizeof frame;
    }
    for (const index_entry& entry : entries) {
        add_one(entry);
    }
    events_ += entries.size();
}

void index_part::find_stream(std::string_view stream) {
    if (stream_ != nullptr && stream_->name.name == stream) {
        return;
    }
    stream_ = find_or_make(list_kind::stream, stream);
    const std::string_view category = category_of(stream);
    if (category.empty()) {
        category_ = nullptr;
    } else if (category_ == nullptr || category_->name.name != category) {
        category_ = find_or_make(list_kind::category, category);
    }
}

void index_part::add_one(const index_entry& entry) {
    find_stream(entry.stream);
    const bool tombstone = entry.revision == tombstone_revision;
    if (stream_->positions.size() == 0) {
        stream_->first = entry.revision.value;
    }
    IMMORTAL_ASSERT(!stream_->ended && (tombstone || stream_->first + stream_->positions.size() ==
                                                         entry.revision.value));
    stream_->ended = tombstone;
    push(*stream_, entry.position);
    const bool link = is_link(entry.type);
    if (!link) {
        if (type_ == nullptr || type_->name.name != entry.type) {
            type_ = find_or_make(list_kind::type, entry.type);
        }
        push(*type_, entry.position);
    }
    if (!link && !tombstone) {
        if (category_ != nullptr) {
            push(*category_, entry.position);
        }
        if (correlations_ && !entry.correlation.empty()) {
            push(*find_or_make(list_kind::correlation, entry.correlation), entry.position);
        }
    }
    if (entry.revision.value == 0) {
        push(*find_or_make(list_kind::streams, {}), entry.position);
        if (category_ != nullptr) {
            push(*find_or_make(list_kind::category_streams, category_->name.name), entry.position);
        }
    }
}

void index_part::take_back(base::position frame, std::span<const index_entry> entries) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = entries.size(); i > 0; --i) {
        const index_entry& entry = entries[i - 1];
        pop(make_list_name(list_kind::stream, entry.stream), entry.position);
        visit_views(entry, correlations_, [&](index_view view, std::string_view name) {
            pop(make_list_name(kind_of(view), name), entry.position);
        });
    }
    events_ -= entries.size();
    if (!frames_.empty() && frames_.back() == frame) {
        frames_.pop_back();
    }
}

void index_part::pop(const list_name& name, base::position position) {
    const auto found = table_->lists.find(name);
    IMMORTAL_ASSERT(found != table_->lists.end());
    indexed_list& list = *found->second;
    IMMORTAL_ASSERT(list.positions.size() > 0 && list.positions.back() == position);
    list.positions.pop_back();
    list.ended = false;
}

indexed_list* index_part::find_or_make(list_kind kind, std::string_view name) {
    const list_name wanted = make_list_name(kind, name);
    const auto found = table_->lists.find(wanted);
    if (found != table_->lists.end()) {
        return found->second;
    }
    indexed_list& made = lists_.emplace_back();
    made.name = wanted;
    made.name.name = table_->keep(name);
    table_->lists.emplace(made.name, &made);
    bytes_ += list_cost + name.size();
    return &made;
}

void index_part::push(indexed_list& list, base::position position) {
    list.positions.push_back(position);
    bytes_ += sizeof position;
}

void index_part::with(const list_name& name,
                      const std::function<void(const indexed_list&)>& use) const {
    const std::lock_guard lock(mutex_);
    const auto found = table_->lists.find(name);
    if (found != table_->lists.end() && found->second->positions.size() > 0) {
        use(*found->second);
    }
}

std::optional<base::position> index_part::frame_before(base::position at) const {
    const std::lock_guard lock(mutex_);
    const auto after = std::ranges::upper_bound(frames_, at);
    return after == frames_.begin() ? std::nullopt : std::optional(*std::prev(after));
}

std::vector<const indexed_list*> index_part::sorted() const {
    std::vector<const indexed_list*> out;
    out.reserve(lists_.size());
    for (const indexed_list& list : lists_) {
        if (list.positions.size() > 0) {
            out.push_back(&list);
        }
    }
    std::ranges::sort(out, [](const auto* a, const auto* b) { return a->name < b->name; });
    return out;
}

} // namespace immortal::eventlog
