#include "accounts/sessions.hpp"

#include "base/hash.hpp"
#include "base/log.hpp"
#include "redis/client.hpp"

#include <algorithm>

namespace immortal::accounts {

using base::errc;
using base::fail;
using postgres::arguments;

namespace {

// With PostgreSQL away the answer comes within a second.
constexpr milliseconds database_limit{1000};
constexpr milliseconds touch_interval{std::chrono::minutes(1)};
constexpr std::size_t token_bytes = 32;

std::unexpected<base::error> no_session() {
    return fail(errc::unauthenticated, "there is no such session, or it has ended; log in again");
}

bool is_token(const std::string& text) {
    return text.size() == 2 * token_bytes && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

std::string redis_key(const base::uuid& user) {
    return "session:" + user.text();
}

} // namespace

std::string_view name_of(role rank) noexcept {
    return rank == role::admin ? "admin" : rank == role::gm ? "gm" : "player";
}

role role_of(std::string_view name) {
    return name == "admin" ? role::admin : name == "gm" ? role::gm : role::player;
}

sessions::sessions(const parts& with, const settings& options)
    : with_(with), options_(options),
      table_(options.session_cache_age, options.sessions_cached_max) {}

milliseconds sessions::idle_limit(role rank) const {
    return rank == role::player ? options_.session_idle
                                : std::min(options_.session_idle, options_.staff_session_idle);
}

bool sessions::alive(base::utc_time last_seen, base::utc_time expires, role rank) const {
    const auto now = with_.clock.now();
    return now < expires && now - last_seen < idle_limit(rank);
}

awaitable<base::result<opened_session>> sessions::open(owner whose) {
    const auto now = with_.clock.now();
    const auto limit = whose.rank == role::player
                           ? options_.session_absolute
                           : std::min(options_.session_absolute, options_.staff_session_absolute);
    opened_session out{base::random_hex(with_.random, token_bytes), whose.id,
                       base::uuid::make_random(with_.random), now + limit};
    std::vector<postgres::query> list;
    list.push_back({"INSERT INTO sessions"
                    " (id, user_id, token_hash, epoch, created_at, last_seen_at, expires_at)"
                    " SELECT $1::uuid, id, $2, session_epoch, $3::timestamptz, $3, $4::timestamptz"
                    " FROM users WHERE id = $5 AND is_active AND session_epoch = $6",
                    arguments()
                        .add(out.session_id)
                        .add(base::hex(base::sha256(out.token)))
                        .add(now)
                        .add(out.expires_at)
                        .add(whose.id)
                        .add(whose.session_epoch)});
    list.push_back({"DELETE FROM sessions WHERE user_id = $1 AND id NOT IN (SELECT id FROM sessions"
                    " WHERE user_id = $1 ORDER BY created_at DESC, id = $2 DESC LIMIT $3)",
                    arguments().add(whose.id).add(out.session_id).add(options_.sessions_max)});
    list.push_back({"UPDATE users SET last_login_at = $2, updated_at = $2 WHERE id = $1"
                    " AND EXISTS (SELECT FROM sessions WHERE id = $3)",
                    arguments().add(whose.id).add(now).add(out.session_id)});
    auto done = co_await with_.database.run_all(std::move(list));
    if (!done) {
        co_return fail(done.error());
    }
    if ((*done)[0].affected() == 0) {
        co_return no_session();
    }
    if ((*done)[1].affected() > 0) { // the oldest ones ended
        auto told = co_await with_.database.run(announcement(whose.id));
        if (!told) {
            base::log_warning("accounts", "other processes hear late of ended sessions");
        }
        co_await revoked(whose.id);
    }
    co_return out;
}

awaitable<base::result<principal>> sessions::authenticate(std::string token) {
    if (!is_token(token)) {
        co_return no_session();
    }
    const std::string hash = base::hex(base::sha256(token));
    const auto known = table_.find(hash, with_.clock.steady_now());
    if (known && known->fresh && with_.clock.now() >= known->who.expires_at) {
        co_return no_session();
    }
    if (known && known->fresh && !known->refresh_due) {
        co_return known->who;
    }
    if (known && co_await confirmed_by_redis(hash, known->who)) {
        co_return known->who;
    }
    auto read = co_await load(hash);
    if (!read) {
        if (known && known->fresh) {
            co_return known->who;
        }
        co_return fail(errc::unavailable, "sessions cannot be checked at present; try again");
    }
    if (!*read) {
        table_.forget(hash);
        co_return no_session();
    }
    co_return std::move(**read);
}

// Redis says what PostgreSQL said less than a moment ago.
awaitable<bool> sessions::confirmed_by_redis(std::string token_hash, principal who) {
    if (with_.redis == nullptr || !with_.redis->available()) {
        co_return false;
    }
    const auto got = co_await with_.redis->run({"GET", redis_key(who.user_id)});
    if (!got || got->what != redis::reply::kind::text) {
        co_return false;
    }
    const auto parsed = base::parse_json(got->text);
    const auto value = parsed ? base::decode<remembered_sessions>(*parsed)
                              : base::result<remembered_sessions>(fail(parsed.error()));
    if (!value) {
        co_return false;
    }
    const auto age = with_.clock.now() - value->as_of;
    const auto as_of = with_.clock.steady_now() - age;
    if (age < milliseconds(0) || age >= options_.session_cache_age ||
        !table_.believable(who.user_id, as_of)) {
        co_return false;
    }
    for (const auto& each : value->sessions) {
        if (each.token_hash == token_hash && each.id == who.session_id &&
            alive(each.last_seen_at, std::min(each.expires_at, who.expires_at), who.rank)) {
            table_.put(token_hash, std::move(who), as_of);
            co_return true;
        }
    }
    co_return false;
}

// What one account's rows say; empty: the token belongs to no living session.
awaitable<base::result<std::optional<principal>>> sessions::load(std::string token_hash) {
    const auto as_of = with_.clock.steady_now();
    remembered_sessions all{with_.clock.now(), {}};
    auto q = postgres::reading(
        "SELECT s.token_hash, s.id, s.last_seen_at, s.expires_at, u.id, u.username,"
        " u.role FROM sessions mine JOIN users u ON u.id = mine.user_id"
        " JOIN sessions s ON s.user_id = u.id AND s.epoch = u.session_epoch"
        " WHERE mine.token_hash = $1 AND u.is_active",
        arguments().add(token_hash));
    q.timeout = database_limit;
    const auto got = co_await with_.database.run(std::move(q));
    if (!got) {
        co_return fail(got.error());
    }
    std::optional<principal> mine;
    std::optional<base::utc_time> last_seen;
    for (std::size_t i = 0; i < got->size(); ++i) {
        remembered_session each{got->get<std::string>(i, 0), got->get<base::uuid>(i, 1),
                                got->get<base::utc_time>(i, 2), got->get<base::utc_time>(i, 3)};
        const role rank = role_of(got->text(i, 6));
        if (!alive(each.last_seen_at, each.expires_at, rank)) {
            continue;
        }
        if (each.token_hash == token_hash) {
            mine = {got->get<base::uuid>(i, 4), got->get<std::string>(i, 5), rank, each.id,
                    each.expires_at};
            last_seen = each.last_seen_at;
        }
        all.sessions.push_back(std::move(each));
    }
    if (!mine) {
        co_return std::optional<principal>{};
    }
    table_.put(token_hash, *mine, as_of);
    co_await touch(mine->session_id, *last_seen);
    co_await remember(mine->user_id, std::move(all));
    co_return mine;
}

awaitable<void> sessions::remember(base::uuid user, remembered_sessions what) {
    if (with_.redis != nullptr) {
        // A failure costs speed only; the driver counts it.
        (void)co_await with_.redis->run({"SET", redis_key(user), base::encode_text(what), "PX",
                                         std::to_string(options_.session_cache_age.count())});
    }
}

awaitable<void> sessions::touch(base::uuid session, base::utc_time last_seen) {
    const auto now = with_.clock.now();
    if (now - last_seen < std::min(touch_interval, options_.session_idle / 4)) {
        co_return;
    }
    postgres::query q{"UPDATE sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2",
                      arguments().add(session).add(now)};
    q.timeout = database_limit;
    (void)co_await with_.database.run(std::move(q)); // the next request tries again
}

postgres::query sessions::announcement(const base::uuid& user) {
    return {"SELECT pg_notify('sessions', $1)", arguments().add(user.text())};
}

awaitable<void> sessions::revoked(base::uuid user) {
    table_.revoke(user, with_.clock.steady_now());
    if (with_.redis != nullptr) {
        (void)co_await with_.redis->run({"DEL", redis_key(user)});
    }
}

void sessions::heard(std::optional<base::uuid> user) {
    if (user) {
        table_.revoke(*user, with_.clock.steady_now());
    } else {
        table_.revoke_all(with_.clock.steady_now());
    }
}

awaitable<base::status> sessions::close(principal who) {
    std::vector<postgres::query> list;
    list.push_back({"DELETE FROM sessions WHERE id = $1 AND user_id = $2",
                    arguments().add(who.session_id).add(who.user_id)});
    list.push_back(announcement(who.user_id));
    const auto done = co_await with_.database.run_all(std::move(list));
    co_await revoked(who.user_id); // also when nobody knows: the next request asks PostgreSQL
    co_return done ? base::status{} : fail(done.error());
}

awaitable<base::status> sessions::remove_expired() {
    const auto now = with_.clock.now();
    const auto done = co_await with_.database.run(
        {"DELETE FROM sessions WHERE expires_at < $1 OR last_seen_at < $2",
         arguments().add(now).add(now - options_.session_idle)});
    co_return done ? base::status{} : fail(done.error());
}

} // namespace immortal::accounts
