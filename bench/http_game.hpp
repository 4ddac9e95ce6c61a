// Characters to play with, and the commands they give.
#pragma once

#include "bench/http_wire.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace immortal::bench {

struct character {
    std::string token;
    std::string player_id;
    std::string technique_id;
    std::string session_id; // of the cultivation under way
    std::size_t step = 0;
    std::uint64_t last_position = 0;
};

// The cycle of a character: start a cultivation, progress, progress, complete (or interrupt, when
// it is not over yet), move, move. At a great time_scale each is possible at once, and energy comes
// back faster than it is used.
constexpr std::size_t cycle_steps = 5;

class game {
public:
    // Registers accounts and creates characters. Throws std::runtime_error with the answer that was
    // not expected.
    static boost::asio::awaitable<game> set_up(std::uint16_t port, std::size_t accounts,
                                               std::size_t characters_each);

    [[nodiscard]] std::vector<character>& characters() { return characters_; }
    // The character's next command.
    [[nodiscard]] std::string next_command(character& who, std::uint64_t number) const;
    // What follows from the answer; true: it was accepted.
    bool learn(character& who, const wire_answer& answer) const;

private:
    std::vector<character> characters_;
    std::vector<std::string> locations_;
    std::string run_;
};

} // namespace immortal::bench
