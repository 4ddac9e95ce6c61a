#include "eventlog/anchor.hpp"

#include "base/assert.hpp"
#include "eventlog/format.hpp"
#include "eventlog/planted_fault.hpp"

#include <vector>

namespace immortal::eventlog {
namespace {

using format::anchor_slot;

constexpr const char* file_name = "/anchor";
constexpr const char* unfinished_name = "/anchor.new";

anchor_slot make_slot(const anchor_state& state, std::uint64_t sequence) {
    anchor_slot slot;
    slot.log_id = state.log.id.bytes;
    slot.epoch = state.log.epoch;
    slot.segment = state.segment;
    slot.sequence = sequence;
    slot.end = state.end.value;
    slot.event_count = state.event_count;
    slot.last_event = state.last_event.value;
    slot.chain = state.chain;
    slot.crc = format::checksum(slot);
    return slot;
}

std::optional<anchor_slot> read_slot(base::file& from, std::uint64_t offset,
                                     base::file_status& problem) {
    std::vector<std::byte> bytes(sizeof(anchor_slot));
    const auto got = from.read_at(offset, bytes);
    if (!got) {
        problem = std::unexpected(got.error());
        return std::nullopt;
    }
    if (*got < sizeof(anchor_slot)) {
        return std::nullopt;
    }
    const auto slot = format::load<anchor_slot>(bytes);
    const bool valid = slot.magic == format::anchor_magic && slot.version == format::version &&
                       slot.crc == format::checksum(slot);
    return valid ? std::optional(slot) : std::nullopt;
}

anchor_state state_of(const anchor_slot& slot) {
    return {{{slot.log_id}, slot.epoch}, slot.segment, {slot.end}, slot.event_count,
            {slot.last_event},           slot.chain};
}

} // namespace

base::file_result<head_anchor> head_anchor::create(base::file_system& files,
                                                   const std::string& folder,
                                                   const anchor_state& state) {
    const std::string unfinished = folder + unfinished_name;
    if (auto removed = files.remove(unfinished);
        !removed && removed.error().what != base::file_error::kind::not_found) {
        return std::unexpected(removed.error());
    }
    auto opened = files.open(unfinished, base::open_mode::create_new);
    if (!opened) {
        return std::unexpected(opened.error());
    }
    // Both slots get their place now, so that later writes never change the file's size.
    const std::vector<std::byte> zeros(format::anchor_slot_distance * 2);
    if (auto done = (*opened)->write_at(0, zeros); !done) {
        return std::unexpected(done.error());
    }
    head_anchor anchor(std::move(*opened), state, 0);
    if (auto done = anchor.store(state); !done) {
        return std::unexpected(done.error());
    }
    if (auto done = files.rename(unfinished, folder + file_name); !done) {
        return std::unexpected(done.error());
    }
    if (auto done = files.sync_directory(folder); !done) {
        return std::unexpected(done.error());
    }
    return anchor;
}

base::file_result<std::optional<head_anchor>>
head_anchor::open(base::file_system& files, const std::string& folder, base::open_mode mode) {
    auto opened = files.open(folder + file_name, mode);
    if (!opened) {
        return std::unexpected(opened.error());
    }
    base::file_status problem;
    const auto first = read_slot(**opened, 0, problem);
    const auto second = read_slot(**opened, format::anchor_slot_distance, problem);
    if (!problem) {
        return std::unexpected(problem.error());
    }
    if (!first && !second) {
        return std::nullopt;
    }
    const bool take_second = second && (!first || second->sequence > first->sequence);
    const anchor_slot& newest = take_second ? *second : *first;
    return head_anchor(std::move(*opened), state_of(newest), newest.sequence);
}

base::file_status head_anchor::store(const anchor_state& state) {
    IMMORTAL_ASSERT(state.end >= state_.end || state.log.epoch > state_.log.epoch);
    const std::uint64_t sequence = sequence_ + 1;
    const anchor_slot slot = make_slot(state, sequence);
    const std::uint64_t offset = (sequence % 2) * format::anchor_slot_distance;
    if (auto done = file_->write_at(offset, std::as_bytes(std::span(&slot, 1))); !done) {
        return done;
    }
    const bool unsynced = is_planted(planted_fault::skip_anchor_sync);
    if (auto done = unsynced ? base::file_status{} : file_->sync(); !done) {
        return done;
    }
    sequence_ = sequence;
    state_ = state;
    return {};
}

// The writer changes one slot at a time: one of them is whole at any instant, but not always the
// same one while both are read.
base::file_result<std::optional<anchor_state>>
read_anchor_beside_writer(base::file_system& files, const std::string& folder) {
    constexpr int attempts_max = 100;
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
        const auto anchor = head_anchor::open(files, folder, base::open_mode::read);
        if (!anchor) {
            return std::unexpected(anchor.error());
        }
        if (*anchor) {
            return (*anchor)->state();
        }
    }
    return std::nullopt;
}

} // namespace immortal::eventlog
