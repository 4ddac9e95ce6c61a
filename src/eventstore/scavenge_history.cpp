#include "eventstore/scavenge_history.hpp"

#include "base/assert.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "eventlog/scavenger.hpp"
#include "eventlog/stream_metadata.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <limits>
#include <mutex>
#include <thread>

namespace immortal::eventstore {
namespace {

namespace json = base::json;
using base::errc;
using base::fail;
using eventlog::expected_revision;
using eventlog::scavenge_state;
using eventlog::scavenge_status;
using eventlog::stream_write;

constexpr const char* history_stream = "$scavenges";
constexpr const char* started_type = "$scavengeStarted";
constexpr const char* completed_type = "$scavengeCompleted";
constexpr base::revision newest{std::numeric_limits<std::uint64_t>::max()};
// The writer answers earlier than that, or is stuck; then the same record is tried again later.
constexpr std::chrono::seconds answer_limit{30};
// Two for each scavenge; so many that none is ever dropped while an operator looks on.
constexpr std::size_t unwritten_max = 1'024;

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

std::string started_data(const scavenge_status& status) {
    return base::json_text(json::object{{"scavengeId", status.id},
                                        {"startFromChunk", status.options.from_segment},
                                        {"threads", status.options.threads}});
}

std::string completed_data(const scavenge_status& status) {
    const std::chrono::duration<double> took = status.ended - status.started;
    json::object out{{"scavengeId", status.id},
                     {"result", result_text(status.state)},
                     {"timeTakenSeconds", took.count()},
                     {"chunksScavenged", status.segments_rewritten},
                     {"eventsRemoved", status.events_removed},
                     {"spaceSaved", status.bytes_saved}};
    if (!status.problem.empty()) {
        out["error"] = status.problem;
    }
    return base::json_text(out);
}

// An event of a scavenge's stream, and the link to it. Its ids stay, so that it is written once
// however often it is tried.
struct unwritten {
    std::string id; // of the scavenge
    std::string type;
    std::string data;
    base::uuid event;
    base::uuid link;
};

std::vector<stream_write> writes_of(const unwritten& record) {
    const bool first = record.type == started_type;
    const std::string stream = stream_of(record.id);
    std::vector<stream_write> out(2);
    out[0].stream = stream;
    out[0].expected =
        first ? expected_revision::no_stream() : expected_revision::at(base::revision{0});
    out[0].events.push_back({record.event, record.type, record.data, {}, eventlog::content::json});
    out[1].stream = history_stream;
    out[1].events.push_back({record.link,
                             eventlog::link_type,
                             fmt::format("{}@{}", first ? 0 : 1, stream),
                             {},
                             eventlog::content::binary});
    return out;
}

// Whether the same append may succeed later.
bool is_passing(errc code) {
    return code == errc::exhausted || code == errc::unavailable || code == errc::timeout ||
           code == errc::unknown_outcome || code == errc::rate_limited;
}

} // namespace

struct scavenge_history::state {
    state(eventlog::log& log, base::random_source& random, settings chosen)
        : log(log), random(random), chosen(chosen) {}

    void run();
    void record(const scavenge_status& status);
    void add(std::string id, const char* type, std::string data);
    // False: to be tried again.
    bool find_interrupted();
    bool write(const unwritten& record);
    void work();

