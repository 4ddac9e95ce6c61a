// Clients of an event store in another process, whose questions and answers are kept: for tests of
// the network between them, and of a server that dies.
//
// usage: network_driver --uri TEXT --history FILE [--clients N] [--seed S] [--padding BYTES]
//                       [--pause MS] [--prefix TEXT] [--plant resume_skips]
//        network_driver --uri TEXT --capacity     how many subscriptions the server takes at once
//
// Each client has a connection of its own: one thread appends (to streams of its own with exact
// expectations, to shared ones with none, to both at once) and repeats what has no known outcome
// until it is known; one follows everything, one a shared stream, each now and then with a new
// subscription that goes on after the last event. Ends on SIGTERM: when every append has an outcome
// and every follower has seen all that was acknowledged. `--prefix` begins the names of its
// streams;
// `--plant`: for a control, subscriptions that go on leave out their first event. Exit code 0:
// ended; 5: an append was refused that nothing stood against.
#include "base/log.hpp"
#include "base/random.hpp"
#include "esproto/wire/streams.grpc.pb.h"
#include "eventstore/remote_store.hpp"
#include "real/history.hpp"
#include "runtime/engine.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstring>
#include <grpcpp/create_channel.h>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>

namespace {

using namespace immortal; // NOLINT: a test program of one file
using eventlog::expected_revision;
using eventlog::stream_write;

constexpr std::uint64_t shared_streams = 4;
constexpr std::uint64_t own_streams = 3; // of a client
constexpr std::uint64_t ops_of_a_client = 10'000'000;
constexpr std::size_t page = 50;
constexpr std::uint64_t batches_of_a_subscription = 60;
constexpr std::uint64_t batches_between_marks = 20;
constexpr std::chrono::milliseconds pause_after_failure{20};

struct driver_settings {
    std::string uri;
    std::string history;
    std::string prefix; // of all streams
    bool skips = false; // planted
    std::uint64_t clients = 5;
    std::uint64_t seed = 1;
    std::uint64_t padding = 60; // bytes of an event's data, about
    std::uint64_t pause = 30;   // milliseconds between the appends of a client
};

// What all clients together have been acknowledged.
class acknowledgements {
public:
    void add(const std::vector<stream_write>& writes, const eventlog::append_outcome& outcome) {
        const std::lock_guard lock(mutex_);
        last_ = std::max(last_, outcome.position);
        for (std::size_t i = 0; i < writes.size(); ++i) {
            if (const auto revision = outcome.last_revisions.at(i)) {
                base::revision& known = revisions_[writes[i].stream];
                known = std::max(known, *revision);
            }
        }
    }
    [[nodiscard]] base::position last() const {
        const std::lock_guard lock(mutex_);
        return last_;
    }
    [[nodiscard]] std::optional<base::revision> last_of(const std::string& stream) const {
        const std::lock_guard lock(mutex_);
        const auto found = revisions_.find(stream);
        return found == revisions_.end() ? std::nullopt : std::optional(found->second);
    }

private:
    mutable std::mutex mutex_;
    base::position last_;
    std::map<std::string, base::revision> revisions_;
};

class client {
public:
    client(const driver_settings& settings, std::uint64_t number, runtime::engine& engine,
           faults::history& kept, acknowledgements& acks)
        : settings_(settings), number_(number), engine_(engine), history_(kept), acks_(acks),
          random_(settings.seed * 100 + number), next_op_((number + 1) * ops_of_a_client) {}

