// The Operations service: scavenges, shutdown, and what a single server answers without doing.
//
// A scavenge is told in the stream `$scavenges-<id>` (`$scavengeStarted`, `$scavengeCompleted`),
// with links to both in `$scavenges`.
#pragma once

#include "esdb/method_table.hpp"
#include "esdb/service_context.hpp"
#include "eventlog/scavenger.hpp"
#include "runtime/task_group.hpp"

#include <functional>
#include <memory>
#include <string>

namespace immortal::esdb {

// What operations need of the rest; outlives the service. Empty: refused with a sentence.
struct operations_hooks {
    eventlog::scavenger* scavenges = nullptr;
    std::function<void()> shut_down = {}; // begins an orderly end; returns at once
    std::function<awaitable<base::status>()> restart_subscriptions = {};
};

class operations_service {
public:
    operations_service(service_context context, runtime::any_io_executor executor,
                       operations_hooks hooks);
    ~operations_service(); // stop() comes before
    operations_service(const operations_service&) = delete;
    operations_service& operator=(const operations_service&) = delete;

    void add_to(method_table& methods); // it may not outlive the service

    // Says of the last scavenge, if a crash ended it, that it was interrupted. Errors: those of the
    // store.
    [[nodiscard]] awaitable<base::status> start();
    // Stops the scavenge that this service began and finishes writing about it. Blocks.
    void stop(runtime::engine& engine);

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::esdb
