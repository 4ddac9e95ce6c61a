// What idle subscriptions cost an append: its median with thousands of them waiting against the
// median with none, at the port and through the gRPC server, in this process.
//
// usage: subscriptions_bench FOLDER [SUBSCRIPTIONS [APPENDS]]
#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "bench/arguments.hpp"
#include "bench/figure.hpp"
#include "esdb/protocol_server.hpp"
#include "esproto/event.hpp"
#include "esproto/wire/streams.grpc.pb.h"
#include "eventlog/log.hpp"
#include "eventstore/embedded_store.hpp"
#include "runtime/engine.hpp"

#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <grpcpp/create_channel.h>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace immortal;
using bench::steady;
namespace wire = ::event_store::client::streams;

constexpr std::size_t subscriptions_per_channel = 500;
constexpr double ratio_max = 1.2;

base::uuid next_id() {
    static std::uint64_t number = 0;
    base::uuid id;
    ++number;
    id.bytes[0] = 1;
    for (std::size_t i = 0; i < 8; ++i) {
        id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
    return id;
}

// --- at the port ---

double append_at_port(runtime::engine& engine, eventstore::event_store& store,
                      std::size_t appends) {
    bench::latencies took;
    for (std::size_t i = 0; i < appends; ++i) {
        std::vector<eventlog::stream_write> writes;
        writes.push_back({"written-1", {}, {{next_id(), "Happened", "{}", "", {}}}});
        const auto begun = steady::now();
        if (!engine.run(store.append(std::move(writes)))) {
            throw std::runtime_error("an append failed");
        }
        took.add(steady::now() - begun);
    }
    return took.quantile(0.5);
}

// Waits in the store for a stream that nobody writes.
struct waiting_reader {
    std::unique_ptr<eventstore::subscription> events;
    std::future<void> ended;
};

runtime::awaitable<void> wait_for_events(eventstore::subscription* events,
                                         std::atomic<std::size_t>* caught_up) {
    for (;;) {
        const auto batch = co_await events->next(32);
        if (!batch) {
            co_return;
        }
        ++*caught_up;
    }
}

double append_beside_readers(runtime::engine& engine, eventstore::event_store& store,
                             std::size_t subscriptions, std::size_t appends) {
    std::atomic<std::size_t> caught_up{0};
    std::vector<waiting_reader> readers;
    for (std::size_t i = 0; i < subscriptions; ++i) {
        auto events = store.subscribe_stream(fmt::format("idle-{}", i), std::nullopt);
        auto* waiting = events.get();
        readers.push_back(
            {std::move(events),
             boost::asio::co_spawn(boost::asio::make_strand(engine.executor()),
                                   wait_for_events(waiting, &caught_up), boost::asio::use_future)});
    }
    while (caught_up < subscriptions) {
        std::this_thread::yield();
    }
    const double p50 = append_at_port(engine, store, appends);
    for (auto& one : readers) {
        one.events->cancel();
    }
    for (auto& one : readers) {
        one.ended.wait();
    }
    return p50;
}

// --- through the server ---

std::shared_ptr<grpc::Channel> connect(std::uint16_t port) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("grpc.use_local_subchannel_pool", 1); // a connection of its own
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port),
                                     grpc::InsecureChannelCredentials(), arguments);
}

double append_through(std::uint16_t port, std::size_t appends) {
    const auto streams = wire::Streams::NewStub(connect(port));
    bench::latencies took;
    for (std::size_t i = 0; i < appends; ++i) {
        grpc::ClientContext context;
        wire::AppendResp response;
        const auto begun = steady::now();
        const auto writer = streams->Append(&context, &response);
        wire::AppendReq message;
        auto& options = *message.mutable_options();
        options.mutable_stream_identifier()->set_stream_name("written-1");
        options.mutable_any();
        writer->Write(message);
        message.Clear();
        auto& event = *message.mutable_proposed_message();
        esproto::write_uuid(next_id(), esproto::uuid_form::string, *event.mutable_id());
        (*event.mutable_metadata())["type"] = "Happened";
        (*event.mutable_metadata())["content-type"] = "application/json";
        event.set_data("{}");
        writer->WriteLast(message, {});
        const grpc::Status status = writer->Finish();
        took.add(steady::now() - begun);
        if (!status.ok() || !response.has_success()) {
            throw std::runtime_error("an append failed: " + status.error_message());
        }
    }
    return took.quantile(0.5);
}

