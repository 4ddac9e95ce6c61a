// Single flight: of several readers of one key in this process, one loads.
#pragma once

#include "base/ids.hpp"
#include "base/result.hpp"
#include "cache/entry.hpp"
#include "runtime/async_event.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace immortal::cache {

// Thread-safe.
//
// Readers who ask for a position have a flight of their own, so that a reader who takes any value
// never waits for the read model to catch up on somebody else's behalf.
class flights {
    struct flight;

public:
    using outcome = std::shared_ptr<const base::result<entry>>;

    // The leader loads and calls finish(); destroyed without it (an exception, a cancelled reader),
    // it wakes the followers with an empty outcome and one of them loads.
    class place {
    public:
        place(place&&) = default;
        place& operator=(place&&) = delete;
        ~place();
        [[nodiscard]] bool leads() const noexcept { return leads_; }
        // Nobody waits and nobody else loads: a flight under way asks for a later position.
        [[nodiscard]] bool alone() const noexcept { return flight_ == nullptr; }
        void finish(base::result<entry> value);
        // Of a follower. Empty: the limit passed. Null: the leader gave up.
        [[nodiscard]] boost::asio::awaitable<std::optional<outcome>>
        wait(std::chrono::milliseconds limit);

    private:
        friend class flights;
        place(flights& owner, std::string key, std::shared_ptr<flight> flight, bool leads)
            : owner_(&owner), key_(std::move(key)), flight_(std::move(flight)), leads_(leads) {}
        flights* owner_;
        std::string key_;
        std::shared_ptr<flight> flight_;
        bool leads_;
    };

    [[nodiscard]] place join(const std::string& key_text, std::optional<base::position> after);
    [[nodiscard]] std::size_t under_way() const;

private:
    struct flight {
        std::optional<base::position> after;
        runtime::async_event done;
        outcome value; // under mutex_
    };
    void end(const std::string& key, const std::shared_ptr<flight>& ended, outcome value);

    mutable std::mutex mutex_;
    std::unordered_map<std::string, std::shared_ptr<flight>> flights_;
};

} // namespace immortal::cache