    void start() {
        threads_.emplace_back([this] { run(); });
    }
    // Writes no more; what is on its way is finished.
    void stop_writing() { writing_ = false; }
    void await_writer() { wrote_.wait(false); }
    // Once nobody writes any more: ends when it has seen everything.
    void finish() {
        finishing_ = true;
        {
            const std::lock_guard lock(mutex_);
            for (eventstore::subscription* each : {all_, one_}) {
                if (each != nullptr) {
                    each->cancel();
                }
            }
        }
        for (auto& thread : threads_) {
            thread.join();
        }
        store_.reset();
    }
    [[nodiscard]] bool is_wronged() const { return wronged_; }

private:
    void run() {
        connect();
        std::thread everything([this] { follow_all(); });
        std::thread stream([this] { follow_stream(); });
        while (writing_) {
            append();
            if (random_.next() % 10 == 0) {
                read();
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(settings_.pause));
        }
        wrote_ = true;
        wrote_.notify_all();
        everything.join();
        stream.join();
    }

    void connect() {
        eventstore::remote_settings settings;
        settings.connection = *eventstore::parse_connection_string(settings_.uri);
        settings.operation_timeout =
            settings.connection.default_deadline.value_or(settings.operation_timeout);
        settings.check_period = std::chrono::milliseconds(500);
        settings.start_attempts = 1;
        for (;;) {
            auto opened = eventstore::open_remote_store(settings, machine_);
            if (opened) {
                store_ = std::move(*opened);
                return;
            }
            std::this_thread::sleep_for(pause_after_failure);
        }
    }

    [[nodiscard]] std::string shared_stream(std::uint64_t number) const {
        return settings_.prefix + "shared-" + std::to_string(number % shared_streams);
    }

    eventlog::new_event make_event(std::uint64_t op, std::uint64_t ordinal) const {
        eventlog::new_event event;
        std::memcpy(event.id.bytes.data(), &op, 8);
        std::memcpy(event.id.bytes.data() + 8, &ordinal, 6);
        event.id.bytes[14] = static_cast<std::uint8_t>(settings_.seed);
        event.id.bytes[15] = 1;
        event.type = "Happened";
        event.data = std::to_string(op) + "/" + std::to_string(ordinal) +
                     std::string(settings_.padding + op % 40, '.');
        event.metadata = "{}";
        event.format = eventlog::content::binary;
        return event;
    }

    std::vector<stream_write> make_append(std::uint64_t op) {
        const std::string own = settings_.prefix + "own-" + std::to_string(number_) + "-" +
                                std::to_string(random_.next() % own_streams);
        const std::string shared = shared_stream(random_.next());
        const auto last = acks_.last_of(own);
        std::vector<stream_write> out;
        const std::uint64_t choice = random_.next() % 4;
        if (choice != 0) {
            out.push_back({own, expected_revision::after(last), {make_event(op, 0)}});
        }
        if (choice == 0 || choice == 3) {
            out.push_back({shared, expected_revision::any(), {make_event(op, 1)}});
            out.back().events.push_back(make_event(op, 2));
        }
        return out;
    }

    void append() {
        const std::uint64_t first = next_op_++;
        const auto writes = make_append(first);
        for (std::uint64_t op = first;; op = next_op_++) {
            history_.append_begins(op, first, writes);
            const auto said = engine_.run(store_->append(writes));
            if (said) {
                acks_.add(writes, *said); // before the history: a reader may look there first
                history_.append_ends(op, *said);
                return;
            }
            if (said.error().code == base::errc::unknown_outcome) {
                history_.unknown(op);
            } else {
                history_.refused(op);
            }
            if (said.error().code != base::errc::unknown_outcome &&
                said.error().code != base::errc::unavailable &&
                said.error().code != base::errc::exhausted) {
                std::cerr << "append " << op << " of " << first
                          << " was refused: " << said.error().message << std::endl;
                wronged_ = true; // streams of its own: nobody else can have moved them
                return;
            }
            std::this_thread::sleep_for(pause_after_failure);
        }
    }

    void read() {
        const std::string stream = shared_stream(random_.next());
        const std::uint64_t op = next_op_++;
        history_.read_begins(op, stream);
        const auto found =
            engine_.run(store_->read_stream(stream, {0}, eventlog::direction::forwards, page));
        if (found) {
            history_.read_ends(op, found->events);
        }
    }

