#include "eventlog/scavenged_file.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <optional>

namespace immortal::eventlog {
namespace {

using base::file_error;
using base::file_result;
using base::file_status;
using format::extent;

constexpr std::size_t write_buffer = 1u << 20u;
// Extents between two that are kept in memory: 1/256 of the table, and one read of 4 KiB finds the
// others.
constexpr std::uint64_t sparse_step = 256;

std::unexpected<file_error> never_written() {
    return std::unexpected(
        file_error{file_error::kind::denied, "a scavenged segment is not written"});
}

class scavenged_file final : public base::file {
public:
    scavenged_file(std::unique_ptr<base::file> stored, const format::segment_header& header)
        : stored_(std::move(stored)), header_(header) {}

    file_result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override;
    file_status write_at(std::uint64_t, std::span<const std::byte>) override {
        return never_written();
    }
    file_status sync() override { return {}; }
    file_status truncate(std::uint64_t) override { return never_written(); }
    file_result<std::uint64_t> size() override { return header_.logical_size; }

private:
    using extents = std::vector<extent>;
    // False, or no extents: the file is damaged.
    file_result<bool> load_sparse();
    // Those that `begin` and everything up to `end` stand in, and one more to end the last.
    file_result<extents> find(std::uint64_t begin, std::uint64_t end);
    file_result<bool> read_extents(std::uint64_t first, std::span<extent> out);
    [[nodiscard]] bool sensible(const extents& run) const;

    std::unique_ptr<base::file> stored_;
    format::segment_header header_;
    std::mutex mutex_;
    extents sparse_; // every sparse_step-th; empty: not loaded yet
};

file_result<bool> scavenged_file::read_extents(std::uint64_t first, std::span<extent> out) {
    const auto got =
        stored_->read_at(header_.extents_at + first * sizeof(extent), std::as_writable_bytes(out));
    if (!got) {
        return std::unexpected(got.error());
    }
    return *got == out.size_bytes();
}

file_result<bool> scavenged_file::load_sparse() {
    const std::lock_guard lock(mutex_);
    if (!sparse_.empty()) {
        return true;
    }
    extents loaded;
    loaded.reserve(header_.extents_count / sparse_step + 1);
    for (std::uint64_t i = 0; i < header_.extents_count; i += sparse_step) {
        if (auto done = read_extents(i, std::span(&loaded.emplace_back(), 1)); !done || !*done) {
            return done;
        }
    }
    sparse_ = std::move(loaded);
    return true;
}

file_result<scavenged_file::extents> scavenged_file::find(std::uint64_t begin, std::uint64_t end) {
    if (auto done = load_sparse(); !done || !*done) {
        return done ? file_result<extents>() : std::unexpected(done.error());
    }
    const auto after = std::ranges::upper_bound(sparse_, begin, {}, &extent::logical);
    std::uint64_t block =
        after == sparse_.begin() ? 0 : static_cast<std::uint64_t>(after - sparse_.begin()) - 1;
    extents out;
    for (bool enough = false; !enough; ++block) {
        const std::uint64_t first = block * sparse_step;
        const std::uint64_t count = std::min(sparse_step, header_.extents_count - first);
        const std::size_t held = out.size();
        out.resize(held + count);
        if (auto done = read_extents(first, std::span(out).subspan(held)); !done || !*done) {
            return done ? file_result<extents>() : std::unexpected(done.error());
        }
        if (first + count == header_.extents_count) {
            out.push_back({header_.logical_size, header_.extents_at});
            enough = true;
        }
        enough = enough || out.back().logical >= end;
    }
    // Only the run that is asked for.
    auto from = std::ranges::upper_bound(out, begin, {}, &extent::logical);
    from = from == out.begin() ? from : std::prev(from);
    out.erase(out.begin(), from);
    const auto to = std::ranges::lower_bound(out, end, {}, &extent::logical);
    out.erase(to == out.end() ? to : std::next(to), out.end());
    return sensible(out) ? out : extents();
}

bool scavenged_file::sensible(const extents& run) const {
    for (std::size_t i = 0; i + 1 < run.size(); ++i) {
        if (run[i + 1].logical <= run[i].logical || run[i + 1].stored < run[i].stored ||
            run[i + 1].stored - run[i].stored > run[i + 1].logical - run[i].logical) {
            return false;
        }
    }
    return run.size() > 1 && run.front().stored >= sizeof(format::segment_header) &&
           run.back().stored <= header_.extents_at && run.back().logical <= header_.logical_size;
}

file_result<std::size_t> scavenged_file::read_at(std::uint64_t offset, std::span<std::byte> out) {
    if (offset >= header_.logical_size) {
        return 0;
    }
    const std::uint64_t end = std::min<std::uint64_t>(offset + out.size(), header_.logical_size);
    std::fill(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(end - offset), std::byte{0});
    if (offset < sizeof(header_)) { // the header is not among the extents
        const auto header = std::as_bytes(std::span(&header_, 1));
        const auto part =
            header.subspan(offset, std::min<std::uint64_t>(end, sizeof(header_)) - offset);
        std::ranges::copy(part, out.begin());
        if (end <= sizeof(header_)) {
            return end - offset;
        }
        const auto rest =
            read_at(sizeof(header_), out.subspan(part.size(), end - offset - part.size()));
        return rest ? file_result<std::size_t>(part.size() + *rest) : rest;
    }
    const auto run = find(offset, end);
    if (!run) {
        return std::unexpected(run.error());
    }
    if (run->empty()) {
        return 0; // as if the file ended here: callers take it for the damage it is
    }
    // The kept bytes of a run stand together in the file: one read, then each to its place.
    const extent& front = run->front();
    const std::uint64_t into = offset - std::min(offset, front.logical);
    const std::uint64_t first = std::min(front.stored + into, (*run)[1].stored);
    std::vector<std::byte> bytes(std::min(run->back().stored - first, end - offset));
    const auto got = stored_->read_at(first, bytes);
    if (!got) {
        return std::unexpected(got.error());
    }
    if (*got != bytes.size()) {
        return 0;
    }
    for (std::size_t i = 0; i + 1 < run->size(); ++i) {
        const extent& one = (*run)[i];
        const std::uint64_t length = (*run)[i + 1].stored - one.stored;
        const std::uint64_t begin = std::max(one.logical, offset);
        const std::uint64_t stop = std::min(one.logical + length, end);
        if (begin < stop) {
            std::memcpy(out.data() + (begin - offset),
                        bytes.data() + (one.stored + (begin - one.logical) - first), stop - begin);
        }
    }
    return end - offset;
}

} // namespace

file_result<std::unique_ptr<base::file>>
open_segment_file(base::file_system& files, const std::string& path, base::open_mode mode) {
    auto opened = files.open(path, mode);
    return opened ? show_whole_segment(std::move(*opened)) : std::move(opened);
}

file_result<std::unique_ptr<base::file>> show_whole_segment(std::unique_ptr<base::file> stored) {
    std::array<std::byte, sizeof(format::segment_header)> bytes{};
    const auto got = stored->read_at(0, bytes);
    const auto size = got ? stored->size() : file_result<std::uint64_t>(0);
    if (!got || !size) {
        return std::unexpected(got ? size.error() : got.error());
    }
    const auto header = format::load<format::segment_header>(bytes);
    const bool scavenged = *got == bytes.size() && header.magic == format::segment_magic &&
                           header.crc == format::checksum(header) &&
                           header.flags == format::segment_flag::scavenged &&
                           header.extents_count > 0 && header.extents_at <= *size &&
                           (*size - header.extents_at) / sizeof(extent) == header.extents_count;
    if (!scavenged) {
        return stored;
    }
    return std::make_unique<scavenged_file>(std::move(stored), header);
}

file_result<bool> content_hash_holds(base::file& stored, const format::segment_header& header) {
    base::blake2b_hasher hasher;
    std::vector<std::byte> buffer(write_buffer);
    for (std::uint64_t at = sizeof(header);;) {
        const auto got = stored.read_at(at, buffer);
        if (!got) {
            return std::unexpected(got.error());
        }
        hasher.update(std::span(buffer).first(*got));
        at += *got;
        if (*got < buffer.size()) {
            return hasher.finish() == header.content_hash;
        }
    }
}

void scavenged_size::keep(std::uint64_t bytes) {
    if (!in_extent_ && bytes > 0) {
        ++extents_;
        in_extent_ = true;
    }
    logical_ += bytes;
    kept_ += bytes;
}

void scavenged_size::skip(std::uint64_t bytes) {
    if (bytes < format::hole_size_min) {
        keep(bytes);
        return;
    }
    in_extent_ = false;
    logical_ += bytes;
}

scavenged_file_writer::scavenged_file_writer(base::file& to, const format::segment_header& header)
    : to_(to), header_(header), stored_(sizeof(header)) {
    buffer_.reserve(write_buffer);
}

file_status scavenged_file_writer::flush() {
    hasher_.update(buffer_);
    auto done = to_.write_at(stored_ - buffer_.size(), buffer_);
    buffer_.clear();
    return done;
}

file_status scavenged_file_writer::put(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const auto part = bytes.first(std::min(bytes.size(), write_buffer - buffer_.size()));
        buffer_.insert(buffer_.end(), part.begin(), part.end());
        stored_ += part.size();
        bytes = bytes.subspan(part.size());
        if (buffer_.size() == write_buffer) {
            if (auto done = flush(); !done) {
                return done;
            }
        }
    }
    return {};
}

