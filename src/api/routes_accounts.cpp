#include "accounts/service.hpp"
#include "api/route_building.hpp"
#include "api/routes.hpp"

namespace immortal::api {
namespace {

using base::errc;
using base::fail;
using base::result;
using base::status;

struct register_body {
    std::string username;
    std::string email;
    std::string password;
};
BOOST_DESCRIBE_STRUCT(register_body, (), (username, email, password))

struct log_in_body {
    std::string username; // or the e-mail address
    std::string password;
};
BOOST_DESCRIBE_STRUCT(log_in_body, (), (username, password))

struct password_body {
    std::string current_password;
    std::string new_password;
};
BOOST_DESCRIBE_STRUCT(password_body, (), (current_password, new_password))

struct registered {
    base::uuid user_id;
    std::string username;
};
BOOST_DESCRIBE_STRUCT(registered, (), (user_id, username))

struct logged_in {
    std::string token;
    base::uuid user_id;
    base::utc_time expires_at;
};
BOOST_DESCRIBE_STRUCT(logged_in, (), (token, user_id, expires_at))

struct account_view {
    base::uuid user_id;
    std::string username;
    std::string email;
    std::string role;
    base::utc_time created_at;
    std::optional<base::utc_time> last_login_at;
    std::int64_t sessions = 0;
};
BOOST_DESCRIBE_STRUCT(account_view, (),
                      (user_id, username, email, role, created_at, last_login_at, sessions))

answer nothing_to_say() {
    answer out;
    out.status = 204;
    return out;
}

awaitable<result<answer>> register_user(const services& uses, call& c, register_body body) {
    auto done = co_await uses.accounts.register_user(body.username, std::move(body.email),
                                                     std::move(body.password), c.asked.source.group,
                                                     c.idempotency_key);
    if (!done) {
        co_return fail(std::move(done.error()));
    }
    answer out;
    out.status = 201;
    out.body = base::encode_text(registered{done->user_id, std::move(body.username)});
    out.location = "/v1/users/me";
    out.repeated = done->repeated;
    co_return out;
}

awaitable<result<answer>> log_in(const services& uses, call& c, log_in_body body) {
    auto opened = co_await uses.accounts.log_in(std::move(body.username), std::move(body.password),
                                                c.asked.source.group);
    if (!opened) {
        co_return fail(std::move(opened.error()));
    }
    answer out;
    out.status = 201;
    out.body =
        base::encode_text(logged_in{std::move(opened->token), opened->user_id, opened->expires_at});
    out.location = "/v1/sessions/current";
    co_return out;
}

awaitable<result<answer>> log_out(const services& uses, call& c) {
    if (status done = co_await uses.accounts.log_out(*c.who); !done) {
        co_return fail(std::move(done.error()));
    }
    co_return nothing_to_say();
}

awaitable<result<answer>> me(const services& uses, call& c) {
    auto found = co_await uses.accounts.me(*c.who);
    if (!found) {
        co_return fail(std::move(found.error()));
    }
    answer out;
    out.body = base::encode_text(
        account_view{found->user_id, std::move(found->username), std::move(found->email),
                     std::string(accounts::name_of(found->rank)), found->created_at,
                     found->last_login_at, static_cast<std::int64_t>(found->sessions)});
    co_return out;
}

awaitable<result<answer>> change_password(const services& uses, call& c, password_body body) {
    status done = co_await uses.accounts.change_password(*c.who, std::move(body.current_password),
                                                         std::move(body.new_password),
                                                         c.asked.source.group, c.idempotency_key);
    if (!done && done.error().code == errc::unauthenticated && !done.error().field.empty()) {
        // The session is sound, so this is no 401: a client would throw its token away.
        co_return fail(errc::forbidden, std::move(done.error().message), "wrong_password",
                       std::move(done.error().field));
    }
    if (!done) {
        co_return fail(std::move(done.error()));
    }
    co_return nothing_to_say();
}

awaitable<result<answer>> erase(const services& uses, call& c) {
    if (status done = co_await uses.accounts.erase(*c.who); !done) {
        co_return fail(std::move(done.error()));
    }
    co_return nothing_to_say();
}

awaitable<result<caller>> authenticate(const services& uses, std::string token) {
    return uses.accounts.authenticate(std::move(token));
}

template <typename Body>
route& add_post(std::vector<route>& table, const services& uses, std::string pattern,
                std::string summary, rate_class limit, body_handler<Body> handle) {
    route& r =
        table.emplace_back(command_route(uses, std::move(pattern), std::move(summary), handle));
    r.limit = limit;
    return r;
}

route& add_plain(std::vector<route>& table, const services& uses, method verb, std::string pattern,
                 std::string summary, plain_handler handle) {
    route& r = table.emplace_back();
    r.verb = verb;
    r.pattern = std::move(pattern);
    r.summary = std::move(summary);
    r.handle = bind(uses, handle);
    return r;
}

} // namespace

void add_account_routes(std::vector<route>& table, const services& uses) {
    route& sign_up =
        add_post(table, uses, "/v1/users", "Register", rate_class::sign_up, register_user);
    sign_up.needs = access::anyone;
    sign_up.success = 201;
    sign_up.rejections = {"email_taken", "username_taken"};
    sign_up.answer_schema = schema_of<registered>();

    route& entering = add_post(table, uses, "/v1/sessions", "Log in, by user name or e-mail",
                               rate_class::log_in, log_in);
    entering.needs = access::anyone;
    entering.key = keyed::no;
    entering.success = 201;
    entering.answer_schema = schema_of<logged_in>();

    add_plain(table, uses, method::delete_, "/v1/sessions/current", "Log out", log_out).success =
        204;
    add_plain(table, uses, method::get, "/v1/users/me", "One's own account", me).answer_schema =
        schema_of<account_view>();
    add_post(table, uses, "/v1/users/me/password", "Change the password; all other sessions end",
             rate_class::log_in, change_password)
        .success = 204;
    add_plain(table, uses, method::delete_, "/v1/users/me",
              "Erase the account and its players: names, e-mail and password are gone for good",
              erase)
        .success = 204;
}

authenticator make_authenticator(const services& uses) {
    return [&uses](std::string token) { return authenticate(uses, std::move(token)); };
}

} // namespace immortal::api
