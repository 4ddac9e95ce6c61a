#include "api/authorization.hpp"

namespace immortal::api {

using base::errc;
using base::fail;

public_player public_part(const readmodel::player_view& of) {
    return {of.id,
            of.name,
            of.level,
            of.realm,
            of.experience,
            of.status,
            of.current_location,
            of.created_at,
            of.last_active_at,
            of.revision,
            of.position};
}

// Reading one member of our own serialisation: inside a JSON text every quote is escaped, so the
// pattern can only be the member itself.
bool may_see_all(const caller& who, std::string_view payload) {
    return is_staff(who) ||
           payload.find("\"userId\":\"" + who.user_id.text() + '"') != std::string_view::npos;
}

bool may_see_all(const caller& who, const readmodel::player_view& player) {
    return is_staff(who) || player.user_id == who.user_id;
}

awaitable<base::result<readmodel::view>> find_player(const services& uses, base::uuid player,
                                                     std::optional<base::position> after) {
    auto found = co_await uses.views.player(player, after);
    if (found && found->absent) {
        co_return fail(errc::not_found, "There is no such player.");
    }
    co_return found;
}

awaitable<base::status> require_full_sight(const services& uses, const call& c, base::uuid player) {
    const auto found = co_await find_player(uses, player, c.after);
    if (!found) {
        co_return fail(found.error());
    }
    if (!may_see_all(*c.who, found->payload)) {
        co_return fail(errc::forbidden, "This is another account's player.");
    }
    co_return base::status{};
}

} // namespace immortal::api
