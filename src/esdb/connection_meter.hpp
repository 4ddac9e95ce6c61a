// What connections carry to us that no call has been given yet. gRPC receives a message as a whole
// and does not tell when one begins to come in; the system counts what each connection has
// received, and the rest of that beside what calls were given is what gRPC holds of messages that
// are not complete.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace immortal::esdb {

// Thread-safe. Knows the socket by its number and the system's cookie for it: it stays the property
// of gRPC, which may close it at any time.
class metered_connection {
public:
    using steady_time = std::chrono::steady_clock::time_point;
    // Bytes a second. The official clients ping every 10 s: 17 bytes, some 40 with TLS. A message
    // that comes in no faster is not seen: 5 MiB a day of each connection, within the quota.
    static constexpr std::uint64_t self_explained_rate = 64;

    metered_connection(int socket, std::uint64_t cookie) : socket_(socket), cookie_(cookie) {}

    // So many more of the bytes that came are explained. More than has come is never explained in
    // advance: the surplus is gone when the connection is looked at.
    void explain(std::size_t bytes);
    // A whole message that a call was given, with what carried it: frames, records of TLS.
    void explain_message(std::size_t bytes);
    // What a client sends to take a message of ours (window updates).
    void explain_answer(std::size_t bytes) { explain(bytes / 256 + 64); }
    // What came and is not explained. Empty: the connection is closed, or the system does not tell.
    // As time goes by a little explains itself (self_explained_rate).
    [[nodiscard]] std::optional<std::uint64_t>
    unexplained(steady_time now = std::chrono::steady_clock::now());
    // The same, as it was a moment ago: for each message the system would be asked too often.
    [[nodiscard]] std::optional<std::uint64_t> lately_unexplained();
    [[nodiscard]] bool is_open() const;

    // Reads under way, those that are measured and those that hold a place at a gate instead; and
    // what came of them.
    struct reads {
        std::size_t measured = 0;
        std::size_t gated = 0;
        std::uint64_t delivered = 0; // bytes of whole messages, so far
    };
    void change_reads(std::ptrdiff_t measured, std::ptrdiff_t gated);
    [[nodiscard]] reads reads_under_way() const;

private:
    [[nodiscard]] std::optional<std::uint64_t> look(steady_time now); // the lock is held

    const int socket_;
    const std::uint64_t cookie_;
    mutable std::mutex mutex_; // guards what follows
    std::uint64_t explained_ = 0;
    reads reads_;
    steady_time looked_{};         // the last time,
    std::uint64_t seen_ = 0;       // and what was not explained then
    steady_time self_explained_{}; // up to when what explains itself is counted
};

// The connections of a server, by their peers as gRPC names them. Thread-safe.
class connection_meter {
public:
    // Before the socket is handed to gRPC.
    void add(int socket);
    // Null: it is not known, and not measured.
    [[nodiscard]] std::shared_ptr<metered_connection> find(const std::string& peer) const;

private:
    mutable std::mutex mutex_; // guards what follows
    std::map<std::string, std::shared_ptr<metered_connection>> connections_;
    std::size_t added_ = 0;
};

} // namespace immortal::esdb
