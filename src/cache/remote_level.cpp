#include "cache/remote_level.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "cache/scripts.hpp"

#include <algorithm>
#include <array>

namespace immortal::cache {

namespace {

constexpr std::size_t freshen_chunk = 128; // entries in one script call
constexpr std::int64_t pause_ms_min = 50;
constexpr std::int64_t pause_ms_max = 1'000;
constexpr milliseconds ttl_min{10};

std::string text(std::string_view view) {
    return std::string(view);
}
std::string text(milliseconds duration) {
    return std::to_string(duration.count());
}

bool is_array(const redis::reply& r, std::size_t size) {
    return r.what == redis::reply::kind::array && r.items.size() == size;
}

std::vector<std::string> lease_keys() {
    return {text(scripts::generation_key), text(scripts::fresheners_key),
            text(scripts::sequences_key)};
}

} // namespace

remote_level::remote_level(redis::client& redis, const base::clock& clock,
                           base::random_source& random, base::metrics& metrics,
                           const settings& options)
    : redis_(redis), clock_(clock), random_(random), options_(options),
      identity_(wire::encode_identity(options.identity)), sender_(base::random_hex(random, 6)),
      errors_(
          metrics.make_counter("immortal_cache_redis_errors_total", "Calls to Redis that failed")),
      missed_writes_(metrics.make_counter("immortal_cache_missed_writes_total",
                                          "Freshenings that may not have reached Redis")),
      renewals_(metrics.make_counter("immortal_cache_generations_total",
                                     "New generations made by this process")),
      discarded_(metrics.make_counter("immortal_cache_discarded_total",
                                      "Entries in Redis that failed their check")),
      // Greater than in any earlier life of this process, so that a late write of that life, or an
      // older dump, never looks like this one's.
      sequence_(static_cast<std::uint64_t>(clock.now().time_since_epoch().count())) {}

bool remote_level::trusted() const {
    return !freshens() || healed_.load() == missed_.load();
}

bool remote_level::paused() const {
    return clock_.steady_now().time_since_epoch().count() < pause_until_.load();
}

bool remote_level::usable() const {
    return trusted() && !paused();
}

void remote_level::pause() {
    const std::int64_t next = std::clamp(pause_ms_.load() * 2, pause_ms_min, pause_ms_max);
    pause_ms_.store(next);
    pause_until_.store((clock_.steady_now() + milliseconds(next)).time_since_epoch().count());
    error_count_.fetch_add(1);
    errors_.add();
}

void remote_level::failed(const base::error& e) {
    if (pause_ms_.load() == 0) {
        base::log_warning("cache", "Redis does not answer; going on without it",
                          {{"error", e.message}});
    }
    pause();
}

void remote_level::failed(const redis::reply& r) {
    base::log_warning("cache", "Redis refused a call; going on without it", {{"error", r.text}});
    pause();
}

void remote_level::note_missed() {
    missed_.fetch_add(1);
    missed_writes_.add();
}

awaitable<std::optional<redis::reply>> remote_level::call(const redis::script& script,
                                                          std::vector<std::string> keys,
                                                          std::vector<std::string> values) {
    auto answer = co_await redis_.eval(script, std::move(keys), std::move(values));
    if (!answer) {
        failed(answer.error());
        co_return std::nullopt;
    }
    if (answer->is_error()) {
        failed(*answer);
        co_return std::nullopt;
    }
    if (pause_ms_.exchange(0) != 0) {
        base::log_info("cache", "Redis answers again");
    }
    co_return std::move(*answer);
}

std::string remote_level::ttl_text(const key& where, const entry& value) {
    const cache_class& c = where.what();
    const milliseconds ttl =
        std::max(value.absent ? std::min(c.negative_ttl, c.ttl) : c.ttl, ttl_min);
    // 90 % to 110 %: what was filled together does not expire together.
    const auto permille = static_cast<std::int64_t>(900 + random_.next() % 201);
    return std::to_string(ttl.count() * permille / 1000);
}

std::string remote_level::message(invalidation::kind what) {
    return encode(invalidation{sender_, what, {}});
}

void remote_level::remember_generation(const std::string& generation) {
    const std::lock_guard lock(mutex_);
    generation_ = generation;
}

remote_level::write_number remote_level::next_write() {
    const std::uint64_t least = acknowledged_.load();
    return {least, sequence_.fetch_add(1) + 1};
}

void remote_level::acknowledged(const write_number& n) {
    std::uint64_t seen = acknowledged_.load();
    while (seen < n.own && !acknowledged_.compare_exchange_weak(seen, n.own)) {
    }
}

awaitable<remote_level::found> remote_level::lookup(const key& where,
                                                    std::optional<base::position> after) {
    const cache_class& c = where.what();
    std::vector<std::string> names{where.text(), scripts::ticket_key(where.text()),
                                   text(scripts::generation_key), text(scripts::fresheners_key),
                                   text(scripts::sequences_key)};
    std::vector<std::string> values{base::random_hex(random_, wire::generation_size / 2),
                                    text(options_.lease),
                                    identity_,
                                    after ? std::to_string(after->value) : "-1",
                                    base::random_hex(random_, 8),
                                    text(options_.ticket_ttl),
                                    text(c.ttl / 10),
                                    options_.freshener,
                                    std::to_string(acknowledged_.load()),
                                    text(std::min(c.negative_ttl, c.ttl) / 10)};
    const auto answer = co_await call(scripts::lookup(), std::move(names), std::move(values));
    if (!answer || !is_array(*answer, 4)) {
        co_return found{};
    }
    found out;
    out.generation = answer->items[0].text;
    out.ticket = answer->items[3].text;
    remember_generation(out.generation);
    if (answer->items[1].text == "lost") {
        note_missed();
        co_return out;
    }
    const redis::reply& bytes = answer->items[2];
    if (bytes.is_nil() || !trusted()) {
        co_return out;
    }
    auto parsed = wire::decode(where.text(), bytes.text);
    if (!parsed) {
        discarded_.add();
        base::log_warning("cache", "an entry in Redis failed its check and is discarded",
                          {{"key", where.text()}});
        std::vector<std::string> keys{where.text()};
        std::vector<std::string> start{bytes.text.substr(0, wire::header_size)};
        co_await call(scripts::discard(), std::move(keys), std::move(start));
        co_return found{};
    }
    out.value = std::move(parsed->value);
    co_return out;
}

awaitable<bool> remote_level::fill(const key& where, const entry& value, const found& from) {
    if (from.ticket.empty() || paused()) {
        co_return false;
    }
    std::vector<std::string> names{where.text(), scripts::ticket_key(where.text()),
                                   text(scripts::generation_key)};
    std::vector<std::string> values{from.ticket, from.generation,
                                    wire::encode(where.text(), options_.identity, value, false),
                                    ttl_text(where, value)};
    const auto answer = co_await call(scripts::fill(), std::move(names), std::move(values));
    co_return answer && answer->integer == 1;
}

awaitable<bool> remote_level::freshen_some(std::span<const fresh_entry> changes) {
    const write_number number = next_write();
    invalidation told{sender_, invalidation::kind::changed, {}};
    std::vector<std::string> names = lease_keys();
    std::vector<std::string> values{options_.freshener,           text(options_.lease),
                                    std::to_string(number.least), std::to_string(number.own),
                                    text(invalidation_channel),   {}};
    for (const fresh_entry& change : changes) {
        const bool mark = change.where.what().write == write_strategy::back;
        told.add(change.where, change.value.position);
        names.push_back(change.where.text());
        names.push_back(scripts::ticket_key(change.where.text()));
        values.emplace_back(mark ? "mark" : "set");
        values.push_back(wire::encode(change.where.text(), options_.identity, change.value, mark));
        values.push_back(ttl_text(change.where, change.value));
    }
    values[5] = encode(told);
    const auto answer = co_await call(scripts::freshen(), std::move(names), std::move(values));
    if (!answer || !is_array(*answer, 3) || answer->items[0].integer != 1) {
        co_return false;
    }
    acknowledged(number);
    remember_generation(answer->items[1].text);
    co_return true;
}

awaitable<void> remote_level::freshen(std::span<const fresh_entry> changes) {
    IMMORTAL_ASSERT(freshens());
    // Untrusted, nothing is lost by leaving it: the renewal will make all entries worthless.
    if (!usable()) {
        note_missed();
        co_return;
    }
    for (std::size_t at = 0; at < changes.size(); at += freshen_chunk) {
        const auto some = changes.subspan(at, std::min(freshen_chunk, changes.size() - at));
        if (!co_await freshen_some(some)) {
            note_missed();
            co_return;
        }
    }
}

awaitable<void> remote_level::beat() {
    if (paused()) {
        co_return;
    }
    const write_number number = next_write();
    std::vector<std::string> values{options_.freshener,
                                    text(options_.lease),
                                    std::to_string(number.least),
                                    std::to_string(number.own),
                                    text(invalidation_channel),
                                    message(invalidation::kind::alive),
                                    text(scripts::forgotten_after_ms)};
    const auto answer = co_await call(scripts::beat(), lease_keys(), std::move(values));
    if (!answer || !is_array(*answer, 2) || answer->items[0].integer != 1) {
        note_missed();
        co_return;
    }
    acknowledged(number);
    remember_generation(answer->items[1].text);
}

awaitable<bool> remote_level::renew() {
    if (renewing_.exchange(true)) {
        co_return false;
    }
    const struct guard {
        std::atomic<bool>& flag;
        ~guard() { flag.store(false); }
    } at_end{renewing_};
    const std::uint64_t seen = missed_.load();
    const write_number number = next_write();
    std::string generation = base::random_hex(random_, wire::generation_size / 2);
    std::vector<std::string> values{generation,
                                    options_.freshener,
                                    std::to_string(number.own),
                                    text(invalidation_channel),
                                    message(invalidation::kind::renewed),
                                    text(scripts::forgotten_after_ms)};
    const auto answer = co_await call(scripts::renew(), lease_keys(), std::move(values));
    if (!answer) {
        co_return false;
    }
    acknowledged(number);
    remember_generation(generation);
    healed_.store(seen);
    renewals_.add();
    base::log_info("cache", "new generation: what Redis held before is not served any more",
                   {{"generation", generation}});
    co_return true;
}

awaitable<void> remote_level::release() {
    if (!freshens() || !usable()) {
        co_return;
    }
    redis::command give_back{"ZREM", text(scripts::fresheners_key), options_.freshener};
    static_cast<void>(co_await redis_.run(std::move(give_back)));
}

void remote_level::report(health_report& into) const {
    into.redis_available = redis_.available() && !paused();
    into.redis_trusted = usable();
    into.missed = missed_.load() - 1;
    into.errors = error_count_.load();
    const std::lock_guard lock(mutex_);
    into.generation = generation_;
}

} // namespace immortal::cache
