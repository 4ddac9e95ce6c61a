#include "commands/execution.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "commands/names.hpp"
#include "commands/recorded_answer.hpp"
#include "commands/reservation.hpp"
#include "runtime/deadline.hpp"

#include <algorithm>

namespace immortal::commands {

namespace {

namespace player = game::player;
namespace cultivation = game::cultivation;
using eventstore::expected_revision;

std::optional<base::uuid> player_of(const game_command& command) {
    return std::visit(
        [](const auto& c) -> std::optional<base::uuid> {
            if constexpr (requires { c.player_id; }) {
                return c.player_id;
            }
            return std::nullopt;
        },
        command);
}

std::optional<base::uuid> session_of(const game_command& command) {
    return std::visit(
        [](const auto& c) -> std::optional<base::uuid> {
            if constexpr (requires { c.session_id; }) {
                return c.session_id;
            }
            return std::nullopt;
        },
        command);
}

bool only_for_system(const game_command& command) {
    return std::holds_alternative<complete_unattended>(command) ||
           std::holds_alternative<erase_player>(command);
}

std::unexpected<base::error> busy() {
    base::error e{base::errc::unavailable,
                  "Too many commands meet here; nothing was done. Try again.",
                  "busy_aggregate",
                  {},
                  100};
    return std::unexpected(std::move(e));
}

} // namespace

execution::execution(std::shared_ptr<service::state> with, request what)
    : with_(std::move(with)), of_(std::move(what)),
      deadline_(with_->uses.clock.steady_now() + with_->settings.timeout),
      wait_(with_->settings.retry_min) {}

milliseconds execution::time_left() const {
    const auto left = std::chrono::ceil<milliseconds>(deadline_ - with_->uses.clock.steady_now());
    return std::max(left, milliseconds{0});
}

awaitable<bool> execution::pause() {
    const milliseconds left = time_left();
    if (left.count() == 0) {
        co_return false;
    }
    // Full jitter in the upper half: whoever collided does not collide again in step.
    const auto half = static_cast<std::uint64_t>(wait_.count()) * 500 + 1;
    const std::chrono::microseconds wait(half + with_->uses.random.next() % half);
    wait_ = std::min(wait_ * 2, with_->settings.retry_max);
    const bool passed = co_await runtime::wait_for(std::min<std::chrono::nanoseconds>(wait, left));
    co_return passed&& time_left().count() > 0;
}

// --- the aggregates ---

awaitable<base::status> execution::find_targets() {
    if (const auto* create = std::get_if<create_player>(&of_.command)) {
        auto name = normalise_name(create->name);
        if (!name) {
            co_return base::fail(std::move(name.error()));
        }
        name_ = std::move(*name);
        name_stream_ = name_stream(name_, with_->settings.name_key);
        created_ = created_id(of_);
        creates_player_ = true;
        player_stream_ = player::stream_of(created_);
        co_return base::status{};
    }
    std::optional<base::uuid> who = player_of(of_.command);
    if (std::holds_alternative<erase_player>(of_.command)) {
        erases_player_ = true;
        if (auto found = co_await find_running_session(*who); !found) {
            co_return found;
        }
    } else if (std::holds_alternative<start_cultivation>(of_.command)) {
        created_ = created_id(of_);
        creates_session_ = true;
        session_stream_ = cultivation::stream_of(created_);
    } else if (const auto session = session_of(of_.command)) {
        auto owner = co_await owner_of(*session);
        if (!owner) {
            co_return base::fail(std::move(owner.error()));
        }
        who = *owner;
        session_stream_ = cultivation::stream_of(*session);
    }
    player_stream_ = player::stream_of(*who);
    co_return base::status{};
}

// A guess, made without keeping the lock: attempt() looks whether it still holds.
awaitable<base::status> execution::find_running_session(base::uuid player) {
    const std::string stream = player::stream_of(player);
    const auto guard = co_await with_->locks.lock({stream}, time_left());
    if (!guard) {
        co_return base::fail(guard.error());
    }
    const auto loaded = co_await with_->players.load(stream);
    if (!loaded) {
        co_return base::fail(loaded.error());
    }
    if (const auto& session = loaded->home->state.cultivation_session) {
        session_stream_ = cultivation::stream_of(*session);
    }
    co_return base::status{};
}

awaitable<base::result<base::uuid>> execution::owner_of(base::uuid session) {
    if (const auto known = with_->owners.find(session)) {
        co_return *known;
    }
    auto page = co_await with_->uses.store.read_stream(cultivation::stream_of(session), {0},
                                                       eventstore::direction::forwards, 1);
    if (!page) {
        co_return base::fail(std::move(page.error()));
    }
    if (page->events.empty()) {
        co_return base::fail(base::errc::not_found, "There is no such session.");
    }
    cultivation::state begun;
    const auto& first = page->events.front();
    if (auto done = cultivation::evolve(begun, first.type, first.data); !done || !begun.exists) {
        co_return base::fail(base::errc::corrupt, "The session cannot be read.");
    }
    with_->owners.remember(session, begun.player_id);
    co_return begun.player_id;
}

awaitable<base::status> execution::load() {
    fresh_ = true;
    if (creates_player_ && !looked_) {
        player_ = std::make_shared<game::home<player::state>>();
    } else {
        auto loaded = co_await with_->players.load(player_stream_);
        if (!loaded) {
            co_return base::fail(std::move(loaded.error()));
        }
        player_ = std::move(loaded->home);
        fresh_ = fresh_ && loaded->fresh;
    }
    if (session_stream_.empty() || (creates_session_ && !looked_)) {
        session_ = std::make_shared<game::home<cultivation::state>>();
        co_return base::status{};
    }
    auto loaded = co_await with_->sessions.load(session_stream_);
    if (!loaded) {
        co_return base::fail(std::move(loaded.error()));
    }
    session_ = std::move(loaded->home);
    fresh_ = fresh_ && loaded->fresh;
    co_return base::status{};
}

awaitable<base::status> execution::reload() {
    // From now on what the command creates is no longer taken to be absent.
    const bool first_look = !looked_;
    looked_ = true;
    if (first_look && (creates_player_ || creates_session_)) {
        with_->players.drop(player_stream_);
        co_return co_await load();
    }
    if (auto done = co_await with_->players.catch_up(player_stream_, player_); !done) {
        co_return base::fail(std::move(done.error()));
    }
    if (!session_stream_.empty()) {
        if (auto done = co_await with_->sessions.catch_up(session_stream_, session_); !done) {
            co_return base::fail(std::move(done.error()));
        }
    }
    fresh_ = true;
    co_return base::status{};
}

// --- decide ---

// Empty: the command is not remembered.
awaitable<std::optional<base::result<outcome>>> execution::first_answer() {
    std::optional<game::command_record> record;
    if (const auto* known = player_->commands.find(of_.command_id)) {
        record = *known;
    } else if (creates_player_ && player_->revision) {
        // Long ago, perhaps: what a stream was created by is never forgotten.
        auto found = co_await find_creation(with_->uses.store, player_stream_, of_.command_id);
        if (!found) {
            co_return base::fail(std::move(found.error()));
        }
        record = *found;
    }
    if (!record) {
        co_return std::nullopt;
    }
    if (record->request != of_.hash) {
        co_return base::fail(base::errc::mismatch,
                             "This idempotency key was used with another request; use a new key.");
    }
    co_return co_await read_answer(with_->uses.store, player_stream_, *record);
}

std::optional<base::error> execution::not_allowed() const {
    if (creates_player_) {
        return std::nullopt;
    }
    if (!player_->state.exists || player_->state.erased) {
        return base::error{base::errc::not_found, "There is no such player."};
    }
    if (of_.who.role != role::system && player_->state.user_id != of_.who.account) {
        return base::error{base::errc::forbidden, "This player belongs to another account."};
    }
    return std::nullopt;
}

awaitable<base::result<bool>> execution::heads_moved() {
    if (fresh_) {
        co_return false;
    }
    if (player_->revision) {
        auto moved = co_await with_->players.moved(player_stream_, *player_->revision);
        if (!moved || *moved) {
            co_return moved;
        }
    }
    if (!session_stream_.empty() && session_->revision) {
        co_return co_await with_->sessions.moved(session_stream_, *session_->revision);
    }
    co_return false;
}

awaitable<std::optional<base::result<outcome>>> execution::refuse(base::error why) {
    const auto moved = co_await heads_moved();
    if (!moved) {
        co_return base::fail(moved.error());
    }
    if (*moved) {
        if (auto done = co_await reload(); !done) {
            co_return base::fail(std::move(done.error()));
        }
        co_return std::nullopt;
    }
    co_return base::fail(std::move(why));
}

// Looks at the reservation of the name that the command takes or gives back. True: it can be
// written, at `name_revision_`.
awaitable<base::result<bool>> execution::find_name() {
    if (erases_player_) {
        name_stream_ = name_stream(player_->state.name, with_->settings.name_key);
    }
    auto holder = co_await read_reservation(with_->uses.store, name_stream_);
    if (!holder && erases_player_ && holder.error().code == base::errc::deleted) {
        name_stream_.clear(); // tombstoned: nobody can have the name, and nobody can give it back
        co_return true;
    }
    if (!holder) {
        co_return base::fail(std::move(holder.error()));
    }
    name_revision_ = holder->revision;
    if (!erases_player_) {
        co_return !holder->player;
    }
    if (holder->player != player_->state.id) {
        name_stream_.clear(); // not this player's, so there is nothing to give back
    }
    co_return true;
}

awaitable<std::optional<base::result<outcome>>> execution::attempt() {
    if (auto answer = co_await first_answer()) {
        co_return answer;
    }
    if (auto no = not_allowed()) {
        co_return co_await refuse(std::move(*no));
    }
    if (creates_player_ && looked_ && !player_->revision) {
        // The append met a conflict and the player is not there: it was the name.
        const auto free = co_await find_name();
        if (!free) {
            co_return base::fail(free.error());
        }
        if (!*free) {
            co_return base::fail(base::errc::rejected, "This name is taken; choose another.",
                                 "name_taken", "name");
        }
    }
    if (erases_player_) {
        const auto& running = player_->state.cultivation_session;
        if ((running ? cultivation::stream_of(*running) : std::string()) != session_stream_) {
            co_return busy(); // it has begun or ended since find_targets()
        }
        if (const auto found = co_await find_name(); !found) {
            co_return base::fail(found.error());
        }
    }
    const game::context context(with_->uses.clock.now(), with_->uses.random.next(),
                                with_->uses.data, with_->settings.rules);
    auto made = decide(of_, created_, name_, player_->state, session_->state, context);
    if (!made) {
        co_return co_await refuse(
            {base::errc::rejected, std::move(made.error().message), std::move(made.error().code)});
    }
    co_return co_await append(std::move(*made), context.now);
}

// --- append ---

std::vector<eventstore::stream_write> execution::batch(const decision& made,
                                                       base::utc_time at) const {
    const std::string actor = text_of(of_.who);
    const game::metadata_parts parts{of_.command_id, actor, at};
    const std::string metadata = game::make_metadata(parts);
    std::size_t ordinal = 0;
    std::vector<eventstore::stream_write> writes;
    writes.reserve(3);
    const auto add = [&](eventstore::stream_write& to, std::string type, std::string data) {
        to.events.push_back({event_id(of_.command_id, ordinal++), std::move(type), std::move(data),
                             metadata, eventlog::content::json});
    };
    if (!name_stream_.empty()) {
        auto& write = writes.emplace_back();
        write.stream = name_stream_;
        write.expected = expected_revision::after(name_revision_);
        const auto& player = creates_player_ ? created_ : player_->state.id;
        add(write, creates_player_ ? name_reserved_type : name_released_type,
            R"({"playerId":")" + player.text() + "\"}");
    }
    if (!made.session.empty()) {
        auto& write = writes.emplace_back();
        write.stream = session_stream_;
        write.expected = expected_revision::after(session_->revision);
        for (const auto& event : made.session) {
            auto text = game::encode_event(event);
            add(write, std::move(text.type), std::move(text.data));
        }
    }
    auto& home = writes.emplace_back();
    home.stream = player_stream_;
    home.expected = expected_revision::after(player_->revision);
    home.events.reserve(made.player.size());
    for (const auto& event : made.player) {
        auto text = game::encode_event(event);
        add(home, std::move(text.type), std::move(text.data));
    }
    home.events.front().metadata = game::make_home_metadata(parts, of_.hash, made.body);
    return writes;
}

