#include "esdb/operations_service.hpp"

#include "base/log.hpp"
#include "esdb/typed_call.hpp"
#include "esproto/wire/operations.grpc.pb.h"
#include "eventlog/stream_metadata.hpp"
#include "runtime/deadline.hpp"
#include "runtime/engine.hpp"
#include "runtime/uncancelled.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <limits>

namespace immortal::esdb {
namespace {

namespace wire = ::event_store::client::operations;
namespace json = boost::json;
using base::errc;
using eventlog::scavenge_state;
using eventlog::scavenge_status;
using eventstore::stream_write;
using nothing = ::event_store::client::Empty;

constexpr const char* history_stream = "$scavenges";
constexpr const char* started_type = "$scavengeStarted";
constexpr const char* completed_type = "$scavengeCompleted";
constexpr base::revision newest{std::numeric_limits<std::uint64_t>::max()};
constexpr std::chrono::milliseconds stop_limit{10'000};
constexpr int threads_max = 8;

std::string stream_of(const std::string& id) {
    return std::string(history_stream) + "-" + id;
}

std::string_view result_text(scavenge_state state) {
    switch (state) {
    case scavenge_state::completed:
        return "Success";
    case scavenge_state::stopped:
        return "Stopped";
    default:
        return "Errored";
    }
}

rpc_status scavenge_unknown(const std::string& id) {
    return {grpc::StatusCode::NOT_FOUND,
            "Scavenge id was invalid.",
            {{"exception", "scavenge-not-found"}, {"scavenge-id", id}}};
}

wire::ScavengeResp scavenge_answer(const std::string& id,
                                   wire::ScavengeResp::ScavengeResult result) {
    wire::ScavengeResp out;
    out.set_scavenge_id(id);
    out.set_scavenge_result(result);
    return out;
}

} // namespace

struct operations_service::state {
    state(service_context context_in, const runtime::any_io_executor& executor,
          operations_hooks hooks_in)
        : context(context_in), hooks(std::move(hooks_in)), tasks(executor, "operations") {}

    // Empty: go on.
    awaitable<std::optional<rpc_status>> check(call& asked) {
        const auto may = co_await context.rules.may_operate(asked.caller(), operation::operations);
        co_return may ? std::nullopt : std::optional(to_status(may.error(), {}));
    }

    awaitable<rpc_result<wire::ScavengeResp>> start_scavenge(call& asked,
                                                             wire::StartScavengeReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        if (hooks.scavenges == nullptr) {
            co_return refuse(no_log());
        }
        const auto& options = request.options();
        if (options.thread_count() < 0 || options.thread_count() > threads_max ||
            options.start_from_chunk() < 0) {
            co_return refuse(refusal::invalid(
                "thread_count must be 0 to 8 and start_from_chunk must not be negative."));
        }
        auto id = hooks.scavenges->start(
            {.threads = static_cast<std::size_t>(std::max(options.thread_count(), 1)),
             .from_segment = static_cast<std::uint32_t>(options.start_from_chunk())},
            [this](const scavenge_status& status) { observe(status); });
        if (!id && id.error().code == errc::already_exists) {
            co_return scavenge_answer(hooks.scavenges->status().id, wire::ScavengeResp::InProgress);
        }
        if (!id) {
            co_return refuse(to_status(id.error(), {}));
        }
        co_return scavenge_answer(*id, wire::ScavengeResp::Started);
    }

    awaitable<rpc_result<wire::ScavengeResp>> stop_scavenge(call& asked,
                                                            wire::StopScavengeReq request) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        const std::string& id = request.options().scavenge_id();
        if (hooks.scavenges == nullptr || !hooks.scavenges->stop(id)) {
            co_return refuse(scavenge_unknown(id));
        }
        co_return scavenge_answer(id, wire::ScavengeResp::Stopped);
    }

    awaitable<rpc_result<nothing>> shutdown(call& asked, nothing /*request*/) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        if (!hooks.shut_down) {
            co_return refuse({grpc::StatusCode::FAILED_PRECONDITION,
                              "This server is not shut down by a client."});
        }
        base::log_info("esdb", "shutting down, as a client asked", {{"user", asked.caller().name}});
        hooks.shut_down();
        co_return nothing{};
    }

