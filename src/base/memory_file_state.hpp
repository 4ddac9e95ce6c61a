// The inside of the file system in memory: what memory_file_system.cpp (the calls) and
// memory_file_faults.cpp (what goes wrong on command) share.
#pragma once

#include "base/assert.hpp"
#include "base/memory_file_system.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <cstring>
#include <set>

namespace immortal::base {

inline constexpr std::uint64_t sector = 512;

struct change { // an unsynced write, or a truncation
    std::uint64_t offset = 0;
    std::string bytes;
    std::optional<std::uint64_t> truncate_to;
};

// One file's bytes: as everyone sees them, as they are on the disk, and what happened between.
struct inode {
    std::string now;
    std::string synced;
    std::vector<change> unsynced;
    std::size_t opened = 0; // files of it
};

inline void redo(std::string& to, const change& c) {
    if (c.truncate_to) {
        to.resize(*c.truncate_to);
        return;
    }
    if (to.size() < c.offset + c.bytes.size()) {
        to.resize(c.offset + c.bytes.size());
    }
    std::memcpy(to.data() + c.offset, c.bytes.data(), c.bytes.size());
}

inline std::string folder_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

using names = std::map<std::string, std::shared_ptr<inode>>;

struct memory_file_system::state {
    mutable std::mutex mutex;
    seeded_random random;
    names now;
    names synced;
    std::set<std::string> locked;
    std::uint64_t life = 0; // counts restarts: files of an earlier life are dead
    std::uint64_t steps = 0;
    std::uint64_t fail_step = 0;
    file_error::kind failure = file_error::kind::io;
    bool sticky = false;
    std::optional<step_kind> failing_kind;
    file_error::kind kind_failure = file_error::kind::io;
    std::uint64_t power_step = ~0ull;
    bool dead = false;
    bool syncs_ignored = false;
    bool reads_fail = false;
    std::uint64_t free_space = 1ull << 40u;
    std::optional<std::uint64_t> capacity;
    bool opens_fail = false;
    std::uint64_t opens_left = 0; // before they fail
    std::uint64_t opens = 0;
    std::set<const inode*> open_nodes; // of this life
    std::size_t open_files = 0;
    std::size_t open_files_most = 0;

    // Of a call that needs a descriptor for itself.
    file_status need_descriptor() {
        ++opens;
        if (!opens_fail || opens_left > 0) {
            opens_left -= opens_left > 0 ? 1 : 0;
            return {};
        }
        return error(file_error::kind::too_many_open, "a planted want of descriptors");
    }
    [[nodiscard]] std::uint64_t space_left() const {
        if (!capacity) {
            return free_space;
        }
        std::set<const inode*> held = open_nodes; // also without a name
        for (const auto& [path, node] : now) {
            held.insert(node.get());
        }
        std::uint64_t used = 0;
        for (const inode* node : held) {
            used += node->now.size();
        }
        return *capacity - std::min(*capacity, used);
    }
    // Whether a file can grow to `size`.
    [[nodiscard]] bool fits(const inode& node, std::uint64_t size) const {
        return !capacity || size <= node.now.size() || size - node.now.size() <= space_left();
    }

    explicit state(std::uint64_t seed) : random(seed) {}

    std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : random.next() % bound; }

    static std::unexpected<file_error> error(file_error::kind what, const std::string& text) {
        return std::unexpected(file_error{what, text});
    }

    [[nodiscard]] file_status alive() const {
        return dead ? error(file_error::kind::io, "the power is off") : file_status{};
    }

    // Counts a step and says how it fares.
    file_status step(step_kind kind) {
        ++steps;
        if (steps >= power_step) {
            dead = true;
        }
        if (dead) {
            return alive();
        }
        if (fail_step != 0 && (steps == fail_step || (sticky && steps > fail_step))) {
            return error(failure, "a planted fault");
        }
        if (failing_kind == kind) {
            return error(kind_failure, "a planted fault");
        }
        return {};
    }

    void cut(inode& of, cut_policy policy) {
        if (policy == cut_policy::reorder) {
            for (std::size_t left = of.unsynced.size(); left > 1; --left) {
                std::swap(of.unsynced[left - 1], of.unsynced[below(left)]);
            }
            of.unsynced.resize(below(of.unsynced.size() + 1));
            policy = cut_policy::keep_all;
        }
        std::string left = of.synced;
        const std::size_t count = of.unsynced.size();
        for (std::size_t i = 0; i < count && policy != cut_policy::drop_all; ++i) {
            const change& c = of.unsynced[i];
            const bool torn = policy == cut_policy::tear_last && i + 1 == count;
            if (policy == cut_policy::keep_all || (torn && c.truncate_to) ||
                (policy == cut_policy::tear_last && !torn)) {
                redo(left, c);
            } else if (torn) {
                const std::uint64_t kept = below(c.bytes.size() / sector + 1) * sector;
                redo(left, {c.offset, c.bytes.substr(0, kept), std::nullopt});
            } else {
                keep_some(left, c);
            }
        }
        of.now = left;
        of.synced = std::move(left);
        of.unsynced.clear();
    }

    void keep_some(std::string& left, const change& c) {
        if (c.truncate_to) {
            if (below(2) == 0) {
                redo(left, c);
            }
            return;
        }
        for (std::uint64_t at = 0; at < c.bytes.size(); at += sector) {
            if (below(2) == 0) {
                redo(left, {c.offset + at, c.bytes.substr(at, sector), std::nullopt});
            }
        }
    }
};

} // namespace immortal::base
