#include "eventlog/recovery.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;
using base::file_error;

std::unexpected<base::error> environment(const file_error& problem) {
    base::log_error("eventlog", "the log could not be opened", {{"cause", problem.text}});
    return fail(base::to_error(problem));
}

std::unexpected<base::error> damaged(std::string message) {
    message += "; nothing was changed: restore the log from a backup, or run `immortal log verify` "
               "to see all damage";
    return fail(errc::corrupt, std::move(message));
}

// The opening of one folder.
class recovery {
public:
    recovery(const log_settings& settings, base::file_system& files, log_index& index,
             recent_ids& ids)
        : settings_(settings), files_(files), index_(index), ids_(ids) {}

    base::result<recovered_log> open_or_create(base::clock& clock, base::random_source& random);

private:
    struct cut {
        std::shared_ptr<segment> from; // empty: the whole file goes
        std::string file_name;
        std::uint64_t offset = 0;
    };

    base::result<recovered_log> create(base::clock& clock, base::random_source& random);
    base::result<recovered_log> open(head_anchor anchor);
    [[nodiscard]] base::result<bool> is_new(const std::vector<std::uint32_t>& numbers);
    base::status scan(const anchor_state& anchor);
    base::result<std::optional<scan_fault>> scan_one(std::uint32_t number,
                                                     const anchor_state& anchor);
    [[nodiscard]] base::status check_reached(const anchor_state& anchor) const;
    base::status cut_tail(const scan_fault& fault, std::uint32_t number);
    base::file_status keep_torn(base::file& from, const std::string& name, std::uint64_t offset,
                                std::uint64_t size);
    void meet(const anchor_state& anchor, base::position at, const base::digest256& chain) {
        met_ = met_ || (at == anchor.end && chain == anchor.chain);
    }
    [[nodiscard]] std::string path(const std::string& name) const {
        return settings_.folder + "/" + name;
    }

    const log_settings& settings_;
    base::file_system& files_;
    log_index& index_;
    recent_ids& ids_;
    chain_hasher hasher_;
    std::unique_ptr<segment_list> segments_ = std::make_unique<segment_list>();
    scan_state state_;
    std::vector<std::uint32_t> numbers_;
    bool met_ = false; // the chain reached the anchor's place with the anchor's value
    std::uint64_t bytes_cut_ = 0;
};

base::result<recovered_log> recovery::open_or_create(base::clock& clock,
                                                     base::random_source& random) {
    const auto names = files_.list(settings_.folder);
    if (!names) {
        return environment(names.error());
    }
    for (const std::string& name : *names) {
        if (const auto number = format::segment_number(name)) {
            numbers_.push_back(*number);
        }
    }
    auto anchor = head_anchor::open(files_, settings_.folder, base::open_mode::read_write);
    if (!anchor && anchor.error().what != file_error::kind::not_found) {
        return environment(anchor.error());
    }
    if (!anchor) {
        const auto fresh = is_new(numbers_);
        if (!fresh) {
            return fail(fresh.error());
        }
        return *fresh
                   ? create(clock, random)
                   : damaged("the log's head anchor is missing, so that a missing tail could not "
                             "be noticed");
    }
    if (!*anchor) {
        return damaged("both slots of the log's head anchor are damaged");
    }
    return open(std::move(**anchor));
}

// Without an anchor only an unfinished creation is accepted: at most one segment without frames.
base::result<bool> recovery::is_new(const std::vector<std::uint32_t>& numbers) {
    if (numbers.empty()) {
        return true;
    }
    if (numbers != std::vector<std::uint32_t>{0}) {
        return false;
    }
    auto file = files_.open(path(format::segment_name(0)), base::open_mode::read);
    const auto size = file ? (*file)->size() : base::file_result<std::uint64_t>(0);
    if (!file || !size) {
        return environment(file ? size.error() : file.error());
    }
    return *size <= sizeof(format::segment_header);
}

base::result<recovered_log> recovery::create(base::clock& clock, base::random_source& random) {
    base::log_identity identity{base::uuid::make_random(random), 1};
    state_.log_id = identity.id;
    state_.chain = hasher_.genesis(identity.id);
    auto first = create_segment(files_, settings_.folder, state_, identity.epoch, clock.now());
    if (!first) {
        return environment(first.error());
    }
    state_.next_segment = 1;
    state_.end = (*first)->first_frame();
    segments_->add(std::move(*first));
    auto anchor = head_anchor::create(files_, settings_.folder,
                                      {identity, 0, state_.end, 0, {}, state_.chain});
    if (!anchor) {
        return environment(anchor.error());
    }
    return recovered_log{std::move(*anchor), std::move(segments_), state_, 0};
}

base::result<recovered_log> recovery::open(head_anchor anchor) {
    const anchor_state known = anchor.state();
    state_.log_id = known.log.id;
    state_.chain = hasher_.genesis(known.log.id);
    if (auto scanned = scan(known); !scanned) {
        return fail(std::move(scanned.error()));
    }
    anchor_state now = known;
    now.segment = segments_->last()->number();
    now.end = state_.end;
    now.event_count = state_.events;
    now.last_event = state_.last_event;
    now.chain = state_.chain;
    if (now.end != known.end) {
        // What was found beyond the anchor counts from now on, so it must be durable first: it may
        // stand in the page cache only.
        if (auto synced = segments_->last()->contents().sync(); !synced) {
            return environment(synced.error());
        }
        if (auto stored = anchor.store(now); !stored) {
            return environment(stored.error());
        }
    }
    return recovered_log{std::move(anchor), std::move(segments_), state_, bytes_cut_};
}

