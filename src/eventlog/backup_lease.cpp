#include "eventlog/backup_lease.hpp"

#include "base/assert.hpp"
#include "base/json.hpp"
#include "base/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace immortal::eventlog {
namespace {

namespace json = base::json;
using base::errc;
using base::fail;

constexpr std::string_view folder = "leases";
constexpr std::string_view suffix = ".json";
// Clocks are set by hand, by an hour at a time: a lease that is older than this is nobody's.
constexpr std::chrono::hours clock_error_max{1};
constexpr std::chrono::milliseconds look_interval_max{1000};
constexpr std::uint64_t generation_max = 9'999'999'999; // has ten digits
constexpr int looks_max = 100'000; // a whole day's lease is seen out with fewer

} // namespace

struct backup_lease::seen {
    std::uint64_t generation = 0;
    std::vector<std::byte> bytes;
    base::steady_time since{};
};

std::string backup_lease::name_of(std::uint64_t generation) {
    return fmt::format("{}/{:010}{}", folder, generation, suffix);
}

std::string backup_lease::text_of(const record& one) {
    return base::json_text(json::object{{"holder", one.holder},
                                        {"work", one.work},
                                        {"process", one.process},
                                        {"held", one.held},
                                        {"renewals", one.renewals},
                                        {"renewed", base::iso_text(one.renewed)},
                                        {"seconds", one.time.count()}});
}

// Empty: it cannot be read.
std::optional<backup_lease::record> backup_lease::parse(std::span<const std::byte> bytes) {
    const auto parsed =
        base::parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, 4);
    if (!parsed || !parsed->is_object()) {
        return std::nullopt;
    }
    const json::object& object = parsed->get_object();
    const auto text = [&](const char* key) {
        const json::value* value = object.if_contains(key);
        return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                      : std::string();
    };
    const json::value* held = object.if_contains("held");
    const json::value* seconds = object.if_contains("seconds");
    const auto renewed = base::parse_iso(text("renewed"));
    if (held == nullptr || !held->is_bool() || seconds == nullptr || !seconds->is_int64() ||
        seconds->get_int64() <= 0 || !renewed) {
        return std::nullopt;
    }
    constexpr std::int64_t time_max = std::chrono::seconds(std::chrono::hours(24)).count();
    return record{.holder = text("holder"),
                  .work = text("work"),
                  .process = text("process"),
                  .held = held->get_bool(),
                  .renewed = *renewed,
                  .time = std::chrono::seconds(std::min(seconds->get_int64(), time_max))};
}

// 0: nobody ever took one.
base::result<std::uint64_t> backup_lease::highest(backup_target& target) {
    const auto leases = target.list(std::string(folder));
    if (!leases) {
        return fail(leases.error());
    }
    std::uint64_t out = 0;
    for (const auto& lease : *leases) {
        const std::string_view digits = std::string_view(lease.name).substr(folder.size() + 1);
        std::uint64_t generation = 0;
        (void)std::from_chars(digits.data(), digits.data() + digits.size(), generation);
        if (generation <= generation_max && lease.name == name_of(generation)) {
            out = std::max(out, generation);
        }
    }
    return out;
}

// How that generation stands. Held: it is to be looked at again, after a wait.
base::result<backup_lease::standing> backup_lease::look(backup_target& target, base::clock& clock,
                                                        std::uint64_t generation,
                                                        const lease_options& options, seen& known) {
    if (generation == 0) {
        return standing::free;
    }
    const auto bytes = target.get(name_of(generation));
    if (!bytes && bytes.error().code == errc::not_found) {
        return standing::held; // a higher one is there
    }
    if (!bytes) { // what is no file was made by nobody who takes leases
        return bytes.error().code == errc::corrupt ? base::result<standing>(standing::free)
                                                   : fail(bytes.error());
    }
    const auto holder = parse(*bytes);
    if (!holder) {
        return standing::unreadable;
    }
    if (!holder->held || clock.now() > holder->renewed + holder->time + clock_error_max) {
        return standing::free;
    }
    if (options.is_gone && !holder->process.empty() && options.is_gone(holder->process)) {
        base::log_warning("eventlog", "a lease is taken over whose holder has ended",
                          {{"holder", holder->holder}, {"work", holder->work}});
        return standing::free;
    }
    return wait(clock, generation, *bytes, *holder, options, known);
}

// For a sign of life of the holder of that generation, of which `bytes` were read.
base::result<backup_lease::standing>
backup_lease::wait(base::clock& clock, std::uint64_t generation, std::span<const std::byte> bytes,
                   const record& holder, const lease_options& options, seen& known) {
    const bool is_first_look = known.generation == 0;
    const bool lives = !is_first_look &&
                       (known.generation != generation || !std::ranges::equal(known.bytes, bytes));
    if (!options.wait || lives) {
        return fail(errc::already_exists,
                    fmt::format("{} by {} is under way in this folder: try again when it has ended",
                                holder.work, holder.holder),
                    "in_use");
    }
    if (is_first_look) {
        known = {generation, {bytes.begin(), bytes.end()}, clock.steady_now()};
    }
    if (clock.steady_now() - known.since >= holder.time) {
        base::log_warning("eventlog", "a lease is taken over whose holder is gone",
                          {{"holder", holder.holder}, {"work", holder.work}});
        return standing::free;
    }
    const auto interval = std::min(
        look_interval_max, std::chrono::duration_cast<std::chrono::milliseconds>(holder.time) / 4);
    if (!options.wait(interval, holder.holder)) {
        return fail(errc::cancelled, "waiting for the folder's lease was given up");
    }
    return standing::held;
}

