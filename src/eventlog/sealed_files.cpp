#include "eventlog/sealed_files.hpp"

#include "base/assert.hpp"
#include "eventlog/scavenged_file.hpp"

#include <algorithm>

namespace immortal::eventlog {

using base::file_result;
using base::file_status;

// Locks are taken in this order: of the set, then of a file.
void sealed_files::note_open(segment_file& opened) {
    const std::lock_guard lock(mutex_);
    instant_.fetch_add(1, std::memory_order_relaxed);
    if (std::ranges::find(open_, &opened) == open_.end()) {
        open_.push_back(&opened);
    }
    while (open_.size() > open_max_) {
        const auto oldest = std::ranges::min_element(open_, {}, [&](const segment_file* one) {
            return one == &opened ? ~0ull : one->last_read_.load(std::memory_order_relaxed);
        });
        (*oldest)->close();
        open_.erase(oldest);
    }
}

void sealed_files::forget(segment_file& ended) {
    const std::lock_guard lock(mutex_);
    std::erase(open_, &ended);
}

segment_file::~segment_file() {
    if (among_) {
        among_->forget(*this);
    }
}

void segment_file::seal(std::shared_ptr<sealed_files> among, std::string path) {
    IMMORTAL_ASSERT(among != nullptr && !path.empty());
    const std::lock_guard lock(mutex_);
    IMMORTAL_ASSERT(among_ == nullptr);
    among_ = std::move(among);
    path_ = std::move(path);
    open_.reset(); // with what is needed to write it; who reads now holds it until the end
}

void segment_file::release() {
    IMMORTAL_ASSERT(among_ != nullptr);
    among_->forget(*this);
    close();
}

void segment_file::close() {
    const std::lock_guard lock(mutex_);
    open_.reset();
}

file_result<std::shared_ptr<base::file>> segment_file::acquire() {
    std::shared_ptr<sealed_files> among;
    {
        const std::lock_guard lock(mutex_);
        if (among_) {
            last_read_.store(among_->instant(), std::memory_order_relaxed);
        }
        if (open_) {
            return open_;
        }
        among = among_;
    }
    IMMORTAL_ASSERT(among != nullptr);
    auto opened = open_segment_file(among->files(), path_, base::open_mode::read);
    if (!opened) {
        return std::unexpected(opened.error());
    }
    std::shared_ptr<base::file> mine(std::move(*opened));
    {
        const std::lock_guard lock(mutex_);
        open_ = open_ ? open_ : mine; // another reader may have been faster
        mine = open_;
    }
    among->note_open(*this);
    return mine;
}

std::shared_ptr<base::file> segment_file::written() {
    const std::lock_guard lock(mutex_);
    IMMORTAL_ASSERT(among_ == nullptr && open_ != nullptr);
    return open_;
}

file_result<std::size_t> segment_file::read_at(std::uint64_t offset, std::span<std::byte> out) {
    const auto file = acquire();
    return file ? (*file)->read_at(offset, out) : std::unexpected(file.error());
}

file_result<std::uint64_t> segment_file::size() {
    const auto file = acquire();
    return file ? (*file)->size() : std::unexpected(file.error());
}

file_status segment_file::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
    return written()->write_at(offset, bytes);
}

file_status segment_file::write_uncached_at(std::uint64_t offset,
                                            std::span<const std::byte> bytes) {
    return written()->write_uncached_at(offset, bytes);
}

file_status segment_file::sync() {
    return written()->sync();
}

file_status segment_file::truncate(std::uint64_t size) {
    return written()->truncate(size);
}

} // namespace immortal::eventlog
