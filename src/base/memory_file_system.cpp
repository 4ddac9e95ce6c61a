#include "base/memory_file_system.hpp"

#include "base/memory_file_state.hpp"

namespace immortal::base {

class memory_file_system::open_file final : public file {
public:
    open_file(std::shared_ptr<state> of, std::shared_ptr<inode> node)
        : state_(std::move(of)), node_(std::move(node)), life_(state_->life) {
        state_->open_files_most = std::max(state_->open_files_most, ++state_->open_files);
        ++node_->opened;
        state_->open_nodes.insert(node_.get());
    }
    ~open_file() override {
        const std::lock_guard lock(state_->mutex);
        --state_->open_files;
        if (--node_->opened == 0) {
            state_->open_nodes.erase(node_.get());
        }
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

} // namespace immortal::base
