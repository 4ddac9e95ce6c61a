// Faults planted on purpose, so that the fault tests can show that they would notice them.
//
// Only programs compiled with IMMORTAL_PLANTED_FAULTS (tests/fault) hold them; elsewhere
// `is_planted` is a constant false and leaves nothing behind.
#pragma once

#include <cstdint>

#ifdef IMMORTAL_PLANTED_FAULTS
#include <atomic>
#endif

namespace immortal::eventlog {

enum class planted_fault : std::uint8_t {
    none,
    acknowledge_before_sync,   // the answer does not wait for the disk
    publish_before_durable,    // readers see what is not synced
    skip_anchor_sync,          // the head anchor is written at some later time
    skip_folder_sync,          // a new segment's name is not made durable
    forget_ids,                // an append that is repeated is written again
    expected_or_later,         // `<=` for `==` in the expected revision
    resume_skips,              // a read that goes on begins one append too late
    go_on_after_failed_sync,   // an error of a sync is not remembered
    keep_index_after_no_space, // entries of events that were taken back stay
    trust_contents,            // neither checksums nor the chain are compared
    show_hidden,               // truncated and deleted events of a stream are read
    trust_length,              // a log that ends before its anchor starts all the same
};

#ifdef IMMORTAL_PLANTED_FAULTS
inline std::atomic<planted_fault> planted{planted_fault::none};
[[nodiscard]] inline bool is_planted(planted_fault which) {
    return planted.load(std::memory_order_relaxed) == which;
}
#else
[[nodiscard]] constexpr bool is_planted(planted_fault) {
    return false;
}
#endif

} // namespace immortal::eventlog
