// immortal store password
#include "app/store_password.hpp"

#include "app/core.hpp"
#include "app/output.hpp"
#include "app/tool.hpp"
#include "base/json.hpp"
#include "esdb/protocol_server.hpp"
#include "esdb/user_directory.hpp"
#include "eventstore/embedded_store.hpp"

#include <fmt/format.h>

#include <utility>

namespace immortal::app {

namespace json = base::json;

namespace {

constexpr std::size_t password_bytes = 12; // as the first one

awaitable<base::result<given_password>> give(esdb::user_directory& users,
                                             base::random_source& random, std::string login,
                                             unknown_user policy) {
    if (auto loaded = co_await users.load(); !loaded) {
        co_return base::fail(std::move(loaded.error()));
    }
    given_password out{{login, base::random_hex(random, password_bytes)}, !users.find(login)};
    if (out.is_new && policy == unknown_user::refuse) {
        co_return base::fail(base::errc::not_found,
                             "there is no such user; with --make it is made, as an administrator");
    }
    base::status done;
    if (out.is_new) {
        esdb::user_record user;
        user.login_name = login;
        user.full_name = "Administrator";
        user.groups = {std::string(esdb::admins_group)};
        done = co_await users.create(std::move(user), out.user.password);
    } else {
        done = co_await users.reset_password(login, out.user.password,
                                             esdb::user_directory::access::enabled);
    }
    co_return done ? base::result<given_password>(std::move(out)) : base::fail(done.error());
}

std::string text_of(const given_password& given, bool as_json) {
    return as_json ? base::json_text(json::object{{"login", given.user.login},
                                                  {"password", given.user.password},
                                                  {"made", given.is_new}}) +
                         "\n"
                   : fmt::format(
                         "{} the event store's user '{}' has the password {}\n"
                         "It is shown only now: keep it, or change it with the Users service.\n",
                         given.is_new ? "Made as an administrator," : "From now on",
                         given.user.login, given.user.password);
}

} // namespace

base::result<given_password> give_password(runtime::engine& engine, eventstore::event_store& store,
                                           base::clock& clock, base::random_source& random,
                                           std::string login, unknown_user policy) {
    if (auto valid = esdb::validate_login(login); !valid) {
        return base::fail(valid.error());
    }
    const esdb::security_settings usual;
    accounts::password_hasher hasher({.memory_bytes = usual.hash_bytes,
                                      .passes = usual.hash_passes,
                                      .at_once = usual.hashes_at_once,
                                      .queue_max = usual.hash_queue_max});
    esdb::user_directory users(store, hasher, clock, random, engine.executor());
    auto given = engine.run(give(users, random, std::move(login), policy));
    engine.run(users.stop());
    hasher.stop();
    return given;
}

int run_store_password(const store_password_options& options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    const auto folder = data_folder::open(loaded->server.data, "immortal store password",
                                          data_folder::when_absent::refuse);
    if (!folder) {
        return report(folder.error());
    }
    base::posix_file_system files;
    base::system_clock clock;
    base::system_random random;
    const auto log = open_event_log(**folder, *loaded, files, clock, random, nullptr,
                                    data_folder::when_absent::refuse);
    if (!log) {
        return report(log.error());
    }
    const auto store = eventstore::make_embedded_store(**log);
    runtime::engine engine({.threads = 2});
    engine.start();
    const auto given =
        give_password(engine, *store, clock, random, options.login,
                      options.make ? unknown_user::make_administrator : unknown_user::refuse);
    engine.stop();
    if (!given) {
        const bool unknown = given.error().code == base::errc::unknown_outcome;
        return report({given.error().code,
                       fmt::format("The password of '{}' {}: {}.", options.login,
                                   unknown ? "may have been changed (run the command again)"
                                           : "was not changed",
                                   given.error().message)});
    }
    if (const std::string text = text_of(*given, options.json); !announce(text)) {
        return report({base::errc::unavailable, "Standard output cannot be written, and the "
                                                "password is shown nowhere else. " +
                                                    text});
    }
    return exit_success;
}

} // namespace immortal::app