file_status scavenged_file_writer::keep(std::span<const std::byte> bytes) {
    if (!size_.in_extent() && !bytes.empty()) {
        extents_.push_back({size_.logical(), stored_});
    }
    size_.keep(bytes.size());
    return put(bytes);
}

file_status scavenged_file_writer::skip(std::uint64_t bytes) {
    if (bytes >= format::hole_size_min) {
        size_.skip(bytes);
        return {};
    }
    const std::array<std::byte, format::hole_size_min> zeros{};
    return keep(std::span(zeros).first(bytes));
}

file_result<format::segment_header>
scavenged_file_writer::finish(const base::digest256& last_chain) {
    IMMORTAL_ASSERT(!extents_.empty() && stored_ == size_.kept());
    header_.flags = format::segment_flag::scavenged;
    header_.logical_size = size_.logical();
    header_.last_chain = last_chain;
    header_.extents_at = stored_;
    header_.extents_count = extents_.size();
    auto done = put(std::as_bytes(std::span(extents_)));
    done = done ? flush() : done;
    IMMORTAL_ASSERT(!done || stored_ == size_.stored_bytes());
    done = done ? to_.truncate(stored_) : done;
    header_.content_hash = hasher_.finish();
    header_.crc = format::checksum(header_);
    done = done ? to_.write_at(0, std::as_bytes(std::span(&header_, 1))) : done;
    done = done ? to_.sync() : done;
    if (!done) {
        return std::unexpected(done.error());
    }
    return header_;
}

} // namespace immortal::eventlog
