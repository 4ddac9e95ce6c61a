#include "eventlog/memory_index.hpp"

#include "base/assert.hpp"
#include "base/hash.hpp"
#include "eventlog/position_list.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <mutex>
#include <string>

namespace immortal::eventlog {
namespace {

struct hash_text {
    using is_transparent = void;
    using is_avalanching = void;
    std::size_t operator()(std::string_view text) const { return base::stable_hash(text); }
};

template <typename Value>
using text_map = boost::unordered_flat_map<std::string, Value, hash_text, std::equal_to<>>;

// Positions by name. The lists never move, so the writer may remember where one stands; each
// shard's mutex guards its map and its lists.
class named_lists {
public:
    struct place {
        std::mutex* mutex = nullptr;
        position_list* list = nullptr;
    };

    // The writer only.
    place find_or_make(std::string_view name) {
        shard& in = shard_of(name);
        const std::lock_guard lock(in.mutex);
        auto found = in.lists.find(name);
        if (found == in.lists.end()) {
            found = in.lists.emplace(std::string(name), std::make_unique<position_list>()).first;
        }
        return {&in.mutex, found->second.get()};
    }

    template <typename Use>
    auto with(std::string_view name, Use use) {
        static const position_list none;
        shard& in = shard_of(name);
        const std::lock_guard lock(in.mutex);
        const auto found = in.lists.find(name);
        return use(found == in.lists.end() ? none : *found->second);
    }

private:
    struct shard {
        std::mutex mutex;
        text_map<std::unique_ptr<position_list>> lists;
    };
    shard& shard_of(std::string_view name) {
        return shards_[base::stable_hash(name) >> 58u]; // the map uses the other bits as well
    }
    std::array<shard, 64> shards_;
};

std::vector<base::position> slice(const position_list& list, std::uint64_t from, direction way,
                                  std::size_t count_max, base::position end) {
    std::vector<base::position> out;
    const std::uint64_t size = list.count_before(end);
    if (way == direction::forwards) {
        for (std::uint64_t at = from; at < size && out.size() < count_max; ++at) {
            out.push_back(list[at]);
        }
    } else if (size > 0) {
        for (std::uint64_t left = std::min(from, size - 1) + 1; left > 0 && out.size() < count_max;
             --left) {
            out.push_back(list[left - 1]);
        }
    }
    return out;
}

class memory_index final : public log_index {
public:
    base::position kept_until() const override { return {}; }

    void add(const index_entry& entry) override {
        remember(entry);
        push(stream_, entry);
        if (category_.list != nullptr) {
            push(category_, entry);
        }
        push(type_, entry);
        IMMORTAL_ASSERT(stream_.list->size() == entry.revision.value + 1);
    }

    void take_back(const index_entry& entry) override {
        remember(entry);
        for (const auto& place : {stream_, category_, type_}) {
            if (place.list != nullptr) {
                const std::lock_guard lock(*place.mutex);
                IMMORTAL_ASSERT(place.list->size() > 0 && place.list->back() == entry.position);
                place.list->pop_back();
            }
        }
    }

    void checkpoint(base::position) override {}

    base::result<std::optional<base::revision>> last_revision(std::string_view stream,
                                                              base::position end) override {
        return streams_.with(stream, [end](const position_list& list) {
            const std::uint64_t size = list.count_before(end);
            return size == 0 ? std::nullopt : std::optional(base::revision{size - 1});
        });
    }

    base::result<std::vector<base::position>> stream_positions(std::string_view stream,
                                                               base::revision from, direction way,
                                                               std::size_t count_max,
                                                               base::position end) override {
        return streams_.with(stream, [&](const position_list& list) {
            return slice(list, from.value, way, count_max, end);
        });
    }

    base::result<std::uint64_t> view_size(index_view view, std::string_view name,
                                          base::position end) override {
        return lists_of(view).with(
            name, [end](const position_list& list) { return list.count_before(end); });
    }

    base::result<std::vector<base::position>> view_positions(index_view view, std::string_view name,
                                                             std::uint64_t from, direction way,
                                                             std::size_t count_max,
                                                             base::position end) override {
        return lists_of(view).with(name, [&](const position_list& list) {
            return slice(list, from, way, count_max, end);
        });
    }

private:
    // Neighbouring events mostly share stream and type: their lists are looked up once.
    void remember(const index_entry& entry) {
        if (stream_.list == nullptr || stream_name_ != entry.stream) {
            stream_name_ = entry.stream;
            stream_ = streams_.find_or_make(entry.stream);
            const std::string_view category = category_of(entry.stream);
            if (category.empty()) {
                category_ = {};
            } else if (category_.list == nullptr || category_name_ != category) {
                category_name_ = category;
                category_ = categories_.find_or_make(category);
            }
        }
        if (type_.list == nullptr || type_name_ != entry.type) {
            type_name_ = entry.type;
            type_ = types_.find_or_make(entry.type);
        }
    }

    static void push(const named_lists::place& place, const index_entry& entry) {
        const std::lock_guard lock(*place.mutex);
        place.list->push_back(entry.position);
    }

    named_lists& lists_of(index_view view) {
        return view == index_view::category ? categories_ : types_;
    }

    named_lists streams_;
    named_lists categories_;
    named_lists types_;
    std::string stream_name_;
    std::string category_name_;
    std::string type_name_;
    named_lists::place stream_;
    named_lists::place category_;
    named_lists::place type_;
};

} // namespace

std::unique_ptr<log_index> make_memory_index() {
    return std::make_unique<memory_index>();
}

} // namespace immortal::eventlog
