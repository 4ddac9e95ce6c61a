// The head anchor: how far the log is durable, kept outside the segments, so that a missing tail is
// noticed. Two slots are written in turn; a crash while one is written leaves the other.
#pragma once

#include "base/file.hpp"
#include "base/hash.hpp"
#include "base/ids.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace immortal::eventlog {

struct anchor_state {
    base::log_identity log;
    std::uint32_t segment = 0;
    base::position end;
    std::uint64_t event_count = 0;
    base::position last_event; // meaningless without events
    base::digest256 chain{};
    friend bool operator==(const anchor_state&, const anchor_state&) = default;
};

// Not thread-safe.
class head_anchor {
public:
    // Makes the file in `folder`, durable with its name. An unfinished earlier attempt is replaced.
    [[nodiscard]] static base::file_result<head_anchor>
    create(base::file_system& files, const std::string& folder, const anchor_state& state);
    // kind::not_found: no anchor. No value: neither slot is valid.
    [[nodiscard]] static base::file_result<std::optional<head_anchor>>
    open(base::file_system& files, const std::string& folder, base::open_mode mode);

    [[nodiscard]] const anchor_state& state() const { return state_; }
    // Durable when it returns. After an error the anchor is not to be written again.
    [[nodiscard]] base::file_status store(const anchor_state& state);

private:
    head_anchor(std::unique_ptr<base::file> opened, anchor_state state, std::uint64_t sequence)
        : file_(std::move(opened)), state_(state), sequence_(sequence) {}
    std::unique_ptr<base::file> file_;
    anchor_state state_;
    std::uint64_t sequence_;
};

// The state of an anchor that its log's writer may change meanwhile. Errors and no value as open().
[[nodiscard]] base::file_result<std::optional<anchor_state>>
read_anchor_beside_writer(base::file_system& files, const std::string& folder);

} // namespace immortal::eventlog
