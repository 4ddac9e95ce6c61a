#include "postgres/database.hpp"

#include "base/log.hpp"
#include "postgres/pool.hpp"
#include "postgres/sqlstate.hpp"
#include "runtime/uncancelled.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>

namespace immortal::postgres {

namespace asio = boost::asio;
using base::errc;
using base::fail;

namespace {

using outcome = base::result<std::vector<rows>>;

constexpr milliseconds stop_grace{1000};
constexpr milliseconds rollback_timeout{2000};
constexpr const char* begin_text = "BEGIN";
constexpr const char* commit_text = "COMMIT";
constexpr const char* rollback_text = "ROLLBACK";

// A call under way is not interrupted by its caller's cancellation: the pipeline must be read to
// its end, and the call has a deadline of its own.
awaitable<void> ignore_cancellation() {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
}

std::vector<statement> statements_of(const std::vector<query>& queries) {
    std::vector<statement> out;
    out.reserve(queries.size() + 2);
    for (const auto& q : queries) {
        out.push_back({q.text.c_str(), &q.values});
    }
    return out;
}

milliseconds timeout_of(const std::vector<query>& queries) {
    milliseconds out{0};
    for (const auto& q : queries) {
        out = std::max(out, q.timeout);
    }
    return out;
}

base::status check(const std::vector<query>& queries) {
    for (const auto& q : queries) {
        if (q.values.has_nul_byte()) {
            return fail(errc::invalid_argument, "a text must not contain a NUL byte");
        }
    }
    return {};
}

constexpr std::size_t never = SIZE_MAX;

bool only_reads(const std::vector<query>& queries) {
    return std::ranges::all_of(queries, &query::reads);
}

// What became of statements that number `commits` (counted from 0) makes durable; `never`: none
// does.
std::optional<base::error> explain(const execution& done, std::size_t commits, pool& owner) {
    if (done.ok()) {
        return std::nullopt;
    }
    // The server's word about a statement holds, also when it was its last. Only of COMMIT itself
    // a session's end says nothing.
    const bool answered = done.error && !done.error->sqlstate.empty();
    if (answered && (!done.lost || !done.error->fatal || done.results.size() < commits)) {
        auto failed = to_error(*done.error);
        if (failed.code == errc::internal ||
            (failed.reason == missing_right && owner.is_missing_right_due())) {
            base::log_error("postgres", "statement refused",
                            {{"sqlstate", done.error->sqlstate}, {"text", done.error->message}});
        }
        return failed;
    }
    if (done.sent && commits != never) {
        return base::error{errc::unknown_outcome,
                           "the connection to the database was lost before it answered; repeat the "
                           "request to find out what became of it"};
    }
    if (owner.stopped()) {
        return base::error{errc::cancelled, "the service is stopping"};
    }
    return done.timed_out ? base::error{errc::timeout, "the database did not answer in time"}
                          : base::error{errc::unavailable,
                                        "the connection to the database was lost; try again"};
}

bool healthy(const execution& done) {
    return !done.lost && !(done.error && spoils_connection(*done.error));
}

void note_answer(pool& owner, const execution& done) {
    if (!done.lost) {
        owner.note_answer();
    }
}

awaitable<void> roll_back(lease& taken) {
    std::vector<statement> list{{rollback_text, nullptr}};
    const execution done = co_await taken->execute(
        std::move(list), std::chrono::steady_clock::now() + rollback_timeout);
    taken.healthy = done.ok();
}

awaitable<outcome> run_in_pool(std::shared_ptr<pool> owner, std::vector<query> queries,
                               base::steady_time deadline, bool in_block) {
    auto taken = co_await owner->acquire(deadline);
    if (!taken) {
        co_return fail(taken.error());
    }
    auto list = statements_of(queries);
    if (in_block) {
        list.insert(list.begin(), {begin_text, nullptr});
        list.push_back({commit_text, nullptr});
    }
    const std::size_t durable = in_block ? list.size() - 1 : list.size(); // else the Sync does
    const std::size_t commits = only_reads(queries) ? never : durable;
    execution done = co_await (*taken)->execute(std::move(list), deadline);
    taken->healthy = healthy(done);
    note_answer(*owner, done);
    const auto failed = explain(done, commits, *owner);
    if (failed && in_block && taken->healthy) {
        co_await roll_back(*taken);
    }
    if (failed) {
        co_return fail(*failed);
    }
    if (in_block) {
        done.results.erase(done.results.begin());
        done.results.pop_back();
    }
    co_return std::move(done.results);
}

awaitable<outcome> run_now(std::shared_ptr<pool> owner, std::vector<query> queries, bool in_block) {
    co_await ignore_cancellation();
    if (auto checked = check(queries); !checked) {
        co_return fail(checked.error());
    }
    const auto begun = std::chrono::steady_clock::now();
    const auto deadline = owner->deadline_of(timeout_of(queries));
    auto out = co_await run_in_pool(owner, std::move(queries), deadline, in_block);
    owner->count(out ? std::nullopt : std::optional(out.error()), begun);
    co_return out;
}

awaitable<base::result<rows>> run_one(std::shared_ptr<pool> owner, query q) {
    std::vector<query> list;
    list.push_back(std::move(q));
    auto out = co_await run_now(std::move(owner), std::move(list), false);
    if (!out) {
        co_return fail(out.error());
    }
    co_return std::move(out->front());
}

// The part of a transaction that outlives its handle while it is rolled back.
struct block {
    std::shared_ptr<pool> owner;
    lease taken;
    bool begun = false;
    bool wrote = false;   // a statement may have changed something
    bool ended = false;   // COMMIT was sent, or the session was lost
    bool spoiled = false; // the session is of no further use
    std::optional<base::error> failed = std::nullopt;
};

// `ends`: COMMIT follows the queries.
awaitable<outcome> run_in_block(std::shared_ptr<block> self, std::vector<query> queries,
                                bool ends) {
    co_await ignore_cancellation();
    if (self->failed || self->ended) {
        co_return fail(self->failed.value_or(
            base::error{errc::internal, "the transaction has ended already"}));
    }
    if (auto checked = check(queries); !checked) {
        self->failed = checked.error();
        co_return fail(checked.error());
    }
    self->ended = ends;
    if (ends && !self->begun) { // nothing was ever sent
        self->taken.healthy = true;
        co_return outcome{};
    }
    auto list = statements_of(queries);
    const std::size_t extra = self->begun ? 0 : 1;
    if (!self->begun) {
        list.insert(list.begin(), {begin_text, nullptr});
    }
    if (ends) {
        list.push_back({commit_text, nullptr});
    }
    self->begun = true;
    self->wrote = self->wrote || !only_reads(queries);
    const std::size_t commits = ends && self->wrote ? list.size() - 1 : never;
    execution done = co_await self->taken->execute(std::move(list),
                                                   self->owner->deadline_of(timeout_of(queries)));
    self->taken.healthy = ends && done.ok();
    note_answer(*self->owner, done);
    if (auto failed = explain(done, commits, *self->owner)) {
        self->failed = std::move(*failed);
        self->spoiled = !healthy(done);
        self->ended = self->ended || done.lost;
        co_return fail(*self->failed);
    }
    done.results.erase(done.results.begin(),
                       done.results.begin() + static_cast<std::ptrdiff_t>(extra));
    co_return std::move(done.results);
}

awaitable<void> end_block(std::shared_ptr<block> self) {
    co_await ignore_cancellation();
    if (!self->begun) {
        self->taken.healthy = true;
    } else if (!self->spoiled && !self->taken.healthy) {
        co_await roll_back(self->taken);
    }
}

class pooled_transaction final : public transaction {
public:
    explicit pooled_transaction(std::shared_ptr<block> state)
        : strand_(state->owner->executor()), state_(std::move(state)) {}
    ~pooled_transaction() override {
        asio::co_spawn(strand_, end_block(std::move(state_)), asio::detached);
    }

