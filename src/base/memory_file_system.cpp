#include "base/memory_file_system.hpp"

#include "base/assert.hpp"
#include "base/random.hpp"

#include <algorithm>
#include <cstring>
#include <set>

namespace immortal::base {
namespace {

constexpr std::uint64_t sector = 512;

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
};

void redo(std::string& to, const change& c) {
    if (c.truncate_to) {
        to.resize(*c.truncate_to);
        return;
    }
    if (to.size() < c.offset + c.bytes.size()) {
        to.resize(c.offset + c.bytes.size());
    }
    std::memcpy(to.data() + c.offset, c.bytes.data(), c.bytes.size());
}

std::string folder_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

using names = std::map<std::string, std::shared_ptr<inode>>;

} // namespace

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
        std::uint64_t used = 0;
        for (const auto& [path, node] : now) {
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

class memory_file_system::open_file final : public file {
public:
    open_file(std::shared_ptr<state> of, std::shared_ptr<inode> node)
        : state_(std::move(of)), node_(std::move(node)), life_(state_->life) {
        state_->open_files_most = std::max(state_->open_files_most, ++state_->open_files);
    }
    ~open_file() override {
        const std::lock_guard lock(state_->mutex);
        --state_->open_files;
    }
    open_file(const open_file&) = delete;
    open_file& operator=(const open_file&) = delete;

    file_result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
        const std::lock_guard lock(state_->mutex);
        if (auto up = usable(); !up) {
            return std::unexpected(up.error());
        }
        if (state_->reads_fail) {
            return state::error(file_error::kind::io, "a planted read error");
        }
        const std::size_t size = node_->now.size();
        const std::size_t count =
            offset < size ? std::min<std::uint64_t>(out.size(), size - offset) : 0;
        if (count > 0) {
            std::memcpy(out.data(), node_->now.data() + offset, count);
        }
        return count;
    }

    file_status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
        const std::lock_guard lock(state_->mutex);
        if (auto up = usable(); !up) {
            return up;
        }
        change c{
            offset, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), {}};
        auto fate = state_->step(step_kind::write);
        if (fate && !state_->fits(*node_, offset + bytes.size())) {
            fate = state::error(file_error::kind::no_space, "the disk is full");
            c.bytes.resize(node_->now.size() > offset ? node_->now.size() - offset : 0);
        } else if (!fate && !state_->dead) {
            c.bytes.resize(state_->below(c.bytes.size() + 1));
        }
        if (!state_->dead) {
            redo(node_->now, c);
        }
        // If the power failed meanwhile, it may have reached the disk, or not.
        node_->unsynced.push_back(std::move(c));
        return fate;
    }

    file_status sync() override {
        const std::lock_guard lock(state_->mutex);
        if (auto up = usable(); !up) {
            return up;
        }
        if (auto fate = state_->step(step_kind::sync); !fate) {
            if (!state_->dead) {
                node_->unsynced.clear(); // lost for the disk, whatever later syncs say
            }
            return fate;
        }
        if (!state_->syncs_ignored) {
            for (const change& c : node_->unsynced) {
                redo(node_->synced, c);
            }
            node_->unsynced.clear();
        }
        return {};
    }

    file_status truncate(std::uint64_t size) override {
        const std::lock_guard lock(state_->mutex);
        if (auto up = usable(); !up) {
            return up;
        }
        if (auto fate = state_->step(step_kind::truncate); !fate) {
            return fate;
        }
        node_->now.resize(size);
        node_->unsynced.push_back({0, {}, size});
        return {};
    }

    file_status allocate(std::uint64_t size) override {
        const std::lock_guard lock(state_->mutex);
        if (auto up = usable(); !up) {
            return up;
        }
        if (auto fate = state_->step(step_kind::truncate); !fate) {
            return fate;
        }
        if (!state_->fits(*node_, size)) {
            return state::error(file_error::kind::no_space, "the disk is full");
        }
        if (size > node_->now.size()) {
            node_->now.resize(size);
            node_->unsynced.push_back({0, {}, size});
        }
        return {};
    }

    file_result<std::uint64_t> size() override {
        const std::lock_guard lock(state_->mutex);
        if (auto up = usable(); !up) {
            return std::unexpected(up.error());
        }
        return node_->now.size();
    }