    eventlog::log& log;
    base::random_source& random;
    const settings chosen;
    bool looked = false; // for an interrupted one; the thread's
    std::string told_id; // on the threads of scavenges, one call at a time
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<unwritten> waiting;
    bool fresh = false; // something was added since the thread looked
    bool stopping = false;
    std::thread thread;
};

void scavenge_history::state::add(std::string id, const char* type, std::string data) {
    const std::lock_guard lock(mutex);
    if (waiting.size() == unwritten_max) {
        base::log_error("eventstore", "a scavenge could not be recorded", {{"scavenge", id}});
        return;
    }
    waiting.push_back({std::move(id), type, std::move(data), base::uuid::make_random(random),
                       base::uuid::make_random(random)});
    fresh = true;
    changed.notify_all();
}

void scavenge_history::state::record(const scavenge_status& status) {
    if (told_id != status.id) {
        told_id = status.id;
        add(status.id, started_type, started_data(status));
    }
    if (status.state != scavenge_state::running) {
        add(status.id, completed_type, completed_data(status));
    }
}

bool scavenge_history::state::find_interrupted() {
    const auto page = log.read_stream(history_stream, newest, eventlog::direction::backwards, 1);
    if (!page) {
        if (page.error().code == errc::deleted) {
            base::log_error("eventstore",
                            "the list of scavenges is tombstoned: scavenges run, but are not "
                            "recorded any more; look for their results in this log",
                            {{"stream", history_stream}});
        }
        return !is_passing(page.error().code);
    }
    const std::string start = fmt::format("0@{}-", history_stream);
    if (page->events.empty() || !page->events.front().data.starts_with(start)) {
        return true;
    }
    const std::string id = page->events.front().data.substr(start.size());
    const std::lock_guard lock(mutex);
    waiting.push_front(
        {id, completed_type,
         base::json_text(json::object{{"scavengeId", id},
                                      {"result", "Interrupted"},
                                      {"error", "The server was stopped meanwhile."}}),
         base::uuid::make_random(random), base::uuid::make_random(random)});
    return true;
}

bool scavenge_history::state::write(const unwritten& record) {
    auto promise = std::make_shared<std::promise<base::result<eventlog::append_outcome>>>();
    auto answer = promise->get_future();
    log.append(writes_of(record), [promise](base::result<eventlog::append_outcome> outcome) {
        promise->set_value(std::move(outcome));
    });
    if (answer.wait_for(answer_limit) != std::future_status::ready) {
        return false;
    }
    const auto outcome = answer.get();
    if (outcome) {
        return true;
    }
    if (is_passing(outcome.error().code)) {
        return false;
    }
    base::log_error("eventstore", "a scavenge could not be recorded",
                    {{"scavenge", record.id}, {"cause", outcome.error().message}});
    return true;
}

void scavenge_history::state::work() {
    looked = looked || find_interrupted();
    while (looked) {
        std::optional<unwritten> next;
        {
            const std::lock_guard lock(mutex);
            if (waiting.empty()) {
                break;
            }
            next = waiting.front();
        }
        if (!write(*next)) {
            return;
        }
        const std::lock_guard lock(mutex);
        waiting.pop_front();
    }
}

void scavenge_history::state::run() {
    bool complained = false;
    for (;;) {
        work();
        const auto reserved = log.scavenges().maintain_reserve();
        if (!reserved && !std::exchange(complained, true)) {
            base::log_warning("eventstore", "the reserve for scavenges could not be made",
                              {{"cause", reserved.error().message}});
        }
        std::unique_lock lock(mutex);
        changed.wait_for(lock, chosen.period, [&] { return stopping || fresh; });
        fresh = false;
        if (stopping) {
            break;
        }
    }
    work();
}

scavenge_history::scavenge_history(eventlog::log& log, base::random_source& random)
    : scavenge_history(log, random, settings{}) {}

scavenge_history::scavenge_history(eventlog::log& log, base::random_source& random, settings chosen)
    : state_(std::make_unique<state>(log, random, chosen)) {
    log.scavenges().set_recorder(
        [state = state_.get()](const scavenge_status& status) { state->record(status); });
    try {
        state_->thread = std::thread([state = state_.get()] { state->run(); });
    } catch (const std::system_error& problem) {
        // Scavenges go on, only their history is not written.
        base::log_error("eventstore", "scavenges are not recorded", {{"cause", problem.what()}});
    }
}

scavenge_history::~scavenge_history() {
    state_->log.scavenges().wait(eventlog::scavenger::wait_how::stop_now);
    state_->log.scavenges().set_recorder({});
    {
        const std::lock_guard lock(state_->mutex);
        state_->stopping = true;
        state_->changed.notify_all();
    }
    if (state_->thread.joinable()) {
        state_->thread.join();
    }
}

} // namespace immortal::eventstore