awaitable<base::result<eventstore::append_outcome>>
execution::append_until_known(std::vector<eventstore::stream_write> writes, bool* asked_again) {
    *asked_again = false;
    for (;;) {
        // The store answers within the command's time: what it did not begin by then is taken back,
        // what it did is unknown, and the client asks again with the same key.
        eventstore::append_terms terms;
        terms.limit = std::max(time_left(), milliseconds{1});
        auto done = co_await with_->uses.store.append(writes, std::move(terms));
        if (done || done.error().code == base::errc::conflict) {
            co_return done;
        }
        const bool unknown = done.error().code == base::errc::unknown_outcome;
        if (!unknown && !*asked_again) {
            co_return done; // certainly not written
        }
        *asked_again = true;
        with_->unknowns.add();
        if (!co_await pause()) {
            co_return base::fail(base::errc::unknown_outcome,
                                 "The command may or may not have been done; repeat it with the "
                                 "same idempotency key to find out.");
        }
    }
}

awaitable<std::optional<base::result<outcome>>> execution::append(decision made,
                                                                  base::utc_time at) {
    bool asked_again = false;
    auto done = co_await append_until_known(batch(made, at), &asked_again);
    if (done && (!done->repeated || asked_again)) {
        co_return accept(std::move(made), *done);
    }
    if (!done && done.error().code != base::errc::conflict) {
        if (done.error().code == base::errc::unknown_outcome) {
            with_->keys.remember(of_.command_id, of_.hash);
        }
        co_return base::fail(std::move(done.error()));
    }
    // Somebody was faster, or an earlier execution of this very command wrote the events.
    with_->conflicts.add();
    if (auto loaded = co_await reload(); !loaded) {
        co_return base::fail(std::move(loaded.error()));
    }
    if (auto answer = co_await first_answer()) {
        co_return answer;
    }
    if (!co_await pause()) {
        co_return busy();
    }
    co_return std::nullopt;
}

