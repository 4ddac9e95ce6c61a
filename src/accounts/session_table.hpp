// Sessions this process has seen, each at most a moment old: the level before Redis and SQL.
#pragma once

#include "accounts/recent_table.hpp"
#include "accounts/service.hpp"

#include <mutex>

namespace immortal::accounts {

// Thread-safe. Sessions are known by their token's hash.
class session_table {
public:
    session_table(milliseconds age_max, std::size_t size_max)
        : age_max_(age_max), entries_(size_max), revoked_(size_max) {}

    struct found {
        principal who;
        bool fresh = false;       // young enough to be believed
        bool refresh_due = false; // soon no longer: the caller, alone, asks again
    };
    // Also what is too old, as a hint whose it was.
    [[nodiscard]] std::optional<found> find(const std::string& token_hash, base::steady_time now);

    // `as_of`: before its source was read. Dropped if the user's sessions were revoked since.
    void put(const std::string& token_hash, principal who, base::steady_time as_of);
    void forget(const std::string& token_hash);

    // What was read of the user's sessions (of anyone's) until now is void.
    void revoke(const base::uuid& user, base::steady_time now);
    void revoke_all(base::steady_time now);
    [[nodiscard]] bool believable(const base::uuid& user, base::steady_time as_of);

private:
    struct entry {
        principal who;
        base::steady_time as_of{};
        bool refreshing = false;
    };
    [[nodiscard]] bool revoked_since(const base::uuid& user, base::steady_time as_of);

    const milliseconds age_max_;
    std::mutex mutex_;
    recent_table<std::string, entry> entries_;
    recent_table<base::uuid, base::steady_time> revoked_;
    base::steady_time all_revoked_ = base::steady_time::min();
};

} // namespace immortal::accounts