private:
    [[nodiscard]] file_status usable() const {
        return life_ == state_->life ? state_->alive()
                                     : state::error(file_error::kind::io, "a file of another life");
    }

    std::shared_ptr<state> state_;
    std::shared_ptr<inode> node_;
    std::uint64_t life_;
};

class memory_file_system::held_lock final : public file_lock {
public:
    held_lock(std::shared_ptr<state> of, std::string path)
        : state_(std::move(of)), path_(std::move(path)), life_(state_->life) {}
    ~held_lock() override {
        const std::lock_guard lock(state_->mutex);
        if (life_ == state_->life) {
            state_->locked.erase(path_);
        }
    }

private:
    std::shared_ptr<state> state_;
    std::string path_;
    std::uint64_t life_;
};

memory_file_system::memory_file_system(std::uint64_t seed)
    : state_(std::make_shared<state>(seed)) {}
memory_file_system::~memory_file_system() = default;
memory_file_system::memory_file_system(memory_file_system&&) noexcept = default;
memory_file_system& memory_file_system::operator=(memory_file_system&&) noexcept = default;

file_result<std::unique_ptr<file>> memory_file_system::open(const std::string& path,
                                                            open_mode mode) {
    const std::lock_guard lock(state_->mutex);
    if (auto up = state_->alive(); !up) {
        return std::unexpected(up.error());
    }
    if (auto had = state_->need_descriptor(); !had) {
        return std::unexpected(had.error());
    }
    auto found = state_->now.find(path);
    if (mode == open_mode::create_new) {
        if (found != state_->now.end()) {
            return state::error(file_error::kind::exists, path);
        }
        if (auto fate = state_->step(step_kind::create); !fate) {
            return std::unexpected(fate.error());
        }
        found = state_->now.emplace(path, std::make_shared<inode>()).first;
    }
    if (found == state_->now.end()) {
        return state::error(file_error::kind::not_found, path);
    }
    return std::make_unique<open_file>(state_, found->second);
}

file_status memory_file_system::rename(const std::string& from, const std::string& to) {
    const std::lock_guard lock(state_->mutex);
    if (auto fate = state_->step(step_kind::rename); !fate) {
        return fate;
    }
    const auto found = state_->now.find(from);
    if (found == state_->now.end()) {
        return state::error(file_error::kind::not_found, from);
    }
    state_->now[to] = found->second;
    state_->now.erase(from);
    return {};
}

file_status memory_file_system::remove(const std::string& path) {
    const std::lock_guard lock(state_->mutex);
    if (auto up = state_->alive(); !up) {
        return up;
    }
    if (!state_->now.contains(path)) {
        return state::error(file_error::kind::not_found, path);
    }
    if (auto fate = state_->step(step_kind::remove); !fate) {
        return fate;
    }
    state_->now.erase(path);
    return {};
}

file_result<std::vector<std::string>> memory_file_system::list(const std::string& folder) {
    const std::lock_guard lock(state_->mutex);
    if (auto up = state_->alive(); !up) {
        return std::unexpected(up.error());
    }
    if (auto had = state_->need_descriptor(); !had) {
        return std::unexpected(had.error());
    }
    std::vector<std::string> out;
    for (const auto& [path, node] : state_->now) {
        if (folder_of(path) == folder) {
            out.push_back(path.substr(folder.size() + 1));
        }
    }
    return out;
}

file_status memory_file_system::make_directory(const std::string&) {
    const std::lock_guard lock(state_->mutex);
    return state_->alive();
}

file_status memory_file_system::sync_directory(const std::string& folder) {
    const std::lock_guard lock(state_->mutex);
    if (auto had = state_->need_descriptor(); !had) {
        return had;
    }
    if (auto fate = state_->step(step_kind::folder_sync); !fate) {
        return fate;
    }
    if (state_->syncs_ignored) {
        return {};
    }
    const auto in_folder = [&](const auto& entry) { return folder_of(entry.first) == folder; };
    std::erase_if(state_->synced, in_folder);
    for (const auto& entry : state_->now) {
        if (in_folder(entry)) {
            state_->synced.insert(entry);
        }
    }
    return {};
}

file_result<std::uint64_t> memory_file_system::free_space(const std::string&) {
    const std::lock_guard lock(state_->mutex);
    if (auto up = state_->alive(); !up) {
        return std::unexpected(up.error());
    }
    return state_->space_left();
}

