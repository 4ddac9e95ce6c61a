#include "eventlog/scavenge_segment.hpp"

#include "base/assert.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "eventlog/correlation.hpp"
#include "eventlog/scavenged_file.hpp"
#include "eventlog/segment_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

constexpr std::size_t piece_size = 1u << 20u;
constexpr std::string_view unfinished_suffix = ".rewriting";

std::unexpected<base::error> environment(const base::file_error& problem) {
    base::log_error("eventlog", "a segment could not be rewritten", {{"cause", problem.text}});
    return fail(base::to_error(problem));
}

std::unexpected<base::error> damaged(const segment& in, base::position at) {
    return fail(errc::corrupt, fmt::format("{} is damaged at offset {}: run `immortal log verify`",
                                           in.name(), in.offset_of(at)));
}

// What is left of the metadata of a removed event: what the index takes from it.
std::string kept_metadata(const record_view& record) {
    std::string buffer;
    const std::string_view correlation = correlation_of(record.metadata, buffer);
    if (correlation.empty()) {
        return {};
    }
    std::string kept = base::json_text(base::json::object{{"$correlationId", correlation}});
    return kept.size() <= record.metadata.size() ? kept : std::string(record.metadata);
}

// So much of a removed record is kept.
std::uint64_t stub_size(const record_view& record, std::string_view metadata) {
    return sizeof(format::record_header) + record.stream.size() + record.type.size() +
           metadata.size();
}

// The bytes of a removed record: as long as it was, zeros behind what is kept.
std::uint64_t make_stub(const record_view& record, std::span<std::byte> bytes) {
    using format::record_header;
    auto header = format::load<record_header>(bytes);
    const std::string metadata = kept_metadata(record);
    const std::uint64_t kept = stub_size(record, metadata);
    IMMORTAL_ASSERT(kept <= bytes.size() && header.length == bytes.size());
    header.flags |= format::record_flag::removed;
    header.metadata_size = static_cast<std::uint32_t>(metadata.size());
    header.data_size = static_cast<std::uint32_t>(bytes.size() - kept);
    const auto put = [&](std::uint64_t at, const void* from, std::size_t size) {
        std::memcpy(bytes.data() + at, from, size);
    };
    put(kept - metadata.size(), metadata.data(), metadata.size());
    std::ranges::fill(bytes.subspan(kept), std::byte{0});
    put(0, &header, sizeof(header));
    header.crc = base::crc32c(bytes.subspan(sizeof(header.crc)));
    put(0, &header.crc, sizeof(header.crc));
    return kept;
}

// Reads the frames of the old file and gives their new form to the writer, or only measures it.
class rewriting {
public:
    // `to` may be null: nothing is written.
    rewriting(const segment_rewrite& what, scavenged_file_writer* to)
        : what_(what), to_(to), old_(*what.from) {}

    base::status run();

    [[nodiscard]] std::uint64_t events_removed() const { return removed_; }
    [[nodiscard]] std::uint64_t stored_bytes() const { return size_.stored_bytes(); }

private:
    base::status take(const frame_view& frame);
    base::status put(std::span<const std::byte> bytes);

    const segment_rewrite& what_;
    scavenged_file_writer* to_;
    segment& old_;
    scavenged_size size_;
    std::uint64_t removed_ = 0;
    struct hole {
        std::uint64_t begin;
        std::uint64_t end;
    };
    std::vector<hole> holes_; // of one frame
};

base::status rewriting::run() {
    base::status done;
    const auto walked = walk_frames(
        old_, old_.first_frame(), what_.end,
        [&](const frame_view& frame) {
            done = what_.go_on(frame.bytes.size())
                       ? take(frame)
                       : base::status(fail(errc::cancelled, "the rewriting was stopped"));
            return done ? walk_step::go_on : walk_step::stop;
        },
        piece_size);
    if (!walked) {
        return environment(walked.error());
    }
    return *walked ? base::status(damaged(old_, (*walked)->at)) : done;
}

base::status rewriting::take(const frame_view& frame) {
    std::vector<std::byte> bytes;
    record_view record;
    record_walk walk(frame);
    holes_.clear();
    while (walk.next(record)) {
        const std::uint64_t begin = record.position.value - frame.begin().value;
        if (record.removed()) {
            holes_.push_back({begin + record.length - record.data.size(), begin + record.length});
            continue;
        }
        const auto remove = what_.removes(record);
        if (!remove) {
            return fail(remove.error());
        }
        if (!*remove) {
            continue;
        }
        ++removed_;
        if (to_ == nullptr) {
            holes_.push_back(
                {begin + stub_size(record, kept_metadata(record)), begin + record.length});
            continue;
        }
        if (bytes.empty()) {
            bytes.assign(frame.bytes.begin(), frame.bytes.end());
        }
        const std::uint64_t kept =
            make_stub(record, std::span(bytes).subspan(begin, record.length));
        holes_.push_back({begin + kept, begin + record.length});
    }
    if (walk.damaged()) {
        return damaged(old_, walk.at());
    }
    if (bytes.empty()) {
        return put(frame.bytes);
    }
    auto header = frame.header;
    header.flags |= format::frame_flag::scavenged;
    header.crc = format::checksum(header);
    std::memcpy(bytes.data(), &header, sizeof(header));
    return put(bytes);
}