outcome execution::accept(decision made, const eventstore::append_outcome& done) {
    const std::size_t last = done.last_revisions.size() - 1;
    const auto player_before = player_->revision;
    player_->state = std::move(made.next_player);
    player_->revision = done.last_revisions[last];
    const base::revision first{player_before ? player_before->value + 1 : 0};
    player_->commands.remember({of_.command_id, of_.hash, first, done.position});
    with_->players.keep(player_stream_, player_, player_before);
    if (!made.session.empty()) {
        const auto session_before = session_->revision;
        session_->state = std::move(made.next_session);
        session_->revision = done.last_revisions[last - 1];
        with_->owners.remember(session_->state.session_id, session_->state.player_id);
        with_->sessions.keep(session_stream_, session_, session_before);
    }
    with_->keys.remember(of_.command_id, of_.hash);
    auto body = base::parse_json(made.body);
    IMMORTAL_ASSERT(body.has_value());
    return {std::move(body->get_object()), done.position, false};
}

// --- the whole way ---

awaitable<base::result<outcome>> execution::run() {
    if (only_for_system(of_.command) != (of_.who.role == role::system)) {
        co_return base::fail(base::errc::forbidden, "This command is not yours to give.");
    }
    if (const auto known = with_->keys.find(of_.command_id); known && *known != of_.hash) {
        co_return base::fail(base::errc::mismatch,
                             "This idempotency key was used with another request; use a new key.");
    }
    if (auto found = co_await find_targets(); !found) {
        co_return base::fail(std::move(found.error()));
    }
    std::vector<std::string> keys{player_stream_, "command-" + of_.command_id.text()};
    if (!session_stream_.empty()) {
        keys.push_back(session_stream_);
    }
    const auto guard = co_await with_->locks.lock(std::move(keys), time_left());
    if (!guard) {
        co_return base::fail(guard.error());
    }
    if (const auto known = with_->keys.find(of_.command_id); known && *known != of_.hash) {
        co_return base::fail(base::errc::mismatch,
                             "This idempotency key was used with another request; use a new key.");
    }
    if (auto loaded = co_await load(); !loaded) {
        co_return base::fail(std::move(loaded.error()));
    }
    for (std::size_t i = 0; i < with_->settings.attempts_max; ++i) {
        if (auto answer = co_await attempt()) {
            co_return std::move(*answer);
        }
    }
    co_return busy();
}

} // namespace immortal::commands