file_result<std::unique_ptr<file_lock>> memory_file_system::lock(const std::string& path) {
    const std::lock_guard guard(state_->mutex);
    if (auto up = state_->alive(); !up) {
        return std::unexpected(up.error());
    }
    if (!state_->locked.insert(path).second) {
        return state::error(file_error::kind::in_use, path);
    }
    return std::make_unique<held_lock>(state_, path);
}

std::uint64_t memory_file_system::steps() const {
    const std::lock_guard lock(state_->mutex);
    return state_->steps;
}

void memory_file_system::fail_at(std::uint64_t step, file_error::kind what, bool sticky) {
    const std::lock_guard lock(state_->mutex);
    state_->fail_step = step;
    state_->failure = what;
    state_->sticky = sticky;
}

void memory_file_system::fail_all(std::optional<step_kind> kind, file_error::kind what) {
    const std::lock_guard lock(state_->mutex);
    state_->failing_kind = kind;
    state_->kind_failure = what;
}

void memory_file_system::fail_reads(bool yes) {
    const std::lock_guard lock(state_->mutex);
    state_->reads_fail = yes;
}

void memory_file_system::lose_power_at(std::uint64_t step) {
    const std::lock_guard lock(state_->mutex);
    state_->power_step = step;
}

void memory_file_system::lose_power_now() {
    const std::lock_guard lock(state_->mutex);
    state_->dead = true;
}

bool memory_file_system::lost_power() const {
    const std::lock_guard lock(state_->mutex);
    return state_->dead;
}

void memory_file_system::restart(cut_policy policy) {
    const std::lock_guard lock(state_->mutex);
    // Names that were never synced survive or not, as contents do.
    names left = state_->synced;
    const bool keep = policy == cut_policy::keep_all || policy == cut_policy::tear_last ||
                      ((policy == cut_policy::keep_random || policy == cut_policy::reorder) &&
                       state_->below(2) == 0);
    if (keep) {
        left = state_->now;
    }
    std::set<inode*> done;
    for (auto& [path, node] : left) {
        if (done.insert(node.get()).second) {
            state_->cut(*node, policy);
        }
    }
    state_->now = left;
    state_->synced = std::move(left);
    state_->locked.clear();
    ++state_->life;
    state_->dead = false;
    state_->power_step = ~0ull;
    state_->fail_step = 0;
    state_->failing_kind.reset();
    state_->opens_fail = false;
}

void memory_file_system::ignore_syncs(bool yes) {
    const std::lock_guard lock(state_->mutex);
    state_->syncs_ignored = yes;
}

void memory_file_system::fail_opens(bool yes, std::uint64_t left) {
    const std::lock_guard lock(state_->mutex);
    state_->opens_fail = yes;
    state_->opens_left = left;
}

std::uint64_t memory_file_system::opens() const {
    const std::lock_guard lock(state_->mutex);
    return state_->opens;
}

std::size_t memory_file_system::open_files() const {
    const std::lock_guard lock(state_->mutex);
    return state_->open_files;
}

std::size_t memory_file_system::open_files_most() const {
    const std::lock_guard lock(state_->mutex);
    return state_->open_files_most;
}

void memory_file_system::set_capacity(std::uint64_t bytes) {
    const std::lock_guard lock(state_->mutex);
    state_->capacity = bytes;
}

void memory_file_system::set_free_space(std::uint64_t bytes) {
    const std::lock_guard lock(state_->mutex);
    state_->free_space = bytes;
}

std::string memory_file_system::contents(const std::string& path) const {
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->now.find(path);
    return found == state_->now.end() ? std::string() : found->second->now;
}

void memory_file_system::set_contents(const std::string& path, std::string bytes) {
    const std::lock_guard lock(state_->mutex);
    auto node = std::make_shared<inode>();
    node->now = bytes;
    node->synced = std::move(bytes);
    state_->now[path] = node;
    state_->synced[path] = node;
}

void memory_file_system::flip_bit(const std::string& path, std::uint64_t offset, unsigned bit) {
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->now.find(path);
    IMMORTAL_ASSERT(found != state_->now.end() && bit < 8);
    inode& node = *found->second;
    IMMORTAL_ASSERT(offset < node.now.size());
    const auto flipped =
        static_cast<char>(static_cast<unsigned char>(node.now[offset]) ^ (1u << bit));
    node.now[offset] = flipped;
    if (offset < node.synced.size()) {
        node.synced[offset] = flipped;
    }
}

} // namespace immortal::base
