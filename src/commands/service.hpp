// Loads, decides, appends, retries: the way of every game command.
//
// A command of (account, idempotency key) takes effect at most once, over restarts and over several
// processes on one store. Three outcomes: done (an `outcome`), refused (an error; nothing was
// written), or errc::unknown_outcome (repeat with the same key to find out).
#pragma once

#include "base/clock.hpp"
#include "base/metrics.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "commands/commands.hpp"
#include "eventstore/event_store.hpp"
#include "game/catalog.hpp"
#include "game/rules.hpp"
#include "runtime/engine.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace immortal::commands {

using boost::asio::awaitable;
using std::chrono::milliseconds;

struct service_settings {
    game::rules rules = {};
    // Key of the hash in `player_name-<hash>` streams, 16 to 64 bytes. It must stay the same for
    // the life of the log. Empty: derived from the log's id (names are then not secret to a reader
    // of the log who guesses them).
    std::string name_key = {};
    milliseconds timeout{5'000};     // of one execute()
    milliseconds retry_min{2};       // wait after a conflict or an unknown outcome, doubled ...
    milliseconds retry_max{200};     // ... up to here, with jitter
    std::size_t attempts_max = 10;   // decisions of one command, after conflicts
    std::size_t waiting_max = 4'096; // commands that wait for an aggregate; more: exhausted
    std::size_t aggregates_max = 100'000;  // kept in memory, of each kind
    std::size_t hot_bytes_max = 128 << 20; // about, of each kind
    std::size_t keys_remembered = 65'536;  // (account, key) -> request, in this process
    std::size_t snapshots_max = 64;        // written at the same time; more are left out
    std::uint64_t snapshot_every = 100;    // events of a stream; 0: no snapshots
};

// Thread-safe.
class service {
public:
    struct parts {
        eventstore::event_store& store;
        const game::catalog& data;
        base::clock& clock;
        base::random_source& random; // seeds the dice
        base::metrics& metrics;
    };
    // Everything in `parts`, and the executor, outlive it. stop() is awaited before its end.
    service(boost::asio::any_io_executor executor, parts uses, service_settings settings);
    ~service();
    service(const service&) = delete;
    service& operator=(const service&) = delete;

    // Refuses new commands (unavailable), waits for those under way (they end by their deadlines)
    // and for snapshots being written.
    awaitable<void> stop();

    // `key`: 1 to 255 bytes, scope: the account. Errors: rejected (`reason`: the rule's code, see
    // docs/rules.md), forbidden (another account's player), not_found (player or session),
    // invalid_argument (with `field`), mismatch (the key was used with another request),
    // unknown_outcome, unavailable, exhausted, timeout (nothing was done), corrupt.
    // A request that was refused is decided anew when it is repeated.
    awaitable<base::result<outcome>> execute(actor who, std::string key, game_command command);

    struct state; // of this module alone

private:
    std::shared_ptr<state> state_;
};

// The key for a request without one: 32 hexadecimal digits.
[[nodiscard]] std::string make_key(base::random_source& random);

} // namespace immortal::commands