// Makes the generation after one that stood as `before`. False: somebody else has it, or a later
// one, or the one before.
base::result<bool> backup_lease::make(backup_target& target, const record& own,
                                      std::uint64_t generation, standing before) {
    IMMORTAL_ASSERT(own.held && generation > 0 && before != standing::held);
    const std::string name = name_of(generation);
    const std::string text = text_of(own);
    const auto made = target.create(name, std::as_bytes(std::span(text)));
    if (!made && made.error().code == errc::already_exists) {
        return false;
    }
    if (!made) {
        return fail(made.error());
    }
    const auto now = highest(target);
    // A later one: this one had been removed because of it.
    bool is_held = now && *now == generation;
    if (is_held && before == standing::unreadable) {
        const auto again = target.get(name_of(generation - 1));
        is_held = !again || !parse(*again); // its maker has written it meanwhile
    }
    if (is_held) {
        return true;
    }
    const auto removed = target.remove(name);
    if (!now || !removed) {
        return fail(now ? removed.error() : now.error());
    }
    return false;
}

// What others left behind: their leases, and what they were storing when they were interrupted.
base::status backup_lease::clean_up(backup_target& target, std::uint64_t last) {
    constexpr std::uint64_t generations_max = 16; // more are there only if somebody made them
    base::status done;
    for (std::uint64_t old = last; done && old > 0 && old + generations_max > last; --old) {
        done = target.remove(name_of(old));
        done = !done && done.error().code == errc::corrupt ? base::status{} : done; // it stays
    }
    for (const char* each : {"blobs", "manifests", "leases", "unneeded"}) {
        done = done ? target.remove_unfinished(each) : done;
    }
    return done;
}

base::result<backup_lease> backup_lease::take(backup_target& target, base::clock& clock,
                                              std::string work, const lease_options& options) {
    IMMORTAL_ASSERT(options.time.count() > 0);
    seen known;
    for (int attempt = 0; attempt < looks_max; ++attempt) {
        const auto before = highest(target);
        const auto stands = before ? look(target, clock, *before, options, known)
                                   : base::result<standing>(fail(before.error()));
        if (!stands) {
            return fail(stands.error());
        }
        if (*stands == standing::held) {
            continue;
        }
        if (*before == generation_max) {
            return fail(errc::unavailable, name_of(*before) +
                                               " has the highest number that there is: remove it "
                                               "when nobody works in the folder");
        }
        record own{.holder = options.holder,
                   .work = work,
                   .process = options.process,
                   .held = true,
                   .renewals = 0,
                   .renewed = clock.now(),
                   .time = options.time};
        const auto made = make(target, own, *before + 1, *stands);
        if (!made) {
            return fail(made.error());
        }
        if (!*made) {
            continue;
        }
        backup_lease taken(target, clock, std::move(own), *before + 1, options.is_stopped);
        if (auto cleaned = clean_up(target, *before); !cleaned) {
            taken.release();
            return fail(std::move(cleaned.error()));
        }
        return taken;
    }
    return fail(errc::already_exists, "others take the folder's lease again and again", "in_use");
}

base::status backup_lease::check() {
    const auto now = highest(*target_);
    if (!now) {
        return fail(now.error());
    }
    if (*now != generation_) {
        return fail(errc::conflict,
                    fmt::format("the lease of this {} was taken over, because it had not been "
                                "renewed for {} s: start it again",
                                own_.work, own_.time.count()),
                    "lease_lost");
    }
    return {};
}

base::status backup_lease::write() {
    const std::string text = text_of(own_);
    auto done = target_->put(name_of(generation_), std::as_bytes(std::span(text)));
    kept_ = done ? clock_->steady_now() : kept_;
    return done;
}

base::status backup_lease::keep() {
    if (is_stopped_ && is_stopped_()) {
        return fail(errc::cancelled, own_.work + " was stopped before its end");
    }
    if (clock_->steady_now() - kept_ < own_.time / 4) {
        return {};
    }
    IMMORTAL_ASSERT(own_.held && generation_ > 0);
    auto held = check();
    if (!held) {
        return held;
    }
    ++own_.renewals;
    own_.renewed = clock_->now();
    return write();
}

void backup_lease::release() {
    own_.held = false;
    const auto held = check();
    if (!held && held.error().reason == "lease_lost") {
        return;
    }
    auto done = write();
    done = done ? done : target_->put(name_of(generation_), {}); // needs no room, and is nobody's
    if (!done) {
        base::log_warning("eventlog", "a lease could not be given back",
                          {{"cause", done.error().message}});
    }
}

} // namespace immortal::eventlog