    // Takes from one subscription for a while. The last event taken.
    template <typename Enough>
    std::optional<eventlog::recorded_event> take(eventstore::subscription& source,
                                                 std::uint64_t sub, bool resumes, Enough enough) {
        std::optional<eventlog::recorded_event> last;
        const std::uint64_t batches_max = settings_.skips ? 3 : batches_of_a_subscription;
        for (std::uint64_t count = 0; count < batches_max && !enough(last); ++count) {
            const auto batch = engine_.run(source.next(page));
            if (!batch) {
                return last;
            }
            if (!batch->events.empty()) {
                const bool skip = settings_.skips && resumes && !last;
                const auto kept = std::span(batch->events).subspan(skip ? 1 : 0);
                if (!kept.empty()) {
                    history_.delivered(sub, kept);
                }
                last = batch->events.back();
            }
            if (batch->caught_up && count % batches_between_marks == 0) {
                history_.caught_up(sub);
                history_.progress(sub, batch->processed);
            }
        }
        return last;
    }

    void follow_all() {
        std::optional<base::position> after;
        std::string resumed;
        const auto complete = [this, &after] {
            return finishing_ &&
                   (acks_.last() == base::position{} || (after && *after >= acks_.last()));
        };
        while (!complete()) {
            const std::uint64_t sub = next_op_++;
            history_.subscribed(sub, after ? static_cast<std::int64_t>(after->value) : -1, resumed);
            const auto source = store_->subscribe_all(
                after, {.stream_prefixes = {settings_.prefix}, .user_events_only = true});
            hold(all_, source.get());
            const auto last = take(*source, sub, !resumed.empty(), [&](const auto& newest) {
                return finishing_ && newest && newest->position >= acks_.last();
            });
            hold(all_, nullptr);
            after = last ? std::optional(last->position) : after;
            resumed = std::to_string(sub);
        }
    }

    void follow_stream() {
        const std::string stream = shared_stream(number_);
        std::optional<eventlog::recorded_event> newest;
        std::string resumed;
        const auto has_all = [&](const std::optional<eventlog::recorded_event>& seen) {
            const auto wanted = acks_.last_of(stream);
            return finishing_ && (!wanted || (seen && seen->revision >= *wanted));
        };
        while (!has_all(newest)) {
            const std::uint64_t sub = next_op_++;
            history_.subscribed(sub,
                                newest ? static_cast<std::int64_t>(newest->position.value) : -1,
                                resumed, stream);
            const auto source = store_->subscribe_stream(
                stream, newest ? std::optional(newest->revision) : std::nullopt);
            hold(one_, source.get());
            auto last = take(*source, sub, !resumed.empty(), has_all);
            hold(one_, nullptr);
            newest = last ? std::move(last) : newest;
            resumed = std::to_string(sub);
        }
    }

    void hold(eventstore::subscription*& place, eventstore::subscription* what) {
        const std::lock_guard lock(mutex_);
        place = what;
    }

