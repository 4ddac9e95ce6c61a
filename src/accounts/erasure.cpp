// The end of an account, in two steps: see sql/0004_erasures.sql.
#include "accounts/service_state.hpp"

namespace immortal::accounts {

using base::fail;
using postgres::arguments;

awaitable<base::status> run_erasure(shared_state self, principal who) {
    std::vector<postgres::query> list;
    list.push_back({"DELETE FROM account_requests WHERE scope = $1"
                    " OR scope = (SELECT 'register:' || lower(username) FROM users WHERE id = $2)",
                    arguments().add("user:" + who.user_id.text()).add(who.user_id)});
    list.push_back({"UPDATE users SET username = 'erased-' || replace(id::text, '-', ''),"
                    " email = id::text || '@erased.invalid', password_hash = '!',"
                    " is_active = false, session_epoch = session_epoch + 1, updated_at = $2,"
                    " erasure_requested_at = $2"
                    " WHERE id = $1 AND is_active",
                    arguments().add(who.user_id).add(self->with.clock.now())});
    list.push_back({"DELETE FROM sessions WHERE user_id = $1", arguments().add(who.user_id)});
    list.push_back(sessions::announcement(who.user_id));
    const auto done = co_await self->with.database.run_all(std::move(list));
    co_await self->open_sessions.revoked(who.user_id);
    if (!done) {
        co_return fail(done.error());
    }
    if ((*done)[1].affected() > 0) {
        co_await self->audit.record("UserErased", who.user_id);
    }
    co_return base::status{};
}

awaitable<base::result<std::vector<pending_erasure>>> run_pending_erasures(shared_state self,
                                                                           base::uuid after) {
    const auto got = co_await self->with.database.run(postgres::reading(
        "SELECT id, erasure_requested_at FROM users WHERE erasure_requested_at IS NOT NULL"
        " AND erasure_finished_at IS NULL AND id > $1::uuid ORDER BY id LIMIT 100",
        arguments().add(after)));
    if (!got) {
        co_return fail(got.error());
    }
    std::vector<pending_erasure> out;
    for (std::size_t i = 0; i < got->size(); ++i) {
        out.push_back({got->get<base::uuid>(i, 0), got->get<base::utc_time>(i, 1)});
    }
    co_return out;
}

awaitable<base::status> run_erasure_end(shared_state self, base::uuid user) {
    const auto done = co_await self->with.database.run(
        {"UPDATE users SET erasure_finished_at = $2 WHERE id = $1"
         " AND erasure_requested_at IS NOT NULL AND erasure_finished_at IS NULL",
         arguments().add(user).add(self->with.clock.now())});
    if (!done) {
        co_return fail(done.error());
    }
    if (done->affected() > 0) {
        co_await self->audit.record("UserErasureFinished", user);
    }
    co_return base::status{};
}

} // namespace immortal::accounts
