#include "app/operations.hpp"

#include "app/data_folder.hpp"
#include "app/log_operations.hpp"
#include "base/hash.hpp"
#include "base/unicode.hpp"
#include "eventlog/log.hpp"
#include "game/catalog.hpp"
#include "readmodel/check.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace immortal::app {

namespace json = base::json;
using base::result;

namespace {

constexpr std::size_t page_size = 512;

awaitable<result<json::object>> check_operation(operation_parts uses, json::object request) {
    if (uses.database == nullptr) {
        co_return base::fail(
            base::errc::invalid_argument,
            "The server on this data folder is the event store alone: it has no tables "
            "and no cache to compare. `immortal log verify` checks the log.");
    }
    const auto sample = number_of(request, "sample");
    if (!sample) {
        co_return base::fail(sample.error());
    }
    readmodel::check_settings settings;
    settings.sample = *sample;
    auto report = co_await readmodel::check(
        {*uses.database, uses.store, game::catalog::builtin(), uses.shared}, settings);
    if (!report) {
        co_return base::fail(report.error());
    }
    co_return base::encode(*report).as_object();
}

struct stream_request {
    std::string stream;
    std::optional<base::revision> from;
    std::uint64_t count = 0; // 0: all
    eventstore::direction way = eventstore::direction::forwards;
};

result<stream_request> read_stream_request(const json::object& request) {
    stream_request out;
    const json::value* name = request.if_contains("stream");
    if (name == nullptr || !name->is_string() || name->get_string().empty()) {
        return base::fail(base::errc::invalid_argument, "\"stream\" must name a stream.");
    }
    out.stream = name->get_string();
    const auto from = number_of(request, "from");
    const auto count = number_of(request, "count");
    if (!from || !count) {
        return base::fail(from ? count.error() : from.error());
    }
    if (*from) {
        out.from = base::revision{**from};
    }
    out.count = count->value_or(0);
    const json::value* backwards = request.if_contains("backwards");
    if (backwards != nullptr && backwards->is_bool() && backwards->get_bool()) {
        out.way = eventstore::direction::backwards;
    }
    return out;
}

awaitable<result<json::object>> stream_operation(operation_parts uses, json::object request,
                                                 item_sink sink) {
    auto wanted = read_stream_request(request);
    if (!wanted) {
        co_return base::fail(wanted.error());
    }
    const bool forwards = wanted->way == eventstore::direction::forwards;
    const auto head = co_await uses.store.stream_head(wanted->stream);
    if (!head) {
        co_return base::fail(head.error());
    }
    if (!*head) {
        co_return base::fail(base::errc::not_found, "There is no stream '" + wanted->stream + "'.");
    }
    std::uint64_t events = 0;
    const std::uint64_t count = wanted->count != 0 ? wanted->count : UINT64_MAX;
    auto at = wanted->from.value_or(forwards ? base::revision{0} : **head);
    for (bool end = false; !end && events < count;) {
        const auto page = co_await uses.store.read_stream(
            wanted->stream, at, wanted->way,
            static_cast<std::size_t>(std::min<std::uint64_t>(page_size, count - events)));
        if (!page) {
            co_return base::fail(page.error());
        }
        for (const auto& event : page->events) {
            ++events;
            if (!co_await sink(event_object(event))) {
                co_return base::fail(base::errc::cancelled, "Nobody listens any more.");
            }
        }
        end = page->end || page->events.empty();
        if (!end) {
            const std::uint64_t last = page->events.back().revision.value;
            end = !forwards && last == 0;
            at = base::revision{forwards ? last + 1 : last - 1};
        }
    }
    co_return json::object{
        {"stream", wanted->stream}, {"events", events}, {"lastRevision", (*head)->value}};
}

// Whether people can read it, and a terminal shows nothing else than it: UTF-8 without control
// characters but tabs and line ends.
bool is_text(std::string_view bytes) {
    while (!bytes.empty()) {
        const char first = bytes.front();
        const auto c = base::take_code_point(bytes);
        if (!c || (base::kind_of(*c) == base::character_kind::invisible && first != '\t' &&
                   first != '\n' && first != '\r')) {
            return false;
        }
    }
    return true;
}

} // namespace

json::object event_object(const eventstore::recorded_event& event) {
    json::object out{
        {"eventId", event.id.text()},       {"type", event.type},
        {"stream", event.stream},           {"revision", event.revision.value},
        {"position", event.position.value}, {"created", base::iso_text(event.created)}};
    const auto add = [&out](const char* key, const std::string& bytes, bool is_json) {
        if (auto parsed = is_json ? base::parse_json(bytes, 64)
                                  : result<json::value>(base::fail(base::errc::corrupt, ""));
            parsed) {
            out[key] = std::move(*parsed);
        } else if (bytes.empty()) {
            out[key] = nullptr;
        } else if (is_text(bytes)) {
            out[std::string(key) + "Text"] = bytes;
        } else {
            const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
            out[std::string(key) + "Hex"] = base::hex({begin, bytes.size()});
        }
    };
    add("data", event.data, event.format == eventlog::content::json);
    add("metadata", event.metadata, true);
    return out;
}

awaitable<result<json::object>> answer_operation(operation_parts uses, json::object request,
                                                 item_sink sink) {
    const json::value* command = request.if_contains("command");
    const std::string name =
        command != nullptr && command->is_string() ? std::string(command->get_string()) : "";
    if (name == "check") {
        co_return co_await check_operation(uses, std::move(request));
    }
    if (name == "stream.read") {
        co_return co_await stream_operation(uses, std::move(request), std::move(sink));
    }
    if (name.starts_with("log.") && uses.log == nullptr) {
        co_return base::fail(base::errc::invalid_argument,
                             "The event store is a remote one: its log is not here.");
    }
    if (name == "log.info") {
        co_return log_info(*uses.log);
    }
    if (name == "log.dump") {
        co_return co_await dump_log(*uses.log, std::move(request), std::move(sink));
    }
    if (name == "log.scavenge") {
        co_return co_await scavenge_log(*uses.log, std::move(request), std::move(sink));
    }
    if (name == "log.scavenge.status") {
        co_return scavenge_object(uses.log->scavenges().status());
    }
    if (name == "log.scavenge.stop") {
        co_return stop_scavenge(*uses.log);
    }
    co_return base::fail(base::errc::invalid_argument, "The server does not know the command '" +
                                                           name + "': is it of another version?");
}

base::result<std::unique_ptr<control_server>>
serve_operations(boost::asio::any_io_executor executor, const std::filesystem::path& folder,
                 operation_parts uses) {
    const auto socket = data_folder::control_socket(folder);
    if (!socket) {
        return base::fail(socket.error());
    }
    auto made = std::make_unique<control_server>(
        std::move(executor), *socket, [uses](json::object request, item_sink sink) {
            return answer_operation(uses, std::move(request), std::move(sink));
        });
    if (auto started = made->start(); !started) {
        return base::fail(std::move(started.error()));
    }
    return made;
}

} // namespace immortal::app
