// What the handlers work with. Everything outlives the application.
#pragma once

#include "base/metrics.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace immortal::accounts {
class service;
}
namespace immortal::cache {
class presence;
}
namespace immortal::commands {
class service;
}
namespace immortal::eventstore {
class event_store;
}
namespace immortal::game {
class catalog;
}
namespace immortal::postgres {
class database;
}
namespace immortal::readmodel {
class progress;
class queries;
class views;
} // namespace immortal::readmodel
namespace immortal::redis {
class client;
}

namespace immortal::api {

// A part of the process as GET /readyz shows it.
struct component {
    enum class condition : std::uint8_t { ok, degraded, failed };
    struct report {
        condition now = condition::ok;
        std::string state; // "writable", "unreachable", ...: words, never addresses or paths
    };
    std::string name; // camelCase
    // Without it requests cannot be served: a failed one makes the process not ready.
    bool required = false;
    std::function<report()> ask; // thread-safe, does not wait
};

struct services {
    accounts::service& accounts;
    commands::service& commands;
    readmodel::views& views;
    readmodel::queries& queries;
    readmodel::progress& progress;
    eventstore::event_store& store;
    postgres::database& database;
    redis::client* redis = nullptr;      // null: no Redis is used
    cache::presence* presence = nullptr; // null: nobody can be told to be online
    const game::catalog& catalog;
    base::metrics& metrics;
    std::string version;                         // of the program, for the OpenAPI document
    std::vector<component> more_components = {}; // beside store, PostgreSQL, Redis, projector
};

} // namespace immortal::api