    awaitable<rpc_result<nothing>> restart_subscriptions(call& asked, nothing /*request*/) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        if (hooks.restart_subscriptions) {
            if (auto done = co_await runtime::to_its_end(hooks.restart_subscriptions()); !done) {
                co_return refuse(to_status(done.error(), {}));
            }
        }
        co_return nothing{};
    }

    // Nothing to merge, resign or prefer: the index keeps itself, and there is one node.
    template <typename Request>
    awaitable<rpc_result<nothing>> nothing_to_do(call& asked, Request /*request*/) {
        if (auto refused = co_await check(asked)) {
            co_return refuse(std::move(*refused));
        }
        co_return nothing{};
    }

    static rpc_status no_log() {
        return {grpc::StatusCode::FAILED_PRECONDITION,
                "This server keeps no log of its own: scavenge the store it stands on."};
    }

    // On a thread of the scavenge: its beginning and its end are told.
    void observe(const scavenge_status& status) {
        if (told_id_ != status.id) {
            told_id_ = status.id;
            tasks.spawn(tell(status.id, started_type, started_data(status)), "scavenge started");
        }
        if (status.state != scavenge_state::running) {
            tasks.spawn(tell(status.id, completed_type, completed_data(status)),
                        "scavenge completed");
        }
    }

    static std::string started_data(const scavenge_status& status) {
        return json::serialize(json::object{{"scavengeId", status.id},
                                            {"startFromChunk", status.options.from_segment},
                                            {"threads", status.options.threads}});
    }

    static std::string completed_data(const scavenge_status& status) {
        const std::chrono::duration<double> took = status.ended - status.started;
        json::object out{{"scavengeId", status.id},
                         {"result", json::string(result_text(status.state))},
                         {"timeTakenSeconds", took.count()},
                         {"chunksScavenged", status.segments_rewritten},
                         {"eventsRemoved", status.events_removed},
                         {"spaceSaved", status.bytes_saved}};
        if (!status.problem.empty()) {
            out["error"] = status.problem;
        }
        return json::serialize(out);
    }

    // `no` is the event's number in the scavenge's stream. The two may be written at the same time,
    // so each waits for its number.
    awaitable<void> tell(std::string id, std::string type, std::string data) {
        const auto expected = type == started_type
                                  ? eventlog::expected_revision::no_stream()
                                  : eventlog::expected_revision::at(base::revision{0});
        for (int attempt = 0; attempt < attempts_max; ++attempt) {
            const auto done = co_await append(id, type, data, expected);
            if (done) {
                co_return;
            }
            if (done.error().code != errc::conflict || type == started_type) {
                base::log_error("esdb", "a scavenge could not be recorded",
                                {{"scavenge", id}, {"cause", done.error().message}});
                co_return;
            }
            (void)co_await runtime::wait_for(retry_pause);
        }
    }

    awaitable<base::status> append(std::string id, std::string type, std::string data,
                                   eventlog::expected_revision expected) {
        const int number = type == started_type ? 0 : 1;
        std::vector<stream_write> writes(2);
        writes[0].stream = stream_of(id);
        writes[0].expected = expected;
        writes[0].events.push_back({.id = base::uuid::make_random(context.random),
                                    .type = std::move(type),
                                    .data = std::move(data),
                                    .metadata = {}});
        writes[1].stream = history_stream;
        writes[1].events.push_back({.id = base::uuid::make_random(context.random),
                                    .type = eventlog::link_type,
                                    .data = fmt::format("{}@{}", number, stream_of(id)),
                                    .metadata = {},
                                    .format = eventlog::content::binary});
        auto outcome = co_await context.store.append(std::move(writes));
        if (!outcome) {
            co_return base::fail(std::move(outcome.error()));
        }
        co_return base::status{};
    }

    awaitable<base::status> close_interrupted() {
        auto page = co_await context.store.read_stream(history_stream, newest,
                                                       eventstore::direction::backwards, 1);
        if (!page && page.error().code == errc::deleted) {
            base::log_error("esdb",
                            "the list of scavenges is tombstoned: scavenges run, but are not "
                            "recorded any more; look for their results in this log",
                            {{"stream", history_stream}});
            co_return base::status{};
        }
        if (!page) {
            co_return base::fail(std::move(page.error()));
        }
        const std::string start = fmt::format("0@{}-", history_stream);
        if (page->events.empty() || !page->events.front().data.starts_with(start)) {
            co_return base::status{};
        }
        const std::string id = page->events.front().data.substr(start.size());
        const auto closed = co_await append(
            id, completed_type,
            json::serialize(json::object{{"scavengeId", id},
                                         {"result", "Interrupted"},
                                         {"error", "The server was stopped meanwhile."}}),
            eventlog::expected_revision::at(base::revision{0}));
        if (!closed) { // a start needs no write
            base::log_error("esdb", "the end of an interrupted scavenge could not be recorded",
                            {{"scavenge", id}, {"cause", closed.error().message}});
        }
        co_return base::status{};
    }

    static constexpr int attempts_max = 100;
    static constexpr std::chrono::milliseconds retry_pause{50};

    service_context context;
    operations_hooks hooks;
    runtime::task_group tasks;

private:
    std::string told_id_; // on the thread of the scavenge
};

operations_service::operations_service(service_context context, runtime::any_io_executor executor,
                                       operations_hooks hooks)
    : state_(std::make_unique<state>(context, executor, std::move(hooks))) {}

operations_service::~operations_service() = default;

awaitable<base::status> operations_service::start() {
    return state_->close_interrupted();
}

void operations_service::stop(runtime::engine& engine) {
    if (state_->hooks.scavenges != nullptr) {
        state_->hooks.scavenges->wait(eventlog::scavenger::wait_how::stop_now);
    }
    // What the scavenge told last is being written: a moment for it before the tasks are cancelled.
    for (int i = 0; i < state::attempts_max && state_->tasks.running() > 0; ++i) {
        (void)engine.run(runtime::wait_for(state::retry_pause));
    }
    if (!engine.run(state_->tasks.stop(stop_limit))) {
        base::log_error("esdb", "a task of the operations did not end in time");
    }
}

void operations_service::add_to(method_table& methods) {
    const auto name = wire::Operations::service_full_name();
    const auto add = [&](std::string_view method, auto answer) {
        methods.add(name, method,
                    {.serve = unary(state_.get(), answer),
                     .access = access_rule::operating(operation::operations)});
    };
    add("StartScavenge", &state::start_scavenge);
    add("StopScavenge", &state::stop_scavenge);
    add("Shutdown", &state::shutdown);
    add("RestartPersistentSubscriptions", &state::restart_subscriptions);
    add("MergeIndexes", &state::nothing_to_do<nothing>);
    add("ResignNode", &state::nothing_to_do<nothing>);
    add("SetNodePriority", &state::nothing_to_do<wire::SetNodePriorityReq>);
}

} // namespace immortal::esdb
