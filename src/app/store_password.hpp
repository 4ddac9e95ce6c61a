// The way back in for an operator whose users of the event store have no password that anybody
// knows.
#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "esdb/user_record.hpp"
#include "eventstore/event_store.hpp"
#include "runtime/engine.hpp"

#include <cstdint>
#include <string>

namespace immortal::app {

struct given_password {
    esdb::first_user user;
    bool is_new = false; // the user was made, as an administrator
};

enum class unknown_user : std::uint8_t { refuse, make_administrator };

// Gives the user a new random password, and enables it if it was disabled. Nobody else may write
// the store meanwhile. Blocks; not from the engine's threads. Errors: not_found (with `refuse`),
// invalid_argument (no login name, or one that cannot be used again), those of the store.
[[nodiscard]] base::result<given_password>
give_password(runtime::engine& engine, eventstore::event_store& store, base::clock& clock,
              base::random_source& random, std::string login, unknown_user policy);

} // namespace immortal::app
