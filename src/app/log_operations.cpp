#include "app/log_operations.hpp"

#include "app/operations.hpp"
#include "eventstore/embedded_reading.hpp"
#include "runtime/deadline.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>

namespace immortal::app {

namespace json = base::json;
using base::result;

namespace {

constexpr std::size_t page_size = 256;

std::string_view name_of(eventlog::log_state state) {
    switch (state) {
    case eventlog::log_state::writable:
        return "writable";
    case eventlog::log_state::disk_full:
        return "disk_full";
    case eventlog::log_state::failed:
        return "failed";
    case eventlog::log_state::closed:
        return "closed";
    }
    return "unknown";
}

std::string_view name_of(eventlog::scavenge_state state) {
    switch (state) {
    case eventlog::scavenge_state::none:
        return "none";
    case eventlog::scavenge_state::running:
        return "running";
    case eventlog::scavenge_state::completed:
        return "completed";
    case eventlog::scavenge_state::stopped:
        return "stopped";
    case eventlog::scavenge_state::failed:
        return "failed";
    }
    return "unknown";
}

std::string text_of(const json::object& request, const char* key) {
    const json::value* value = request.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

bool is_dry_run(const json::object& request) {
    const json::value* value = request.if_contains("dryRun");
    return value != nullptr && value->is_bool() && value->get_bool();
}

} // namespace

result<std::optional<std::uint64_t>> number_of(const json::object& request, const char* key) {
    const json::value* value = request.if_contains(key);
    if (value == nullptr || value->is_null()) {
        return std::nullopt;
    }
    if (value->is_uint64()) { // of a request that was made here, not parsed
        return std::optional(value->get_uint64());
    }
    auto decoded = base::decode<base::revision>(*value);
    if (!decoded) {
        return base::fail(base::errc::invalid_argument,
                          std::string("\"") + key + "\" must be a whole number.");
    }
    return std::optional(decoded->value);
}

json::object log_info(const eventlog::log& log) {
    const auto head = log.head();
    const auto identity = log.identity();
    json::object out{{"logId", identity.id.text()},
                     {"epoch", identity.epoch},
                     {"state", name_of(log.state())},
                     {"bytes", head.end.value}};
    out["lastPosition"] = head.last_event ? json::value(head.last_event->value) : nullptr;
    return out;
}

awaitable<result<json::object>> dump_log(eventlog::log& log, json::object request, item_sink sink) {
    const auto from = number_of(request, "from");
    const auto count = number_of(request, "count");
    if (!from || !count) {
        co_return base::fail(from ? count.error() : from.error());
    }
    const std::string stream = text_of(request, "stream");
    eventlog::record_filter filter;
    if (!stream.empty()) {
        filter = [&stream](const eventlog::record_view& record) { return record.stream == stream; };
    }
    const std::uint64_t wanted = count->value_or(0) == 0 ? UINT64_MAX : **count;
    std::uint64_t events = 0;
    base::position at{from->value_or(0)};
    auto where = eventlog::read_start::anywhere;
    for (bool end = false; !end && events < wanted;) {
        const auto page = log.read_all(
            at, eventlog::direction::forwards,
            static_cast<std::size_t>(std::min<std::uint64_t>(page_size, wanted - events)), filter,
            eventstore::slice_bounds.bytes, where, eventstore::slice_bounds.records);
        if (!page) {
            co_return base::fail(page.error());
        }
        for (const auto& event : page->events) {
            ++events;
            if (!co_await sink(event_object(event))) {
                co_return base::fail(base::errc::cancelled, "Nobody listens any more.");
            }
        }
        at = page->next;
        where = eventlog::read_start::boundary;
        end = page->end;
        if (!end) { // a stream that is not there is looked for through the whole log
            co_await boost::asio::post(boost::asio::use_awaitable);
        }
    }
    co_return json::object{{"events", events}, {"next", at.value}};
}

bool records_scavenge(const json::object& request) {
    return text_of(request, "command") == "log.scavenge" && !is_dry_run(request);
}

json::object scavenge_object(const eventlog::scavenge_status& status) {
    json::object out{{"id", status.id},
                     {"state", name_of(status.state)},
                     {"dryRun", status.options.mode == eventlog::scavenge_mode::measure},
                     {"segments", status.segments_total},
                     {"segmentsMeasured", status.segments_measured},
                     {"segmentsDone", status.segments_done},
                     {"segmentsRewritten", status.segments_rewritten},
                     {"eventsRemoved", status.events_removed},
                     {"bytesSaved", status.bytes_saved}};
    if (status.state != eventlog::scavenge_state::none) {
        out["started"] = base::iso_text(status.started);
    }
    if (!status.problem.empty()) {
        out["problem"] = status.problem;
    }
    if (status.options.mode == eventlog::scavenge_mode::measure) {
        json::array gains;
        for (const eventlog::segment_gain& gain : status.gains) {
            gains.push_back(json::object{{"segment", gain.segment},
                                         {"eventsRemoved", gain.events_removed},
                                         {"bytesSaved", gain.bytes()},
                                         {"bytesBefore", gain.bytes_before},
                                         {"bytesAfter", gain.bytes_after}});
        }
        out["gains"] = std::move(gains);
    }
    return out;
}

awaitable<result<json::object>> scavenge_log(eventlog::log& log, json::object request,
                                             item_sink sink) {
    const auto threads = number_of(request, "threads");
    const auto from_segment = number_of(request, "fromSegment");
    const auto speed = number_of(request, "bytesPerSecond");
    if (!threads || !from_segment || !speed) {
        co_return base::fail(!threads        ? threads.error()
                             : !from_segment ? from_segment.error()
                                             : speed.error());
    }
    eventlog::scavenge_options options;
    options.threads = static_cast<std::size_t>(threads->value_or(1));
    options.from_segment =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(from_segment->value_or(0), UINT32_MAX));
    options.bytes_per_second = speed->value_or(0);
    options.mode =
        is_dry_run(request) ? eventlog::scavenge_mode::measure : eventlog::scavenge_mode::rewrite;
    const auto id = log.scavenges().start(options);
    if (!id && id.error().field == "from_segment") {
        co_return base::fail(base::errc::invalid_argument,
                             "--from-segment: " + id.error().message +
                                 ", which is still written to. Nothing was scavenged.");
    }
    if (!id) {
        co_return base::fail(id.error());
    }
    auto last_told = std::chrono::steady_clock::now();
    for (;;) {
        const auto status = log.scavenges().status();
        if (status.id != *id || status.state != eventlog::scavenge_state::running) {
            co_return scavenge_object(status);
        }
        const auto now = std::chrono::steady_clock::now();
        if (now - last_told >= std::chrono::seconds(1)) {
            last_told = now;
            if (!co_await sink(scavenge_object(status))) {
                co_return base::fail(base::errc::cancelled, "Nobody listens any more.");
            }
        }
        if (!co_await runtime::wait_for(std::chrono::milliseconds(20))) {
            co_return base::fail(base::errc::cancelled, "The server is stopping.");
        }
    }
}

result<json::object> stop_scavenge(eventlog::log& log) {
    if (auto stopped = log.scavenges().stop(log.scavenges().status().id); !stopped) {
        return stopped.error().code == base::errc::not_found
                   ? base::fail(base::errc::not_found,
                                "No scavenge is running: there is nothing to stop. `immortal log "
                                "scavenge --status` says how the last one ended.")
                   : base::fail(stopped.error());
    }
    return scavenge_object(log.scavenges().status());
}

} // namespace immortal::app
