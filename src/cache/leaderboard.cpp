#include "cache/leaderboard.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "cache/entry.hpp"
#include "cache/leaderboard_scripts.hpp"
#include "cache/scripts.hpp"

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <span>

namespace immortal::cache {

namespace {

constexpr std::size_t changes_chunk = 500; // in one script call
constexpr std::uint32_t limit_max = 1'000;
constexpr const char* build_life_s = "600"; // an abandoned build goes away by itself
constexpr std::size_t id_size = 16;
constexpr std::size_t position_size = 8;

std::string inverted(base::position p) {
    const std::uint64_t value = static_cast<std::uint64_t>(score_max) - p.value;
    std::string out(position_size, '\0');
    for (std::size_t i = 0; i < position_size; ++i) {
        out[i] = static_cast<char>((value >> (8 * (position_size - 1 - i))) & 0xff);
    }
    return out;
}

base::position position_of(std::string_view text) {
    std::uint64_t value = 0;
    for (const char c : text.substr(0, position_size)) {
        value = (value << 8) | static_cast<unsigned char>(c);
    }
    return {static_cast<std::uint64_t>(score_max) - value};
}

std::string bytes_of(const base::uuid& id) {
    return {id.bytes.begin(), id.bytes.end()};
}

std::string complement(const base::uuid& id) {
    std::string out = bytes_of(id);
    std::ranges::transform(out, out.begin(), [](char c) { return static_cast<char>(~c); });
    return out;
}

void add_changes(std::vector<std::string>& values, std::span<const score_change> changes) {
    for (const score_change& change : changes) {
        IMMORTAL_ASSERT(!change.score || (*change.score >= 0 && *change.score <= score_max));
        values.push_back(bytes_of(change.player));
        values.push_back(complement(change.player));
        values.push_back(change.score ? std::to_string(*change.score) : "-");
        values.push_back(inverted(change.position));
    }
}

base::error behind_error() {
    return {base::errc::behind, "The leaderboard is being brought up to date.", "board_behind"};
}

std::uint64_t number(const redis::reply& r) {
    return r.what == redis::reply::kind::integer ? static_cast<std::uint64_t>(r.integer)
                                                 : std::strtoull(r.text.c_str(), nullptr, 10);
}

board_row row_of(std::uint64_t rank, std::string_view member, const redis::reply& score) {
    board_row row;
    row.rank = rank;
    row.position = position_of(member);
    for (std::size_t i = 0; i < id_size; ++i) {
        row.player.bytes[i] = static_cast<std::uint8_t>(~member[position_size + i]);
    }
    row.score = static_cast<std::int64_t>(std::strtod(score.text.c_str(), nullptr));
    return row;
}

} // namespace

struct leaderboard::state {
    state(redis::client& redis_in, base::random_source& random_in, base::metrics& metrics,
          settings options_in)
        : redis(redis_in), random(random_in), options(std::move(options_in)),
          identity(wire::encode_identity(options.identity)), set("leaderboard:" + options.board),
          attempted(options.lanes),
          rebuilds(metrics.make_counter("immortal_cache_board_rebuilds_total",
                                        "Leaderboards rebuilt from SQL",
                                        {{"board", options.board}})),
          not_answered(metrics.make_counter("immortal_cache_board_misses_total",
                                            "Leaderboard reads left to SQL",
                                            {{"board", options.board}})) {
        IMMORTAL_ASSERT(options.lanes >= 1 && options.lanes <= lanes_max);
    }

    std::vector<std::string> live() const { return {set, set + ":players", set + ":meta"}; }
    std::vector<std::string> next() const {
        return {set + ":new", set + ":new:players", set + ":new:meta"};
    }
    std::vector<std::string> both() const {
        auto keys = live();
        std::ranges::copy(next(), std::back_inserter(keys));
        return keys;
    }
    std::vector<std::string> question(std::optional<base::position> after) const {
        return {identity, after ? std::to_string(after->value) : "-1",
                std::to_string(options.lanes), std::to_string(options.lease.count())};
    }
    // An error reply means that the keys are not what they should be: a rebuild puts it right.
    awaitable<base::result<redis::reply>> call(const redis::script& script,
                                               std::vector<std::string> keys,
                                               std::vector<std::string> values);
    awaitable<base::result<redis::reply>> ask(const redis::script& script,
                                              std::vector<std::string> keys,
                                              std::vector<std::string> values);
    awaitable<base::status> load_all(std::string generation, row_source source);
    void attempt(std::uint64_t lanes, base::position to);
    void doubt(bool is) {
        const std::lock_guard lock(mutex);
        doubtful = is;
    }

