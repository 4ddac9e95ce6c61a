// Redis' protocol without sockets: commands to bytes, bytes to replies.
#pragma once

#include "redis/client.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace immortal::redis {

// Appends the command as a RESP array of bulk strings. `c` is not empty.
void encode(const command& c, std::string& out);

// Cuts a stream of bytes into replies (RESP 2; arrays at most 7 deep). Not thread-safe.
class reply_reader {
public:
    reply_reader();
    ~reply_reader();
    reply_reader(const reply_reader&) = delete;
    reply_reader& operator=(const reply_reader&) = delete;

    void feed(std::string_view bytes);
    // The next whole reply; empty when more bytes are needed, or for ever once broken().
    [[nodiscard]] std::optional<reply> next();
    [[nodiscard]] bool broken() const; // the bytes were not RESP

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::redis
