// The Operations service: scavenges, shutdown, and what a single server answers without doing.
// What is recorded of scavenges is written by eventstore/scavenge_history.hpp, whoever began them.
#pragma once

#include "esdb/method_table.hpp"
#include "esdb/service_context.hpp"
#include "eventlog/scavenger.hpp"

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
    operations_service(service_context context, operations_hooks hooks);
    ~operations_service();
    operations_service(const operations_service&) = delete;
    operations_service& operator=(const operations_service&) = delete;

    void add_to(method_table& methods); // it may not outlive the service

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::esdb
