#include "base/memory_file_state.hpp"

namespace immortal::base {

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
    state_->open_nodes.clear();
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
    IMMORTAL_ASSERT(bit < 8);
    if (found == state_->now.end() || offset >= found->second->now.size()) {
        return; // it was replaced meanwhile
    }
    inode& node = *found->second;
    const auto flipped =
        static_cast<char>(static_cast<unsigned char>(node.now[offset]) ^ (1u << bit));
    node.now[offset] = flipped;
    if (offset < node.synced.size()) {
        node.synced[offset] = flipped;
    }
}

} // namespace immortal::base
