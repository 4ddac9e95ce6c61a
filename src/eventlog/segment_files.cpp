#include "eventlog/segment_files.hpp"

#include "base/log.hpp"
#include "eventlog/planted_fault.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace immortal::eventlog {
namespace {

using base::file_error;

constexpr std::uint64_t piece = 1u << 20u;

// Of `from` the bytes from `begin` to `end`, into `to` from `target` on. Not durable.
base::file_status copy(base::file& from, std::uint64_t begin, std::uint64_t end, base::file& to,
                       std::uint64_t target) {
    std::vector<std::byte> buffer(std::min(piece, end - begin));
    for (std::uint64_t at = begin; at < end; at += piece) {
        const auto part = std::span(buffer).first(std::min(piece, end - at));
        const auto got = from.read_at(at, part);
        if (!got || *got < part.size()) {
            return std::unexpected(
                got ? file_error{file_error::kind::io, "a file is shorter than it was"}
                    : got.error());
        }
        if (auto done = to.write_at(target + at - begin, part); !done) {
            return done;
        }
    }
    return {};
}

// The bytes from `offset` to `size` as a file of their own, durably.
base::file_status write_torn(base::file_system& files, const std::string& folder,
                             const std::string& torn, base::file& from, std::uint64_t offset,
                             std::uint64_t size) {
    if (auto removed = files.remove(torn);
        !removed && removed.error().what != file_error::kind::not_found) {
        return removed;
    }
    auto to = files.open(torn, base::open_mode::create_new);
    if (!to) {
        return std::unexpected(to.error());
    }
    if (auto done = copy(from, offset, size, **to, 0); !done) {
        return done;
    }
    if (auto done = (*to)->sync(); !done) {
        return done;
    }
    return files.sync_directory(folder);
}

// A start needs no space: on a full disk the bytes are not kept.
base::file_status keep_torn(base::file_system& files, const std::string& folder, base::file& from,
                            const std::string& name, std::uint64_t offset, std::uint64_t size) {
    const std::string torn = folder + fmt::format("/{}.at-{:012}.torn", name, offset);
    auto kept = write_torn(files, folder, torn, from, offset, size);
    if (kept || kept.error().what != file_error::kind::no_space) {
        return kept;
    }
    auto removed = files.remove(torn);
    if (!removed && removed.error().what != file_error::kind::not_found) {
        return removed;
    }
    base::log_error("eventlog",
                    "the disk is full: a torn tail, which was never acknowledged, is cut and not "
                    "kept",
                    {{"segment", name}, {"offset", offset}, {"bytes", size - offset}});
    return {};
}

} // namespace

base::file_result<std::shared_ptr<segment>>
create_segment(base::file_system& files, const std::string& folder, const scan_state& state,
               std::uint32_t epoch, base::utc_time now) {
    format::segment_header header;
    header.log_id = state.log_id.bytes;
    header.epoch = epoch;
    header.number = state.next_segment;
    header.first_position = state.end.value;
    header.created_us = now.time_since_epoch().count();
    header.previous_chain = state.chain;
    header.crc = format::checksum(header);
    const std::string path = folder + "/" + format::segment_name(header.number);
    if (auto removed = files.remove(path);
        !removed && removed.error().what != file_error::kind::not_found) {
        return std::unexpected(removed.error());
    }
    auto file = files.open(path, base::open_mode::create_new);
    if (!file) {
        return std::unexpected(file.error());
    }
    if (auto done = (*file)->write_at(0, std::as_bytes(std::span(&header, 1))); !done) {
        return std::unexpected(done.error());
    }
    if (auto done = (*file)->sync(); !done) {
        return std::unexpected(done.error());
    }
    const bool unsynced = is_planted(planted_fault::skip_folder_sync);
    if (auto done = unsynced ? base::file_status{} : files.sync_directory(folder); !done) {
        return std::unexpected(done.error());
    }
    return std::make_shared<segment>(header, std::move(*file));
}

// Bytes after the anchor that are no whole frames were never acknowledged: they are kept beside the
// log for whoever wants to look, and leave it.
base::file_result<std::uint64_t> cut_torn_tail(base::file_system& files, const std::string& folder,
                                               std::span<const std::uint32_t> present,
                                               std::uint32_t number, std::uint64_t offset,
                                               const std::string& cause) {
    std::uint64_t bytes_cut = 0;
    for (const std::uint32_t torn : present) {
        if (torn < number) {
            continue;
        }
        const std::string name = format::segment_name(torn);
        auto file = files.open(folder + "/" + name, base::open_mode::read_write);
        const auto size = file ? (*file)->size() : base::file_result<std::uint64_t>(0);
        if (!file || !size) {
            return std::unexpected(file ? size.error() : file.error());
        }
        const std::uint64_t from = torn == number ? offset : 0;
        bytes_cut += *size - from;
        base::log_warning("eventlog", "a torn tail is cut",
                          {{"segment", name},
                           {"offset", from},
                           {"bytes", *size - from},
                           {"cause", torn == number ? cause : "follows the torn place"}});
        auto done = keep_torn(files, folder, **file, name, from, *size);
        if (done && from > 0) {
            done = (*file)->truncate(from);
            done = done ? (*file)->sync() : done;
        } else if (done) {
            done = files.remove(folder + "/" + name);
        }
        if (!done) {
            return std::unexpected(done.error());
        }
    }
    if (auto done = files.sync_directory(folder); !done) {
        return std::unexpected(done.error());
    }
    return bytes_cut;
}

base::file_status make_durable(const segment& last, base::position anchored, base::position end) {
    base::file& file = last.contents();
    const std::uint64_t begin = last.offset_of(std::max(anchored, last.first()));
    if (auto done = copy(file, begin, last.offset_of(end), file, begin); !done) {
        return done;
    }
    return file.sync();
}

} // namespace immortal::eventlog
