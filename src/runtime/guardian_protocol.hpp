// The messages between the server and its guardian, one per packet of a SOCK_SEQPACKET pair. Both
// ends are the same program, so integers stand in the machine's order.
//
//   request = kind:u32 id:u64 signal:u32 deadline_ns:u64 [spec]
//   reply   = kind:u32 id:u64 pid:u32 value:u32 text
//   spec    = program working_folder log_file has_account:u32 uid:u32 gid:u32 name
//             arguments environment plan                text  = size:u32 bytes
//   list    = count:u32 text*                           plan  = count:u32 (signal:u32
//   grace_ms:u32)*
#pragma once

#include "runtime/process_spec.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::runtime::guardian_protocol {

constexpr std::size_t packet_size_max = 128 * 1024;

enum class request_kind : std::uint32_t {
    spawn = 1,
    stop,   // run the stop plan
    signal, // send one signal
    limit,  // end everything by `deadline_ns`; spawn nothing more
};

struct request {
    request_kind kind = request_kind::spawn;
    std::uint64_t id = 0; // of the child; chosen by the server
    std::uint32_t signal = 0;
    // With limit. A point of the machine's steady clock, so that it counts also while the guardian
    // does not read.
    std::uint64_t deadline_ns = 0;
    process_spec spec = {}; // with spawn
};

enum class reply_kind : std::uint32_t {
    spawned = 1, // pid
    failed,      // value = errno, text = which step
    exited,      // value = wait status
    pong,        // the answer to SIGCONT, once what is due has been done; without an id
};

struct reply {
    reply_kind kind = reply_kind::spawned;
    std::uint64_t id = 0;
    std::uint32_t pid = 0;
    std::uint32_t value = 0;
    std::string text = {};
};

[[nodiscard]] std::string encode(const request& in);
[[nodiscard]] std::string encode(const reply& in);
// Empty if the bytes are not a whole message.
[[nodiscard]] std::optional<request> decode_request(std::string_view bytes);
[[nodiscard]] std::optional<reply> decode_reply(std::string_view bytes);

} // namespace immortal::runtime::guardian_protocol
