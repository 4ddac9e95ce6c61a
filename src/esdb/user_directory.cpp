#include "esdb/user_directory.hpp"

#include "base/log.hpp"
#include "eventlog/stream_metadata.hpp"
#include "runtime/deadline.hpp"

#include <algorithm>
#include <limits>
#include <set>

namespace immortal::esdb {
namespace {

using base::errc;
using base::fail;
using eventlog::expected_revision;
using eventstore::stream_write;

constexpr std::chrono::milliseconds stop_limit{5000};
constexpr std::chrono::milliseconds retry_pause{500};
constexpr std::size_t page_size = 256;
constexpr base::revision newest{std::numeric_limits<std::uint64_t>::max()};
constexpr std::size_t guessed_logins_max = 10'000;
constexpr std::size_t proven_part = 4;
constexpr std::uint32_t free_failures = 5;
constexpr int administrators_max = 9; // logins tried for the first one
constexpr std::chrono::minutes failure_window{15};

std::string login_of(std::string_view stream) {
    return std::string(stream.substr(user_stream_prefix.size()));
}

void complain(std::string_view login, std::string_view why) {
    base::log_error("esdb",
                    "the stream of a user cannot be used: the user is treated as deleted. Create "
                    "the user again with the Users service, under another login if the stream is "
                    "tombstoned",
                    {{"stream", user_stream(login)}, {"why", why}});
}

base::error unknown_user(const std::string& login) {
    return {errc::not_found, "there is no user '" + login + "'", "user_not_found", "login_name"};
}

} // namespace

user_directory::user_directory(eventstore::event_store& store, accounts::password_hasher& hasher,
                               base::clock& clock, base::random_source& random,
                               runtime::any_io_executor executor, std::size_t checks_of_source_max)
    : store_(store), hasher_(hasher), clock_(clock), random_(random),
      tasks_(std::move(executor), "users"),
      failures_(free_failures, failure_window, guessed_logins_max), guesses_(checks_of_source_max),
      proven_checks_(std::max<std::size_t>(1, checks_of_source_max / proven_part)),
      cache_key_(base::random_hex(random, 16)) {}

awaitable<base::result<std::optional<first_user>>> user_directory::start() {
    const auto head = store_.head();
    if (auto loaded = co_await load(); !loaded) {
        co_return fail(std::move(loaded.error()));
    }
    std::optional<first_user> made;
    if (needs_administrator()) {
        made = co_await make_administrator();
    }
    tasks_.spawn(follow(head), "follow");
    co_return made;
}

bool user_directory::needs_administrator() const {
    const std::vector<user_record> known = all();
    const bool administered = std::ranges::any_of(known, [](const user_record& user) {
        return !user.disabled && user.as_principal().has_role(admins_group);
    });
    return known.empty() || (damaged_ && !administered);
}

awaitable<std::optional<first_user>> user_directory::make_administrator() {
    for (int number = 1; number <= administrators_max; ++number) {
        first_user made{.login = number == 1 ? "admin" : "admin-" + std::to_string(number),
                        .password = base::random_hex(random_, 12)};
        user_record user;
        user.login_name = made.login;
        user.full_name = "Administrator";
        user.groups = {std::string(admins_group)};
        const auto created = co_await create(std::move(user), made.password);
        if (created) {
            co_return made;
        }
        if (created.error().reason != "login_ended" &&
            created.error().code != errc::already_exists) {
            base::log_error("esdb",
                            "no administrator of the event store could be made: nobody can log in "
                            "until a start of the program can write",
                            {{"cause", created.error().message}});
            break;
        }
    }
    co_return std::nullopt;
}

awaitable<void> user_directory::stop() {
    {
        const std::lock_guard lock(mutex_);
        if (following_) {
            following_->cancel();
        }
    }
    if (!co_await tasks_.stop(stop_limit)) {
        base::log_error("esdb", "the follower of the users did not end in time");
    }
}

awaitable<base::status> user_directory::load() {
    auto logins = co_await listed_logins();
    if (!logins) {
        co_return fail(std::move(logins.error()));
    }
    for (std::string& login : *logins) {
        if (auto known = co_await load_user(std::move(login)); !known) {
            co_return fail(std::move(known.error()));
        }
    }
    co_return base::status{};
}

// `$users` names them in the order they were made; a user who was removed has no stream. Where the
// list is incomplete, the streams themselves are looked for.
awaitable<base::result<std::vector<std::string>>> user_directory::listed_logins() {
    std::vector<std::string> out;
    base::revision from{0};
    for (;;) {
        auto page = co_await store_.read_stream(std::string(user_list_stream), from,
                                                eventstore::direction::forwards, page_size);
        if (!page && page.error().code != errc::deleted) {
            co_return fail(std::move(page.error()));
        }
        const bool whole = page && (page->events.empty() ? from.value > 0 || !page->last
                                                         : page->events.front().revision == from);
        if (!whole) {
            unlisted_ = !page;
            damaged_ = true;
            base::log_error("esdb",
                            "the list of the users was deleted; the users are found by reading the "
                            "whole log, which makes each start slower",
                            {{"stream", user_list_stream}});
            co_return co_await stored_logins();
        }
        for (auto& listed : page->events) {
            from = {listed.revision.value + 1};
            if (validate_login(listed.data)) { // nobody else was ever a user
                out.push_back(std::move(listed.data));
            }
        }
        if (page->end) {
            co_return out;
        }
    }
}

awaitable<base::result<std::vector<std::string>>> user_directory::stored_logins() {
    std::set<std::string> found;
    base::position from{0};
    for (;;) {
        auto page =
            co_await store_.read_all(from, eventstore::direction::forwards, page_size,
                                     {.stream_prefixes = {std::string(user_stream_prefix)}});
        if (!page) {
            co_return fail(std::move(page.error()));
        }
        for (const auto& event : page->events) {
            if (std::string login = login_of(event.stream); validate_login(login)) {
                found.insert(std::move(login));
            }
        }
        from = page->next;
        if (page->end) {
            co_return std::vector<std::string>(found.begin(), found.end());
        }
    }
}

awaitable<base::result<user_directory::stream_end>> user_directory::load_user(std::string login) {
    const auto head = store_.head().value_or(base::position{});
    auto page = co_await store_.read_stream(user_stream(login), newest,
                                            eventstore::direction::backwards, 1);
    if (!page && page.error().code != errc::deleted) {
        co_return fail(std::move(page.error()));
    }
    if (!page) {
        damaged_ = true;
        complain(login, "it is tombstoned");
        forget(login, head);
        co_return stream_end{.tombstoned = true};
    }
    if (page->events.empty()) {
        if (page->last && !page->soft_deleted) {
            damaged_ = true;
            complain(login, "its events are hidden");
        }
        forget(login, head);
        co_return stream_end{.next = page->soft_deleted ? expected_revision::no_stream()
                                                        : expected_revision::after(page->last)};
    }
    (void)take(page->events.front());
    co_return stream_end{.next = expected_revision::after(page->last)};
}

awaitable<void> user_directory::follow(std::optional<base::position> from) {
    eventstore::all_filter filter;
    filter.stream_prefixes = {std::string(user_stream_prefix),
                              "$$" + std::string(user_stream_prefix)};
    std::shared_ptr<eventstore::subscription> changes =
        store_.subscribe_all(from, std::move(filter));
    {
        const std::lock_guard lock(mutex_);
        following_ = changes;
    }
    for (;;) {
        auto batch = co_await changes->next(page_size);
        if (!batch && batch.error().code == errc::cancelled) {
            co_return;
        }
        if (!batch) {
            base::log_error("esdb", "the users' streams cannot be read; trying again",
                            {{"cause", batch.error().message}});
            if (!co_await runtime::wait_for(retry_pause)) {
                co_return;
            }
            continue;
        }
        for (auto& event : batch->events) {
            co_await take_change(std::move(event));
        }
    }
}

awaitable<void> user_directory::take_change(eventlog::recorded_event event) {
    if (event.stream.starts_with(user_stream_prefix)) {
        (void)take(event);
        co_return;
    }
    // The metadata of a user's stream: what it hides is no user any more.
    const std::string login = login_of(event.stream.substr(2));
    for (auto known = co_await load_user(login); !known; known = co_await load_user(login)) {
        forget(login, event.position); // until it can be read
        base::log_error("esdb", "a user's stream cannot be read; trying again",
                        {{"stream", event.stream}, {"cause", known.error().message}});
        if (!co_await runtime::wait_for(retry_pause)) {
            co_return;
        }
    }
}

bool user_directory::take(const eventlog::recorded_event& event) {
    auto user = decode_user(event);
    if (!user) {
        damaged_ = true;
        complain(login_of(event.stream), event.revision == eventlog::tombstone_revision
                                             ? "it is tombstoned"
                                             : "its last event is no user");
        forget(login_of(event.stream), event.position);
        return false;
    }
    const std::lock_guard lock(mutex_);
    entry& known = users_[user->login_name];
    if (known.user.login_name.empty() || known.position < event.position) {
        known = {.user = std::move(*user), .revision = event.revision, .position = event.position};
    }
    return true;
}

void user_directory::forget(const std::string& login, base::position position) {
    const std::lock_guard lock(mutex_);
    const auto known = users_.find(login);
    if (known != users_.end() && known->second.position <= position) {
        users_.erase(known);
    }
}

std::optional<user_directory::entry> user_directory::entry_of(const std::string& login) const {
    const std::lock_guard lock(mutex_);
    const auto found = users_.find(login);
    return found == users_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<user_record> user_directory::find(const std::string& login) const {
    const auto found = entry_of(login);
    return found ? std::optional(found->user) : std::nullopt;
}

std::vector<user_record> user_directory::all() const {
    const std::lock_guard lock(mutex_);
    std::vector<user_record> out;
    out.reserve(users_.size());
    for (const auto& [login, each] : users_) {
        out.push_back(each.user);
    }
    return out;
}

awaitable<base::status> user_directory::create(user_record user, std::string password) {
    for (const base::status& valid :
         {validate_login(user.login_name), validate_profile(user.full_name, user.groups)}) {
        if (!valid) {
            co_return fail(valid.error());
        }
    }
    const auto end = co_await load_user(user.login_name);
    if (!end) {
        co_return fail(end.error());
    }
    if (end->tombstoned) {
        co_return fail(errc::invalid_argument,
                       "the login name '" + user.login_name +
                           "' cannot be used again, because its stream was tombstoned: choose "
                           "another one",
                       "login_ended", "login_name");
    }
    if (find(user.login_name)) {
        co_return fail(errc::already_exists, "there is a user '" + user.login_name + "' already",
                       "user_conflict", "login_name");
    }
    if (auto put = co_await put_password(user, std::move(password)); !put) {
        co_return put;
    }
    co_return co_await write("$UserCreated", std::move(user), end->next, true);
}

awaitable<base::status> user_directory::update(std::string login, std::string full_name,
                                               std::vector<std::string> groups,
                                               std::string password) {
    if (auto valid = validate_profile(full_name, groups); !valid) {
        co_return valid;
    }
    auto known = entry_of(login);
    if (!known) {
        co_return fail(unknown_user(login));
    }
    known->user.full_name = std::move(full_name);
    known->user.groups = std::move(groups);
    if (!password.empty()) {
        if (auto put = co_await put_password(known->user, std::move(password)); !put) {
            co_return put;
        }
    }
    co_return co_await write("$UserUpdated", std::move(known->user),
                             expected_revision::at(known->revision), false);
}

awaitable<base::status> user_directory::set_disabled(std::string login, bool disabled) {
    auto known = entry_of(login);
    if (!known) {
        co_return fail(unknown_user(login));
    }
    if (known->user.disabled == disabled) {
        co_return base::status{};
    }
    known->user.disabled = disabled;
    co_return co_await write("$UserUpdated", std::move(known->user),
                             expected_revision::at(known->revision), false);
}

awaitable<base::status> user_directory::remove(std::string login) {
    const auto known = entry_of(login);
    if (!known) {
        co_return fail(unknown_user(login));
    }
    std::vector<stream_write> writes(1);
    writes[0].stream = user_stream(login);
    writes[0].expected = expected_revision::at(known->revision);
    writes[0].what = stream_write::action::soft_delete;
    const auto done = co_await store_.append(std::move(writes));
    if (!done) {
        co_return fail(done.error());
    }
    const std::lock_guard lock(mutex_);
    users_.erase(login);
    co_return base::status{};
}

awaitable<base::status> user_directory::change_password(std::string login, std::string current,
                                                        std::string password, std::string source) {
    auto who = co_await authenticate({login, std::move(current)}, std::move(source));
    if (!who) {
        co_return fail(std::move(who.error()));
    }
    co_return co_await reset_password(std::move(login), std::move(password));
}

awaitable<base::status> user_directory::reset_password(std::string login, std::string password,
                                                       access wanted) {
    auto known = entry_of(login);
    if (!known) {
        co_return fail(unknown_user(login));
    }
    if (auto put = co_await put_password(known->user, std::move(password)); !put) {
        co_return put;
    }
    const bool enables = wanted == access::enabled && known->user.disabled;
    known->user.disabled = known->user.disabled && !enables;
    co_return co_await write(enables ? "$UserUpdated" : "$PasswordChanged", std::move(known->user),
                             expected_revision::at(known->revision), false);
}

awaitable<base::status> user_directory::put_password(user_record& user, std::string password) {
    if (auto valid = validate_password(password); !valid) {
        co_return valid;
    }
    auto hash = co_await hasher_.hash(std::move(password));
    if (!hash) {
        co_return fail(std::move(hash.error()));
    }
    user.hash = std::move(*hash);
    co_return base::status{};
}

awaitable<base::status> user_directory::write(std::string_view type, user_record user,
                                              expected_revision expected, bool listed) {
    user.last_updated = clock_.now();
    std::vector<stream_write> writes(1);
    writes[0].stream = user_stream(user.login_name);
    writes[0].expected = expected;
    writes[0].events.push_back(user_event(type, user, base::uuid::make_random(random_)));
    if (listed && !unlisted_) {
        stream_write& list = writes.emplace_back();
        list.stream = user_list_stream;
        list.events.push_back({.id = base::uuid::make_random(random_),
                               .type = "$User",
                               .data = user.login_name,
                               .metadata = {},
                               .format = eventlog::content::binary});
    }
    auto outcome = co_await store_.append(std::move(writes));
    if (!outcome) {
        co_return fail(std::move(outcome.error()));
    }
    const std::lock_guard lock(mutex_);
    // The follower may have been faster, and may know a newer one.
    const base::revision revision = outcome->last_revisions.front().value();
    entry& known = users_[user.login_name];
    if (known.user.login_name.empty() || known.position < outcome->position) {
        known = {.user = std::move(user), .revision = revision, .position = outcome->position};
    }
    co_return base::status{};
}

} // namespace immortal::esdb