// Subscriptions of a client that reads what comes, and nothing comes after the beginning.
class idle_client {
public:
    idle_client(std::uint16_t port, std::size_t subscriptions) {
        for (std::size_t i = 0; i < subscriptions; ++i) {
            if (i % subscriptions_per_channel == 0) {
                stubs_.push_back(wire::Streams::NewStub(connect(port)));
            }
            calls_.push_back(std::make_unique<one_call>());
            one_call& made = *calls_.back();
            wire::ReadReq request;
            auto& options = *request.mutable_options();
            auto& stream = *options.mutable_stream();
            stream.mutable_stream_identifier()->set_stream_name(fmt::format("idle-{}", i));
            stream.mutable_start();
            options.mutable_subscription();
            options.mutable_no_filter();
            options.mutable_uuid_option()->mutable_string();
            made.reader = stubs_.back()->AsyncRead(&made.context, request, &queue_, &made);
        }
        thread_ = std::thread([this] { run(); });
        while (caught_up_ < subscriptions) {
            std::this_thread::yield();
        }
    }
    ~idle_client() {
        for (auto& one : calls_) {
            one->context.TryCancel();
        }
        thread_.join();
        queue_.Shutdown();
    }
    idle_client(const idle_client&) = delete;
    idle_client& operator=(const idle_client&) = delete;

private:
    struct one_call {
        grpc::ClientContext context;
        wire::ReadResp message;
        std::unique_ptr<grpc::ClientAsyncReader<wire::ReadResp>> reader;
    };

    void run() {
        void* tag = nullptr;
        bool good = false;
        for (std::size_t ended = 0; ended < calls_.size() && queue_.Next(&tag, &good);) {
            auto& one = *static_cast<one_call*>(tag);
            if (!good) {
                ++ended;
                continue;
            }
            caught_up_ += one.message.has_caught_up() ? 1 : 0;
            one.message.Clear();
            one.reader->Read(&one.message, &one);
        }
    }

    grpc::CompletionQueue queue_;
    std::vector<std::unique_ptr<wire::Streams::Stub>> stubs_;
    std::vector<std::unique_ptr<one_call>> calls_;
    std::atomic<std::size_t> caught_up_{0};
    std::thread thread_;
};

void print_pair(const std::string& where, std::size_t subscriptions, double none, double many) {
    bench::print_figure(fmt::format("append p50 {}, no subscription", where), none, "ms", 0, "");
    bench::print_figure(fmt::format("append p50 {}, {} idle subscriptions", where, subscriptions),
                        many, "ms", 0, "");
    bench::print_figure(
        fmt::format("append p50 {}, {} idle subscriptions against none", where, subscriptions),
        many / none, "times", 0, fmt::format("<= {}", ratio_max));
}

} // namespace

int main(int argc, char** argv) {
    std::string folder = "/tmp/immortal_subscriptions_bench";
    std::size_t subscriptions = 4'000;
    std::size_t appends = 4'000;
    bench::arguments("subscriptions_bench", "Appends beside subscriptions that wait.")
        .word("FOLDER", folder, "Of the event log; made anew")
        .word("SUBSCRIPTIONS", subscriptions, "That wait")
        .word("APPENDS", appends, "That are measured")
        .read(argc, argv);
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);

    base::system_clock clock;
    base::system_random random;
    base::posix_file_system files;
    auto log =
        eventlog::log::open({.folder = folder + "/log", .index = {.folder = folder + "/index"}},
                            files, clock, random, nullptr);
    if (!log) {
        fmt::print(stderr, "{}\n", log.error().message);
        return 1;
    }
    const auto store = eventstore::make_embedded_store(**log);
    runtime::engine engine;
    engine.start();
    (void)append_at_port(engine, *store, appends / 10); // warm
    const double port_none = append_at_port(engine, *store, appends);
    const double port_many = append_beside_readers(engine, *store, subscriptions, appends);
    print_pair("at the port", subscriptions, port_none, port_many);

    esdb::protocol_settings settings;
    settings.server.port = 0;
    esdb::protocol_server server(engine, *store, clock, random, settings);
    if (const auto started = server.start(); !started) {
        fmt::print(stderr, "{}\n", started.error().message);
        return 1;
    }
    (void)append_through(server.port(), appends / 10);
    const double grpc_none = append_through(server.port(), appends);
    double grpc_many = 0;
    {
        const idle_client idle(server.port(), subscriptions);
        grpc_many = append_through(server.port(), appends);
    }
    print_pair("through gRPC", subscriptions, grpc_none, grpc_many);
    server.stop(std::chrono::seconds(5));
    engine.stop();
    return 0;
}