base::status rewriting::put(std::span<const std::byte> bytes) {
    std::uint64_t next = 0;
    base::file_status done;
    const auto keep_up_to = [&](std::uint64_t end) {
        size_.keep(end - next);
        if (done && to_ != nullptr) {
            done = to_->keep(bytes.subspan(next, end - next));
        }
    };
    for (const hole& one : holes_) {
        keep_up_to(one.begin);
        size_.skip(one.end - one.begin);
        if (done && to_ != nullptr) {
            done = to_->skip(one.end - one.begin);
        }
        next = one.end;
    }
    keep_up_to(bytes.size());
    return done ? base::status{} : environment(done.error());
}

// The new file is believed after it was read back.
base::result<std::shared_ptr<segment>> read_back(const segment_rewrite& what,
                                                 const std::string& path,
                                                 const format::segment_header& header) {
    auto file = what.files.open(path, base::open_mode::read);
    auto walk = file ? segment_walk::open(std::move(*file), header.number)
                     : base::file_result<segment_walk>(std::unexpected(file.error()));
    if (!walk) {
        return environment(walk.error());
    }
    scan_state place;
    place.log_id = {header.log_id};
    place.next_segment = header.number;
    place.end = {header.first_position};
    auto fault = walk->enter(place, chain_check::unknown);
    if (fault && !*fault) {
        fault = walk->check_contents();
    }
    if (!fault) {
        return environment(fault.error());
    }
    if (*fault || walk->size() != header.logical_size ||
        walk->entered()->header().content_hash != header.content_hash) {
        return fail(errc::corrupt, "a rewritten segment was read back with other bytes: the disk "
                                   "is not to be trusted");
    }
    IMMORTAL_ASSERT(walk->entered()->header().last_chain == what.last_chain);
    return walk->entered();
}

base::file_result<std::uint64_t> stored_size(base::file_system& files, const std::string& path) {
    const auto opened = files.open(path, base::open_mode::read);
    return opened ? (*opened)->size()
                  : base::file_result<std::uint64_t>(std::unexpected(opened.error()));
}

base::result<format::segment_header> write_into(base::file& to, const segment_rewrite& what,
                                                std::uint64_t& events_removed) {
    scavenged_file_writer writer(to, what.from->header());
    rewriting work(what, &writer);
    if (auto done = work.run(); !done) {
        return fail(std::move(done.error()));
    }
    const auto header = writer.finish(what.last_chain);
    if (!header) {
        return environment(header.error());
    }
    events_removed = work.events_removed();
    return *header;
}

bool is_unfinished(const std::string& name) {
    return name.starts_with("segment-") && name.ends_with(unfinished_suffix);
}

} // namespace

base::result<format::segment_header> write_scavenged(const segment_rewrite& what,
                                                     const std::string& path,
                                                     std::uint64_t& events_removed) {
    auto file = what.files.open(path, base::open_mode::create_new);
    return file ? write_into(**file, what, events_removed) : environment(file.error());
}

base::result<segment_gain> measure_gain(const segment_rewrite& what) {
    rewriting look(what, nullptr);
    if (auto looked = look.run(); !looked) {
        return fail(std::move(looked.error()));
    }
    const auto before = stored_size(what.files, what.folder + "/" + what.from->name());
    if (!before) {
        return environment(before.error());
    }
    return segment_gain{what.from->number(), look.events_removed(), *before, look.stored_bytes()};
}

base::result<bool> has_room(const segment_rewrite& what, std::uint64_t bytes) {
    const auto free = what.files.free_space(what.folder);
    return free ? base::result<bool>(*free >= what.free_space_min + bytes)
                : environment(free.error());
}

base::result<rewritten_segment> rewrite(const segment_rewrite& what, const segment_gain& gain,
                                        scavenge_reserve* reserve) {
    const std::string path = what.folder + "/" + what.from->name();
    const std::string unfinished = path + std::string(unfinished_suffix);
    auto file = reserve == nullptr ? what.files.open(unfinished, base::open_mode::create_new)
                                   : reserve->lend(unfinished);
    if (!file) {
        return environment(file.error());
    }
    rewritten_segment out;
    const auto header = write_into(**file, what, out.events_removed);
    auto now = header ? read_back(what, unfinished, *header)
                      : base::result<std::shared_ptr<segment>>(fail(header.error()));
    const auto after = now ? (*file)->size() : 0;
    file->reset();
    const auto placed = now && after ? what.files.rename(unfinished, path) : base::file_status{};
    if (!now || !after || !placed) {
        now = now ? base::result<std::shared_ptr<segment>>(
                        environment(after ? placed.error() : after.error()))
                  : std::move(now);
        // What cannot be put away now is put away by the next scavenge or start.
        (void)(reserve == nullptr ? what.files.remove(unfinished) : reserve->take_back(unfinished));
        return fail(std::move(now.error()));
    }
    if (const auto synced = what.files.sync_directory(what.folder); !synced) {
        out.unsynced = environment(synced.error()).error();
    }
    out.now = std::move(*now);
    out.bytes_saved = gain.bytes_before - std::min(gain.bytes_before, *after);
    return out;
}

base::file_status remove_unfinished_rewrites(base::file_system& files, const std::string& folder,
                                             scavenge_reserve& reserve) {
    const auto names = files.list(folder);
    if (!names) {
        return std::unexpected(names.error());
    }
    bool missing = std::ranges::find(*names, scavenge_reserve_name) == names->end();
    for (const std::string& name : *names) {
        if (!is_unfinished(name)) {
            continue;
        }
        const std::string path = folder + "/" + name;
        const auto size = missing ? stored_size(files, path) : 0;
        const bool lent = size && reserve.is_wanted() && *size >= reserve.bytes();
        if (auto done = lent ? reserve.take_back(path) : files.remove(path); !done) {
            return done;
        }
        missing = missing && !lent;
    }
    return {};
}

} // namespace immortal::eventlog
