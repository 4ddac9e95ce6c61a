// What one append holds while it comes in, within the bounds of an append and of the memory of all
// calls together.
#pragma once

#include "esdb/byte_budget.hpp"
#include "eventlog/event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace immortal::esdb {

// What one append may have; at most what the log takes by its format.
struct append_limits {
    std::size_t contents = eventlog::append_size_max; // bytes
    std::size_t events = eventlog::append_events_max;
    std::size_t encoded = eventlog::append_frame_size_max; // bytes in the log

    // The number for a client that is told one limit in bytes, whichever was hit.
    [[nodiscard]] std::size_t bytes() const { return std::min(contents, encoded); }
};

// Used by one call. An event is charged what it takes in the log, header and stream name included,
// and what it takes in memory beside its bytes: many small events cost more than their contents.
class append_account {
public:
    // `charge`: on the accounts of the caller.
    append_account(shared_charge charge, append_limits limits)
        : charge_(std::move(charge)), limits_(limits), bytes_max_(limits.bytes()) {}

    enum class outcome : std::uint8_t { taken, event_too_large, append_too_large, no_room };
    // Unless taken, nothing changes but size(), which tells the client what was refused.
    [[nodiscard]] outcome take(const std::string& stream, const eventlog::new_event& event) {
        const std::size_t contents = event.data.size() + event.metadata.size() + event.type.size();
        const std::size_t encoded = eventlog::encoded_size(stream.size(), event);
        if (contents > eventlog::event_size_max) {
            return outcome::event_too_large;
        }
        size_ += contents;
        if (size_ > limits_.contents) {
            bytes_max_ = limits_.contents;
            excess_ = fmt::format("The append has more than {} bytes of contents.", bytes_max_);
        } else if (count_ == limits_.events) {
            excess_ = fmt::format("The append has more than {} events.", count_);
        } else if (encoded_ + encoded > limits_.encoded) {
            bytes_max_ = limits_.encoded;
            size_ = encoded_ + encoded;
            excess_ = fmt::format("The append has more than {} bytes with the header and the "
                                  "stream name of each event.",
                                  bytes_max_);
        }
        if (!excess_.empty()) {
            return outcome::append_too_large;
        }
        if (!charge_->grow(encoded + sizeof(eventlog::new_event))) {
            return outcome::no_room;
        }
        encoded_ += encoded;
        ++count_;
        return outcome::taken;
    }
    // For a stream that the append names beside the first, with or without events. False: no room.
    [[nodiscard]] bool take_stream(const std::string& stream) {
        // It stands among the writes, in their outline for the answer, and where it is looked up.
        return charge_->grow(3 * (stream.size() + sizeof(eventlog::stream_write)));
    }
    // After outcome::append_too_large: the limit that was hit, in a sentence.
    [[nodiscard]] const std::string& excess() const { return excess_; }
    // Of the contents; after append_too_large what was compared with bytes_max().
    [[nodiscard]] std::size_t size() const { return size_; }
    // After append_too_large the limit that was hit, if it is one in bytes; else the least of them.
    [[nodiscard]] std::size_t bytes_max() const { return bytes_max_; }
    // Goes with the append into the store, and stays with it.
    [[nodiscard]] std::shared_ptr<void> charge() const { return charge_; }

private:
    shared_charge charge_;
    append_limits limits_;
    std::size_t bytes_max_;
    std::size_t size_ = 0;
    std::size_t encoded_ = eventlog::record_header_size; // the frame has a header of its own
    std::size_t count_ = 0;
    std::string excess_;
};

} // namespace immortal::esdb