    redis::client& redis;
    base::random_source& random;
    const settings options;
    const std::string identity;
    const std::string set;
    std::mutex mutex;
    std::vector<base::position> attempted; // under mutex: per lane, what this process put there
    bool doubtful = false;                 // under mutex: the last update may be missing
    base::counter rebuilds;
    base::counter not_answered;
};

leaderboard::leaderboard(redis::client& redis, base::random_source& random, base::metrics& metrics,
                         settings settings)
    : state_(std::make_unique<state>(redis, random, metrics, std::move(settings))) {}

leaderboard::~leaderboard() = default;

awaitable<base::result<redis::reply>> leaderboard::state::call(const redis::script& script,
                                                               std::vector<std::string> keys,
                                                               std::vector<std::string> values) {
    auto answer = co_await redis.eval(script, std::move(keys), std::move(values));
    if (answer && answer->is_error()) {
        base::log_warning("cache", "a leaderboard is damaged",
                          {{"board", options.board}, {"error", answer->text}});
        co_return base::fail(behind_error());
    }
    co_return answer;
}

void leaderboard::state::attempt(std::uint64_t lanes, base::position to) {
    const std::lock_guard lock(mutex);
    for (std::size_t lane = 0; lane < options.lanes; ++lane) {
        if ((lanes >> lane & 1) != 0) {
            attempted[lane] = std::max(attempted[lane], to);
        }
    }
}

awaitable<base::status> leaderboard::update(score_batch batch) {
    state& s = *state_;
    IMMORTAL_ASSERT(batch.lanes != 0 && batch.from <= batch.to);
    IMMORTAL_ASSERT(s.options.lanes == lanes_max || batch.lanes >> s.options.lanes == 0);
    s.attempt(batch.lanes, batch.to);
    std::vector<std::string> lanes;
    for (std::size_t lane = 0; lane < s.options.lanes; ++lane) {
        if ((batch.lanes >> lane & 1) != 0) {
            lanes.push_back(std::to_string(lane));
        }
    }
    const std::span<const score_change> all(batch.changes);
    std::size_t at = 0;
    bool applied = true;
    do {
        const auto some = all.subspan(at, std::min(changes_chunk, all.size() - at));
        at += some.size();
        // Until all changes are there, the board does not claim to contain them.
        const base::position to = at == all.size() ? batch.to : batch.from;
        std::vector<std::string> values{s.identity, std::to_string(batch.from.value),
                                        std::to_string(to.value), std::to_string(lanes.size())};
        std::ranges::copy(lanes, std::back_inserter(values));
        add_changes(values, some);
        const auto answer = co_await s.call(scripts::board_update(), s.both(), std::move(values));
        if (!answer) {
            s.doubt(true);
            co_return base::fail(answer.error());
        }
        applied = applied && answer->integer == 1;
    } while (at < all.size());
    s.doubt(!applied);
    co_return applied ? base::status{} : base::fail(behind_error());
}

awaitable<base::status> leaderboard::state::load_all(std::string generation, row_source source) {
    for (;;) {
        const auto page = co_await source();
        if (!page) {
            co_return base::fail(page.error());
        }
        if (page->empty()) {
            co_return base::status{};
        }
        const std::span<const score_change> all(*page);
        for (std::size_t at = 0; at < all.size(); at += changes_chunk) {
            std::vector<std::string> values{generation, build_life_s};
            add_changes(values, all.subspan(at, std::min(changes_chunk, all.size() - at)));
            const auto answer = co_await call(scripts::board_load(), next(), std::move(values));
            if (!answer) {
                co_return base::fail(answer.error());
            }
            if (answer->integer != 1) {
                co_return base::fail(base::errc::conflict, "Another rebuild took over.");
            }
        }
    }
}

awaitable<base::status>
leaderboard::rebuild(std::function<awaitable<base::result<snapshot>>()> open) {
    state& s = *state_;
    const std::string generation = base::random_hex(s.random, 8);
    std::vector<std::string> values{s.identity, generation, build_life_s};
    const auto begun = co_await s.call(scripts::board_begin(), s.next(), std::move(values));
    if (!begun) {
        co_return base::fail(begun.error());
    }
    const auto source = co_await open();
    if (!source) {
        co_return base::fail(source.error());
    }
    IMMORTAL_ASSERT(source->positions.size() == s.options.lanes);
    auto loaded = co_await s.load_all(generation, source->next_page);
    if (!loaded) {
        co_return loaded;
    }
    std::vector<std::string> ends{generation};
    for (const base::position p : source->positions) {
        ends.push_back(std::to_string(p.value));
    }
    const auto finished = co_await s.call(scripts::board_finish(), s.both(), std::move(ends));
    if (!finished) {
        co_return base::fail(finished.error());
    }
    if (finished->integer != 1) {
        co_return base::fail(base::errc::conflict,
                             "Another rebuild took over, or an update was missed.");
    }
    s.doubt(false);
    s.rebuilds.add();
    co_return base::status{};
}

awaitable<base::result<redis::reply>> leaderboard::state::ask(const redis::script& script,
                                                              std::vector<std::string> keys,
                                                              std::vector<std::string> values) {
    bool in_doubt = false;
    {
        const std::lock_guard lock(mutex);
        in_doubt = doubtful;
    }
    if (in_doubt) {
        not_answered.add();
        co_return base::fail(behind_error());
    }
    auto answer = co_await call(script, std::move(keys), std::move(values));
    if (!answer || answer->items.size() < 4) {
        not_answered.add();
        co_return answer ? base::result<redis::reply>(base::fail(behind_error()))
                         : std::move(answer);
    }
    co_return answer;
}

awaitable<base::result<board_page>> leaderboard::top(std::uint32_t limit, std::uint64_t offset,
                                                     std::optional<base::position> after) {
    state& s = *state_;
    IMMORTAL_ASSERT(limit >= 1 && limit <= limit_max);
    std::vector<std::string> keys{s.set, s.set + ":meta", std::string(scripts::fresheners_key)};
    std::vector<std::string> values = s.question(after);
    const std::uint64_t first = std::min<std::uint64_t>(offset, std::uint64_t{1} << 53);
    values.push_back(std::to_string(first));
    values.push_back(std::to_string(first + limit - 1));
    const auto answer = co_await s.ask(scripts::board_top(), std::move(keys), std::move(values));
    if (!answer) {
        co_return base::fail(answer.error());
    }
    board_page page;
    page.as_of.value = number(answer->items[1]);
    page.total = number(answer->items[2]);
    const auto& rows = answer->items[3].items;
    for (std::size_t i = 0; i + 1 < rows.size(); i += 2) {
        if (rows[i].text.size() != position_size + id_size) {
            co_return base::fail(behind_error());
        }
        page.rows.push_back(row_of(first + i / 2 + 1, rows[i].text, rows[i + 1]));
    }
    co_return page;
}

awaitable<base::result<board_rank>> leaderboard::rank(base::uuid player,
                                                      std::optional<base::position> after) {
    state& s = *state_;
    std::vector<std::string> keys{s.set, s.set + ":meta", std::string(scripts::fresheners_key),
                                  s.set + ":players"};
    std::vector<std::string> values = s.question(after);
    values.push_back(bytes_of(player));
    values.push_back(complement(player));
    const auto answer = co_await s.ask(scripts::board_rank(), std::move(keys), std::move(values));
    if (!answer) {
        co_return base::fail(answer.error());
    }
    board_rank out;
    out.as_of.value = number(answer->items[1]);
    out.total = number(answer->items[2]);
    if (answer->items.size() == 6) {
        const std::string member = answer->items[5].text + complement(player);
        if (member.size() != position_size + id_size) {
            co_return base::fail(behind_error());
        }
        out.row = row_of(number(answer->items[3]) + 1, member, answer->items[4]);
    }
    co_return out;
}

awaitable<void> leaderboard::verify() {
    state& s = *state_;
    std::vector<std::string> known;
    {
        const std::lock_guard lock(s.mutex);
        for (const base::position p : s.attempted) {
            known.push_back(std::to_string(p.value));
        }
    }
    std::vector<std::string> keys{s.set + ":meta"};
    static_cast<void>(co_await s.call(scripts::board_verify(), std::move(keys), std::move(known)));
}

} // namespace immortal::cache
