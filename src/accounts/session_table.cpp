#include "accounts/session_table.hpp"

namespace immortal::accounts {

std::optional<session_table::found> session_table::find(const std::string& token_hash,
                                                        base::steady_time now) {
    const std::scoped_lock lock(mutex_);
    entry* known = entries_.find(token_hash);
    if (known == nullptr) {
        return std::nullopt;
    }
    found out{known->who};
    const auto age = now - known->as_of;
    out.fresh = age < age_max_ && !revoked_since(known->who.user_id, known->as_of);
    if (out.fresh && age > age_max_ * 7 / 10 && !known->refreshing) {
        known->refreshing = true;
        out.refresh_due = true;
    }
    return out;
}

void session_table::put(const std::string& token_hash, principal who, base::steady_time as_of) {
    const std::scoped_lock lock(mutex_);
    if (!revoked_since(who.user_id, as_of)) {
        entries_[token_hash] = {std::move(who), as_of, false};
    }
}

void session_table::forget(const std::string& token_hash) {
    const std::scoped_lock lock(mutex_);
    entries_.erase(token_hash);
}

void session_table::revoke(const base::uuid& user, base::steady_time now) {
    const std::scoped_lock lock(mutex_);
    revoked_[user] = now;
}

void session_table::revoke_all(base::steady_time now) {
    const std::scoped_lock lock(mutex_);
    all_revoked_ = now;
}

bool session_table::believable(const base::uuid& user, base::steady_time as_of) {
    const std::scoped_lock lock(mutex_);
    return !revoked_since(user, as_of);
}

bool session_table::revoked_since(const base::uuid& user, base::steady_time as_of) {
    const base::steady_time* when = revoked_.find(user);
    return as_of <= all_revoked_ || (when != nullptr && as_of <= *when);
}

} // namespace immortal::accounts
