// What one append holds while it comes in, within the bounds of an append and of the memory of all
// calls together.
#pragma once

#include "esdb/byte_budget.hpp"
#include "eventlog/event.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace immortal::esdb {

// Used by one call. An event is charged what it takes in the log, header and stream name included,
// and what it takes in memory beside its bytes: many small events cost more than their contents.
class append_account {
public:
    // `charge`: on the accounts of the caller. `bytes_max`: of the contents of one append.
    append_account(shared_charge charge, std::size_t bytes_max)
        : charge_(std::move(charge)), bytes_max_(bytes_max) {}

    enum class outcome : std::uint8_t { taken, event_too_large, append_too_large, no_room };
    // Unless taken, nothing changes but size(), which tells the client what was refused.
    [[nodiscard]] outcome take(const std::string& stream, const eventlog::new_event& event) {
        const std::size_t contents = event.data.size() + event.metadata.size() + event.type.size();
        const std::size_t encoded = eventlog::encoded_size(stream.size(), event);
        if (contents > eventlog::event_size_max) {
            return outcome::event_too_large;
        }
        size_ += contents;
        if (size_ > bytes_max_) {
            excess_ = fmt::format("The append has more than {} bytes of contents.", bytes_max_);
        } else if (count_ == eventlog::append_events_max) {
            excess_ = fmt::format("The append has more than {} events.", count_);
        } else if (encoded_ + encoded > eventlog::append_frame_size_max) {
            excess_ = fmt::format("The append has more than {} bytes with the header and the "
                                  "stream name of each event.",
                                  eventlog::append_frame_size_max);
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
    [[nodiscard]] std::size_t size() const { return size_; } // of the contents
    [[nodiscard]] std::size_t bytes_max() const { return bytes_max_; }
    // Goes with the append into the store, and stays with it.
    [[nodiscard]] std::shared_ptr<void> charge() const { return charge_; }

private:
    shared_charge charge_;
    std::size_t bytes_max_;
    std::size_t size_ = 0;
    std::size_t encoded_ = eventlog::record_header_size; // the frame has a header of its own
    std::size_t count_ = 0;
    std::string excess_;
};

} // namespace immortal::esdb
