#include "esdb/group_storage.hpp"

#include "base/json.hpp"
#include "base/log.hpp"
#include "eventlog/stream_metadata.hpp"
#include "runtime/deadline.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace immortal::esdb {
namespace {

namespace json = boost::json;
using eventlog::expected_revision;
using eventlog::stream_write;
using eventstore::direction;

constexpr char checkpoint_type[] = "SubscriptionCheckpoint";
constexpr char admin_access[] =
    R"("$acl":{"$r":"$admins","$w":"$admins","$d":"$admins","$mr":"$admins","$mw":"$admins"})";
constexpr int attempts_max = 10; // of an append
// Short: a stop waits for what is under way.
constexpr std::chrono::milliseconds attempt_limit{2'000};
constexpr std::chrono::milliseconds attempt_pause{200};

bool may_come_yet(const base::error& refusal) {
    return refusal.code == base::errc::unknown_outcome ||
           (refusal.code == base::errc::unavailable && refusal.reason == "deadline");
}

std::vector<stream_write> to_stream(std::string stream, std::vector<eventstore::new_event> events) {
    std::vector<stream_write> writes;
    writes.push_back({std::move(stream), expected_revision::any(), std::move(events)});
    return writes;
}

} // namespace

awaitable<base::result<eventstore::append_outcome>>
append_surely(group_services services, std::vector<stream_write> writes) {
    base::result<eventstore::append_outcome> outcome =
        base::fail(base::errc::unavailable, "The server stops.");
    for (int attempt = 1; attempt <= attempts_max && !services.writing->over(); ++attempt) {
        auto answer = co_await services.store.append(
            writes, {.limit = std::min(attempt_limit, services.writing->left())});
        const bool doubtful = !outcome && outcome.error().code == base::errc::unknown_outcome;
        if (answer || !doubtful || answer.error().code != base::errc::unavailable) {
            outcome =
                std::move(answer); // else an attempt before may have been written all the same
        }
        if (outcome || !may_come_yet(outcome.error()) || attempt == attempts_max ||
            !co_await runtime::wait_for(std::min(attempt_pause, services.writing->left()))) {
            break;
        }
    }
    co_return outcome;
}

group_storage::group_storage(group_services services, const std::string& key, bool of_all)
    : services_(services), of_all_(of_all), checkpoints_(checkpoint_stream(key)),
      parked_(parked_stream(key)) {}

eventstore::new_event group_storage::make_event(std::string type, std::string data,
                                                std::string metadata) const {
    return {base::uuid::make_random(services_.random), std::move(type), std::move(data),
            std::move(metadata), eventlog::content::json};
}

awaitable<base::status> group_storage::write_metadata(std::string stream, std::string text) {
    std::vector<eventstore::new_event> events;
    events.push_back(make_event(eventlog::metadata_type, std::move(text), {}));
    const auto written = co_await append_surely(
        services_, to_stream(eventlog::metadata_stream_of(stream), std::move(events)));
    co_return written ? base::status{} : base::fail(written.error());
}

void group_storage::complain(const std::string& stream, std::string_view why) const {
    base::log_error("esdb",
                    "a stream of a persistent subscription cannot be used and counts as empty: "
                    "events may be delivered again. If it is tombstoned, delete the group and make "
                    "it again under another name, because nothing can be kept in it",
                    {{"stream", stream}, {"why", why}});
}

awaitable<base::result<std::optional<std::uint64_t>>> group_storage::load_checkpoint() {
    const auto last = co_await services_.store.read_stream(
        checkpoints_, eventlog::tombstone_revision, direction::backwards, 1);
    if (!last && last.error().code != base::errc::deleted) {
        co_return base::fail(last.error());
    }
    if (!last) {
        complain(checkpoints_, "it is tombstoned");
        co_return std::optional<std::uint64_t>();
    }
    if (last->events.empty() || last->soft_deleted) {
        co_return std::optional<std::uint64_t>();
    }
    checkpoints_described_ = true;
    const auto text = base::parse_json(last->events.front().data);
    const auto place =
        text && text->is_string() ? parse_place(text->get_string(), of_all_) : std::nullopt;
    if (!place) {
        complain(checkpoints_, "its last event is no checkpoint");
    }
    co_return place;
}

awaitable<base::result<group_storage::state>> group_storage::load() {
    state out;
    const auto checkpoint = co_await load_checkpoint();
    if (!checkpoint) {
        co_return base::fail(checkpoint.error());
    }
    out.checkpoint = *checkpoint;
    const auto info = co_await services_.store.info(parked_);
    if (!info) {
        co_return base::fail(info.error());
    }
    if (info->tombstoned) {
        complain(parked_, "it is tombstoned");
        co_return out;
    }
    out.parked_end = info->last ? info->last->value + 1 : 0;
    const auto described =
        info->metadata ? eventlog::metadata_of(*info->metadata) : eventlog::stream_metadata{};
    out.parked_from = info->soft_deleted
                          ? out.parked_end
                          : std::min(described.truncate_before.value_or(0), out.parked_end);
    parked_described_ = info->metadata.has_value() && !info->soft_deleted;
    co_return out;
}

awaitable<base::status> group_storage::write_checkpoint(std::uint64_t place) {
    if (!checkpoints_described_) {
        const auto described = co_await write_metadata(
            checkpoints_, fmt::format(R"({{"$maxCount":2,{}}})", admin_access));
        if (!described) {
            co_return described;
        }
        checkpoints_described_ = true;
    }
    std::vector<eventstore::new_event> events;
    events.push_back(
        make_event(checkpoint_type, json::serialize(json::string(place_text(place, of_all_))), {}));
    const auto written =
        co_await append_surely(services_, to_stream(checkpoints_, std::move(events)));
    co_return written ? base::status{} : base::fail(written.error());
}

awaitable<base::result<std::uint64_t>> group_storage::park(std::span<const parking> messages) {
    if (!parked_described_) {
        const auto described =
            co_await write_metadata(parked_, fmt::format("{{{}}}", admin_access));
        if (!described) {
            co_return base::fail(described.error());
        }
        parked_described_ = true;
    }
    std::vector<eventstore::new_event> events;
    const std::string now = base::iso_text(services_.clock.now());
    for (const parking& one : messages) {
        const auto& original = one.message.original();
        const json::object why{
            {"added", now},
            {"reason", one.reason},
            {"subscriptionEventNumber", static_cast<std::int64_t>(original.revision.value)}};
        auto link = make_event(eventlog::link_type,
                               fmt::format("{}@{}", original.revision.value, original.stream),
                               json::serialize(why));
        link.format = eventlog::content::binary;
        events.push_back(std::move(link));
    }
    const auto written = co_await append_surely(services_, to_stream(parked_, std::move(events)));
    if (!written) {
        co_return base::fail(written.error());
    }
    co_return written->last_revisions.at(0)->value + 1;
}

awaitable<base::status> group_storage::truncate_parked(std::uint64_t from) {
    parked_described_ = true;
    return write_metadata(parked_, fmt::format(R"({{"$tb":{},{}}})", from, admin_access));
}

awaitable<base::status> group_storage::remove_stream(std::string stream) {
    const auto info = co_await services_.store.info(stream);
    if (!info || !info->last || info->soft_deleted || info->tombstoned) {
        co_return info ? base::status{} : base::fail(info.error());
    }
    std::vector<stream_write> writes;
    writes.push_back(
        {std::move(stream), expected_revision::any(), {}, stream_write::action::soft_delete});
    const auto written = co_await append_surely(services_, std::move(writes));
    co_return written ? base::status{} : base::fail(written.error());
}

awaitable<base::status> group_storage::remove() {
    checkpoints_described_ = parked_described_ = false;
    auto removed = co_await remove_stream(checkpoints_);
    if (removed) {
        removed = co_await remove_stream(parked_);
    }
    co_return removed;
}

awaitable<base::status> group_storage::clear() {
    const std::array<std::string, 2> streams{checkpoints_, parked_};
    for (const std::string& stream : streams) {
        const auto info = co_await services_.store.info(stream);
        if (!info) {
            co_return base::fail(info.error());
        }
        if (info->tombstoned) {
            co_return base::fail(base::errc::invalid_argument,
                                 fmt::format("The stream '{}', in which a group of this name keeps "
                                             "its state, is tombstoned: choose another name.",
                                             stream));
        }
    }
    co_return co_await remove();
}

awaitable<base::result<std::optional<eventstore::recorded_event>>>
group_storage::target_of(std::string link) {
    const auto at = link.find('@');
    std::uint64_t revision = 0;
    const auto [end, problem] = std::from_chars(link.data(), link.data() + link.size(), revision);
    if (at == std::string::npos || problem != std::errc() || end != link.data() + at) {
        co_return std::optional<eventstore::recorded_event>();
    }
    auto page = co_await services_.store.read_stream(link.substr(at + 1), {revision},
                                                     direction::forwards, 1);
    if (!page && page.error().code != base::errc::deleted) {
        co_return base::fail(page.error());
    }
    if (!page || page->events.empty() || page->events.front().revision.value != revision) {
        co_return std::optional<eventstore::recorded_event>();
    }
    co_return std::optional(std::move(page->events.front()));
}

awaitable<base::result<std::vector<group_storage::parked_message>>>
group_storage::read_parked(std::uint64_t from, std::size_t count_max, std::size_t bytes_max) {
    auto page =
        co_await services_.store.read_stream(parked_, {from}, direction::forwards, count_max);
    if (!page) {
        co_return base::fail(page.error());
    }
    std::vector<parked_message> out;
    std::size_t bytes = 0;
    for (auto& link : page->events) {
        if (!out.empty() && bytes >= bytes_max) {
            break;
        }
        auto target = co_await target_of(std::move(link.data));
        if (!target) {
            co_return base::fail(target.error());
        }
        bytes += *target ? (*target)->data.size() + (*target)->metadata.size() : 0;
        out.push_back({link.revision.value, std::move(*target)});
    }
    co_return out;
}

} // namespace immortal::esdb
