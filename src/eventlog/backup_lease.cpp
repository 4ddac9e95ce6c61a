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
                                        {"held", one.held},
                                        {"renewals", one.renewals},
                                        {"renewed", base::iso_text(one.renewed)},
                                        {"seconds", one.time.count()}});
}

// One that cannot be read is being made, or its maker died on the way: it is held, by whoever it
// is, for as long as one's own lease would be.
backup_lease::record backup_lease::parse(std::span<const std::byte> bytes,
                                         std::chrono::seconds time) {
    record out{.holder = "an unknown process", .work = "a backup", .held = true, .time = time};
    out.renewed = base::utc_time::max();
    const auto parsed =
        base::parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, 4);
    if (!parsed || !parsed->is_object()) {
        return out;
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
        return out;
    }
    out.holder = text("holder");
    out.work = text("work");
    out.held = held->get_bool();
    out.renewed = *renewed;
    constexpr std::int64_t time_max = std::chrono::seconds(std::chrono::hours(24)).count();
    out.time = std::chrono::seconds(std::min(seconds->get_int64(), time_max));
    return out;
}

// 0: nobody ever took one.
base::result<std::uint64_t> backup_lease::highest(backup_target& target) {
    const auto leases = target.list(std::string(folder));
    if (!leases) {
        return fail(leases.error());
    }
    std::uint64_t out = 0;
    for (const auto& lease : *leases) {
        std::string_view digits = std::string_view(lease.name).substr(folder.size() + 1);
        std::uint64_t generation = 0;
        const bool is_lease = digits.ends_with(suffix);
        digits.remove_suffix(is_lease ? suffix.size() : 0);
        const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), generation);
        if (is_lease && read.ec == std::errc() && read.ptr == digits.data() + digits.size()) {
            out = std::max(out, generation);
        }
    }
    return out;
}

// Whether nobody holds that generation. False: it is to be looked at again, after a wait.
base::result<bool> backup_lease::is_free(backup_target& target, base::clock& clock,
                                         std::uint64_t generation, const lease_options& options,
                                         seen& known) {
    if (generation == 0) {
        return true;
    }
    const auto bytes = target.get(name_of(generation));
    if (!bytes) {
        return bytes.error().code == errc::not_found ? base::result<bool>(false)
                                                     : fail(bytes.error());
    }
    const record holder = parse(*bytes, options.time);
    if (!holder.held || (holder.renewed != base::utc_time::max() &&
                         clock.now() > holder.renewed + holder.time + clock_error_max)) {
        return true;
    }
    const auto refuse = [&] {
        return fail(errc::already_exists,
                    fmt::format("{} by {} is under way in this folder: try again when it has ended",
                                holder.work, holder.holder),
                    "in_use");
    };
    const bool is_first_look = known.generation == 0;
    if (!options.wait ||
        (!is_first_look && (known.generation != generation || known.bytes != *bytes))) {
        return refuse(); // it lives
    }
    if (is_first_look) {
        known = {generation, *bytes, clock.steady_now()};
    }
    if (clock.steady_now() - known.since >= holder.time) {
        base::log_warning("eventlog", "a lease is taken over whose holder is gone",
                          {{"holder", holder.holder}, {"work", holder.work}});
        return true;
    }
    const auto interval = std::min(
        look_interval_max, std::chrono::duration_cast<std::chrono::milliseconds>(holder.time) / 4);
    if (!options.wait(interval, holder.holder)) {
        return fail(errc::cancelled, "waiting for the folder's lease was given up");
    }
    return false;
}

// Makes the generation. False: somebody else has it, or a later one.
base::result<bool> backup_lease::make(backup_target& target, const record& own,
                                      std::uint64_t generation) {
    IMMORTAL_ASSERT(own.held && generation > 0);
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
    if (!now) {
        return fail(now.error());
    }
    if (*now == generation) {
        return true;
    }
    // There is a later one: this one had been removed because of it.
    const auto removed = target.remove(name);
    return removed ? base::result<bool>(false) : fail(removed.error());
}

// What others left behind: their leases, and what they were storing when they were interrupted.
base::status backup_lease::clean_up(backup_target& target, std::uint64_t last) {
    constexpr std::uint64_t generations_max = 16; // more are there only if somebody made them
    base::status done;
    for (std::uint64_t old = last; done && old > 0 && old + generations_max > last; --old) {
        done = target.remove(name_of(old));
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
        const auto free = before ? is_free(target, clock, *before, options, known)
                                 : base::result<bool>(fail(before.error()));
        if (!free) {
            return fail(free.error());
        }
        if (!*free) {
            continue;
        }
        record own{.holder = options.holder,
                   .work = work,
                   .held = true,
                   .renewals = 0,
                   .renewed = clock.now(),
                   .time = options.time};
        const auto made = make(target, own, *before + 1);
        if (!made) {
            return fail(made.error());
        }
        if (!*made) {
            continue;
        }
        if (auto cleaned = clean_up(target, *before); !cleaned) {
            return fail(std::move(cleaned.error()));
        }
        return backup_lease(target, clock, std::move(own), *before + 1);
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
    auto done = check();
    done = done ? write() : done;
    if (!done && done.error().reason != "lease_lost") {
        base::log_warning("eventlog", "a lease could not be given back",
                          {{"cause", done.error().message}});
    }
}

} // namespace immortal::eventlog