    const driver_settings& settings_;
    const std::uint64_t number_;
    runtime::engine& engine_;
    faults::history& history_;
    acknowledgements& acks_;
    base::system_random machine_;
    base::seeded_random random_;
    std::atomic<std::uint64_t> next_op_;
    std::unique_ptr<eventstore::event_store> store_;
    std::vector<std::thread> threads_;
    std::atomic<bool> writing_{true};
    std::atomic<bool> wrote_{false};
    std::atomic<bool> finishing_{false};
    std::atomic<bool> wronged_{false};
    std::mutex mutex_; // over the two
    eventstore::subscription* all_ = nullptr;
    eventstore::subscription* one_ = nullptr;
};

// Subscriptions on as many connections as it takes, until one is refused.
int tell_capacity(const std::string& uri) {
    namespace wire = ::event_store::client::streams;
    constexpr std::size_t calls_of_a_connection = 50;
    constexpr std::size_t calls_max = 20'000;
    struct lasting {
        std::shared_ptr<grpc::Channel> channel;
        std::unique_ptr<wire::Streams::Stub> stub;
        grpc::ClientContext context;
        std::unique_ptr<grpc::ClientReader<wire::ReadResp>> reader;
    };
    const auto to = eventstore::parse_connection_string(uri)->hosts.front();
    wire::ReadReq request;
    auto& options = *request.mutable_options();
    options.set_read_direction(wire::ReadReq_Options_ReadDirection_Forwards);
    options.mutable_subscription();
    options.mutable_all()->mutable_end();
    options.mutable_no_filter();
    options.mutable_uuid_option()->mutable_string();
    std::vector<std::unique_ptr<lasting>> calls;
    std::shared_ptr<grpc::Channel> channel;
    while (calls.size() < calls_max) {
        if (calls.size() % calls_of_a_connection == 0) {
            grpc::ChannelArguments own;
            own.SetInt("grpc.use_local_subchannel_pool", 1);
            channel = grpc::CreateCustomChannel(to.text(), grpc::InsecureChannelCredentials(), own);
        }
        auto call = std::make_unique<lasting>();
        call->channel = channel;
        call->stub = wire::Streams::NewStub(channel);
        call->reader = call->stub->Read(&call->context, request);
        wire::ReadResp first;
        if (!call->reader->Read(&first)) {
            break;
        }
        calls.push_back(std::move(call));
    }
    std::cout << calls.size() << std::endl;
    for (const auto& call : calls) {
        call->context.TryCancel();
        static_cast<void>(call->reader->Finish());
    }
    return 0;
}

int drive(const driver_settings& settings) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    runtime::engine engine({.threads = 2});
    engine.start();
    faults::history kept(settings.history);
    kept.boot();
    acknowledgements acks;
    std::vector<std::unique_ptr<client>> clients;
    for (std::uint64_t i = 0; i < settings.clients; ++i) {
        clients.push_back(std::make_unique<client>(settings, i, engine, kept, acks));
        clients.back()->start();
    }
    int signal = 0;
    sigwait(&ends, &signal);
    for (const auto& each : clients) {
        each->stop_writing();
    }
    for (const auto& each : clients) {
        each->await_writer();
    }
    bool wronged = false;
    for (const auto& each : clients) {
        each->finish();
        wronged = wronged || each->is_wronged();
    }
    engine.stop();
    return wronged ? 5 : 0;
}

} // namespace

int main(int argc, char** argv) {
    base::configure_log(base::log_level::off, base::log_format::text);
    driver_settings settings;
    bool capacity = false;
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--capacity") {
            capacity = true;
            continue;
        }
        const std::string value = i + 1 < argc ? argv[++i] : "";
        const std::map<std::string_view, std::uint64_t*> numbers{{"--clients", &settings.clients},
                                                                 {"--seed", &settings.seed},
                                                                 {"--padding", &settings.padding},
                                                                 {"--pause", &settings.pause}};
        if (name == "--uri") {
            settings.uri = value;
        } else if (name == "--prefix") {
            settings.prefix = value;
        } else if (name == "--plant") {
            settings.skips = value == "resume_skips";
        } else if (name == "--history") {
            settings.history = value;
        } else if (const auto found = numbers.find(name); found != numbers.end()) {
            std::from_chars(value.data(), value.data() + value.size(), *found->second);
        }
    }
    if (!eventstore::parse_connection_string(settings.uri) ||
        (settings.history.empty() && !capacity)) {
        std::cerr << "usage: network_driver --uri TEXT --history FILE [--clients N] [--seed S]\n"
                     "                      [--padding BYTES] [--pause MS] [--prefix TEXT]\n"
                     "                      [--plant resume_skips], or --uri TEXT "
                     "--capacity\n";
        return 2;
    }
    return capacity ? tell_capacity(settings.uri) : drive(settings);
}
