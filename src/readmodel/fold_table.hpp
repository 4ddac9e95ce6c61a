// States of streams in memory: the least recently used ones are given up when there are too many.
// What has changed since the last batch stays.
#pragma once

#include "base/uuid.hpp"
#include "readmodel/batch.hpp"

#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>
#include <vector>

namespace immortal::readmodel {

template <typename Fold>
class fold_table {
public:
    struct entry {
        base::uuid id;
        base::uuid owner;
        Fold fold;
        bool changed = false;           // since the last batch
        statistics_change written = {}; // the contribution as of the last batch
        base::position written_at = {}; // the fold's position as of the last batch
    };

    // Null: not in memory.
    entry* find(const base::uuid& id) {
        const auto at = index_.find(id);
        if (at == index_.end()) {
            return nullptr;
        }
        order_.splice(order_.begin(), order_, at->second);
        return &*at->second;
    }

    // Precondition: not in memory.
    entry& insert(const base::uuid& id, const base::uuid& owner, Fold fold) {
        order_.push_front({id, owner, std::move(fold)});
        entry& added = order_.front();
        added.written = added.fold.contribution();
        added.written_at = added.fold.position();
        index_.emplace(id, order_.begin());
        return added;
    }

    void mark(entry& which) {
        if (!which.changed) {
            which.changed = true;
            changed_.push_back(&which);
        }
    }

    // The entries marked since the last call, no longer marked. Valid until trim().
    std::vector<entry*> take_changed() {
        for (entry* one : changed_) {
            one->changed = false;
        }
        return std::exchange(changed_, {});
    }

    // Precondition: nothing is marked.
    void trim(std::size_t count_max) {
        while (order_.size() > count_max) {
            index_.erase(order_.back().id);
            order_.pop_back();
        }
    }

private:
    std::list<entry> order_; // most recently used first
    std::unordered_map<base::uuid, typename std::list<entry>::iterator> index_;
    std::vector<entry*> changed_;
};

} // namespace immortal::readmodel
