// How many of something each source of calls has at once. Thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace immortal::esdb {

class source_shares {
public:
    // `maximum`: at once, of each source.
    explicit source_shares(std::size_t maximum) : maximum_(maximum) {}

    // One of a source's share, until it is destroyed. The shares outlive it.
    class holder {
    public:
        holder(source_shares& shares, std::string source)
            : shares_(shares), source_(std::move(source)), admitted_(shares.enter(source_)) {}
        ~holder() {
            if (admitted_) {
                shares_.leave(source_);
            }
        }
        holder(const holder&) = delete;
        holder& operator=(const holder&) = delete;
        // False: the source has its share already.
        [[nodiscard]] bool is_admitted() const { return admitted_; }

    private:
        source_shares& shares_;
        const std::string source_;
        const bool admitted_;
    };

private:
    bool enter(const std::string& source) {
        const std::lock_guard lock(mutex_);
        std::size_t& same = held_[source];
        const bool room = same < maximum_;
        same += room ? 1 : 0;
        return room;
    }
    void leave(const std::string& source) {
        const std::lock_guard lock(mutex_);
        const auto found = held_.find(source);
        if (--found->second == 0) {
            held_.erase(found);
        }
    }

    const std::size_t maximum_;
    std::mutex mutex_; // guards what follows
    std::map<std::string, std::size_t> held_;
};

} // namespace immortal::esdb
