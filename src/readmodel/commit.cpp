// Writing one batch, whatever happens to the connection meanwhile.
#include "base/log.hpp"
#include "readmodel/dead_letters.hpp"
#include "readmodel/session.hpp"
#include "runtime/deadline.hpp"

namespace immortal::readmodel {

namespace {

// The rows themselves are at fault; repeating the statement would fail again.
bool is_data_error(base::errc code) {
    return code == base::errc::invalid_argument || code == base::errc::already_exists ||
           code == base::errc::not_found;
}

awaitable<base::result<std::vector<statistics_totals>>>
write_once(projector_context& context, const prepared_batch& batch,
           const std::vector<lease>& leases) {
    if (!context.step("commit")) {
        co_return base::fail(base::errc::unavailable, "planted: lost before the transaction");
    }
    auto done = co_await context.uses.database.run_all(
        statements_of(batch, leases, context.settings.lease_time));
    if (done && !context.step("committed")) {
        co_return base::fail(base::errc::unknown_outcome, "planted: lost after the transaction");
    }
    if (!done) {
        co_return base::fail(std::move(done.error()));
    }
    co_return totals_of(batch, *done);
}

// After an unknown outcome or a lost fence: did it happen?
awaitable<std::optional<fence_state>>
resolve(projector_context& context, const prepared_batch& batch, const std::vector<lease>& leases) {
    milliseconds wait = context.settings.retry_min;
    for (;;) {
        if (context.step("resolve")) {
            const auto found = co_await read_fence(context.uses.database, leases, batch.to);
            if (found) {
                co_return *found;
            }
            context.set_trouble("The read model waits for PostgreSQL: " + found.error().message);
        }
        if (!co_await context.back_off(wait)) {
            co_return std::nullopt;
        }
    }
}

} // namespace

awaitable<commit_result> commit_batch(projector_context& context, const prepared_batch& batch,
                                      const std::vector<lease>& leases) {
    milliseconds wait = context.settings.retry_min;
    for (;;) {
        auto done = co_await write_once(context, batch, leases);
        if (done) {
            context.set_trouble({});
            co_return commit_result{commit_outcome::committed, {}, std::move(*done)};
        }
        const base::errc code = done.error().code;
        if (is_data_error(code)) {
            co_return commit_result{commit_outcome::refused, done.error().message, {}};
        }
        if (code == base::errc::cancelled) {
            co_return commit_result{commit_outcome::stopped, {}, {}};
        }
        context.retries.add();
        if (code == base::errc::unknown_outcome || code == base::errc::conflict) {
            const auto state = co_await resolve(context, batch, leases);
            if (!state) {
                co_return commit_result{commit_outcome::stopped, {}, {}};
            }
            if (*state == fence_state::moved) {
                context.set_trouble({});
                co_return commit_result{commit_outcome::committed, {}, {}};
            }
            if (*state == fence_state::lost) {
                co_return commit_result{commit_outcome::fence_lost, {}, {}};
            }
        } else {
            context.set_trouble("The read model waits for PostgreSQL: " + done.error().message);
        }
        if (!co_await context.back_off(wait)) {
            co_return commit_result{commit_outcome::stopped, {}, {}};
        }
    }
}

awaitable<base::status> replay_owner(projector_context& context, const std::vector<lease>& leases,
                                     base::uuid owner) {
    std::optional<base::position> until;
    for (const lease& one : leases) {
        if (one.partition == partition_of(owner)) {
            until = one.position;
        }
    }
    auto parked = co_await load_parking(context.uses.database, partitions_of(leases));
    if (!parked) {
        co_return base::fail(std::move(parked.error()));
    }
    parked->owners.erase(owner);
    parked->only = owner;
    batch_builder builder(context.uses.store, context.uses.catalog,
                          {{partition_of(owner), 0, std::nullopt}}, std::move(*parked),
                          context.settings.folds_max);
    base::position from;
    bool end = !until;
    while (!end) {
        auto page = co_await context.uses.store.read_all(from, eventlog::direction::forwards,
                                                         context.settings.batch_events_max);
        if (!page) {
            co_return base::fail(std::move(page.error()));
        }
        end = page->end;
        from = page->next;
        std::erase_if(page->events, [&](const auto& e) { return e.position > *until; });
        end = end || from > *until;
        if (auto added = co_await builder.add(std::move(page->events)); !added) {
            co_return added;
        }
    }
    prepared_batch rows = builder.reached() ? builder.take() : prepared_batch{};
    rows.replaced = {owner};
    std::vector<postgres::query> statements;
    statements.push_back(fence_query(leases, std::nullopt, context.settings.lease_time));
    for (postgres::query& q : row_statements_of(rows)) {
        statements.push_back(std::move(q));
    }
    const auto done = co_await context.uses.database.run_all(std::move(statements));
    if (!done) {
        co_return base::fail(done.error());
    }
    base::log_info("readmodel", "rows of one owner made again from the log",
                   {{"owner", owner.text()}, {"parked_again", !rows.parked.empty()}});
    if (context.fresh != nullptr) {
        rows.to = until.value_or(base::position{});
        co_await context.fresh->push(std::move(rows), {}, {});
    }
    co_return base::status{};
}

std::vector<std::int64_t> partitions_of(const std::vector<lease>& leases) {
    std::vector<std::int64_t> out;
    for (const lease& one : leases) {
        out.push_back(static_cast<std::int64_t>(one.partition));
    }
    return out;
}

} // namespace immortal::readmodel