base::status recovery::scan(const anchor_state& anchor) {
    for (std::uint32_t number = 0;; ++number) {
        const bool present = std::ranges::binary_search(numbers_, number);
        if (!present && number <= anchor.segment) {
            return damaged(format::segment_name(number) + " is missing");
        }
        if (!present) {
            break;
        }
        const auto fault = scan_one(number, anchor);
        if (!fault) {
            return fail(fault.error());
        }
        if (*fault) {
            const scan_fault& at = **fault;
            if (at.at < anchor.end) {
                return damaged(fmt::format("{} is damaged at offset {}: {}",
                                           format::segment_name(number), at.offset, at.what));
            }
            if (auto reached = check_reached(anchor); !reached) {
                return reached;
            }
            return cut_tail(at, number);
        }
    }
    return check_reached(anchor);
}

base::result<std::optional<scan_fault>> recovery::scan_one(std::uint32_t number,
                                                           const anchor_state& anchor) {
    auto file = files_.open(path(format::segment_name(number)), base::open_mode::read_write);
    const auto size = file ? (*file)->size() : base::file_result<std::uint64_t>(0);
    if (!file || !size) {
        return environment(file ? size.error() : file.error());
    }
    std::optional<scan_fault> fault;
    auto opened = open_segment(std::move(*file), state_, fault);
    if (!opened) {
        return environment(opened.error());
    }
    if (fault) {
        return fault;
    }
    const std::shared_ptr<segment> now = *opened;
    segments_->add(now);
    bool remember = false;
    scan_visitor visit;
    visit.frame = [&](const frame_view& frame) {
        meet(anchor, frame.begin(), frame.header.previous_chain);
        // Older ids would be forgotten again before the scan ends.
        remember =
            state_.events + frame.header.count + settings_.remembered_ids >= anchor.event_count;
    };
    visit.record = [&](const record_view& record) {
        if (record.position >= index_.kept_until()) {
            index_.add({record.stream, record.type, record.revision, record.position});
        }
        if (remember) {
            ids_.add(record.stream, record.id, {record.revision, record.position});
        }
    };
    auto scanned = scan_frames(*now, *size, state_, hasher_, visit);
    if (!scanned) {
        return environment(scanned.error());
    }
    meet(anchor, state_.end, state_.chain);
    return std::move(*scanned);
}

base::status recovery::check_reached(const anchor_state& anchor) const {
    if (state_.end < anchor.end) {
        const auto last = segments_->find(state_.end);
        return damaged(fmt::format("{} ends at offset {}, but the head anchor knows {} more bytes "
                                   "that were durable: the log's tail is missing",
                                   last->name(), last->offset_of(state_.end),
                                   anchor.end.value - state_.end.value));
    }
    if (!met_) {
        return damaged("the log's hash chain does not agree with its head anchor");
    }
    return {};
}

base::file_status recovery::keep_torn(base::file& from, const std::string& name,
                                      std::uint64_t offset, std::uint64_t size) {
    constexpr std::uint64_t piece = 1u << 20u;
    const std::string torn = path(fmt::format("{}.at-{:012}.torn", name, offset));
    if (auto removed = files_.remove(torn);
        !removed && removed.error().what != file_error::kind::not_found) {
        return removed;
    }
    auto to = files_.open(torn, base::open_mode::create_new);
    if (!to) {
        return std::unexpected(to.error());
    }
    std::vector<std::byte> buffer(piece);
    for (std::uint64_t at = offset; at < size; at += piece) {
        const auto part = std::span(buffer).first(std::min(piece, size - at));
        if (const auto got = from.read_at(at, part); !got) {
            return std::unexpected(got.error());
        }
        if (auto done = (*to)->write_at(at - offset, part); !done) {
            return done;
        }
    }
    if (auto done = (*to)->sync(); !done) {
        return done;
    }
    return files_.sync_directory(settings_.folder);
}

// Bytes after the anchor that are no whole frames were never acknowledged: they are kept beside the
// log for whoever wants to look, and leave it.
base::status recovery::cut_tail(const scan_fault& fault, std::uint32_t number) {
    for (const std::uint32_t torn : numbers_) {
        if (torn < number) {
            continue;
        }
        const std::string name = format::segment_name(torn);
        auto file = files_.open(path(name), base::open_mode::read_write);
        const auto size = file ? (*file)->size() : base::file_result<std::uint64_t>(0);
        if (!file || !size) {
            return environment(file ? size.error() : file.error());
        }
        const std::uint64_t from = torn == number ? fault.offset : 0;
        bytes_cut_ += *size - from;
        base::log_warning("eventlog", "a torn tail is cut",
                          {{"segment", name},
                           {"offset", from},
                           {"bytes", *size - from},
                           {"cause", torn == number ? fault.what : "follows the torn place"}});
        auto done = keep_torn(**file, name, from, *size);
        if (done && from > 0) {
            done = (*file)->truncate(from);
            done = done ? (*file)->sync() : done;
        } else if (done) {
            done = files_.remove(path(name));
        }
        if (!done) {
            return environment(done.error());
        }
    }
    if (auto done = files_.sync_directory(settings_.folder); !done) {
        return environment(done.error());
    }
    return {};
}

} // namespace

base::result<recovered_log> recover(const log_settings& settings, base::file_system& files,
                                    base::clock& clock, base::random_source& random,
                                    log_index& index, recent_ids& ids) {
    return recovery(settings, files, index, ids).open_or_create(clock, random);
}

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
    if (auto done = files.sync_directory(folder); !done) {
        return std::unexpected(done.error());
    }
    return std::make_shared<segment>(header, std::move(*file));
}

} // namespace immortal::eventlog