    awaitable<base::result<rows>> run(query q) override {
        std::vector<query> list;
        list.push_back(std::move(q));
        auto out = co_await on_strand(std::move(list), false);
        if (!out) {
            co_return fail(out.error());
        }
        co_return std::move(out->front());
    }
    awaitable<outcome> run_all(std::vector<query> queries) override {
        return on_strand(std::move(queries), false);
    }
    awaitable<base::status> commit() override {
        const auto out = co_await on_strand({}, true);
        co_return out ? base::status{} : fail(out.error());
    }

private:
    awaitable<outcome> on_strand(std::vector<query> queries, bool ends) {
        return asio::co_spawn(strand_, run_in_block(state_, std::move(queries), ends),
                              runtime::uncancelled());
    }

    strand strand_;
    std::shared_ptr<block> state_;
};

awaitable<base::result<std::unique_ptr<transaction>>> begin_block(std::shared_ptr<pool> owner) {
    co_await ignore_cancellation();
    auto taken = co_await owner->acquire(owner->deadline_of(milliseconds(0)));
    if (!taken) {
        co_return fail(taken.error());
    }
    auto state = std::make_shared<block>(block{owner, std::move(*taken)});
    co_return std::make_unique<pooled_transaction>(std::move(state));
}

awaitable<void> stop_pool(std::shared_ptr<pool> owner) {
    co_await ignore_cancellation();
    co_await owner->stop(stop_grace);
}

class pooled_database final : public database {
public:
    explicit pooled_database(std::shared_ptr<pool> owned) : pool_(std::move(owned)) {}
    ~pooled_database() override {
        pool_->detach_metrics();
        asio::post(pool_->executor(), [owner = pool_] { owner->abort_all(); });
    }

    awaitable<base::result<rows>> run(query q) override {
        return asio::co_spawn(pool_->executor(), run_one(pool_, std::move(q)),
                              runtime::uncancelled());
    }
    awaitable<outcome> run_all(std::vector<query> queries) override {
        return asio::co_spawn(pool_->executor(), run_now(pool_, std::move(queries), true),
                              runtime::uncancelled());
    }
    awaitable<base::result<std::unique_ptr<transaction>>> begin() override {
        return asio::co_spawn(pool_->executor(), begin_block(pool_), runtime::uncancelled());
    }
    [[nodiscard]] bool available() const override { return pool_->available(); }
    awaitable<void> stop() override {
        return asio::co_spawn(pool_->executor(), stop_pool(pool_), runtime::uncancelled());
    }

private:
    std::shared_ptr<pool> pool_;
};

} // namespace

query reading(sql_text text, arguments values) {
    return {text, std::move(values), milliseconds{0}, true};
}

std::unique_ptr<database> make_database(asio::any_io_executor executor, settings options,
                                        base::metrics& metrics) {
    return std::make_unique<pooled_database>(
        std::make_shared<pool>(std::move(executor), std::move(options), metrics));
}

} // namespace immortal::postgres
