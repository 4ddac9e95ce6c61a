// Security on: Basic credentials, users, access lists.
#pragma once

#include "esdb/authorizer.hpp"
#include "esdb/user_directory.hpp"

namespace immortal::esdb {

struct access_settings {
    bool anonymous_streams = false; // callers without credentials may use streams as "$all" may
};

// A caller without credentials but with a verified client certificate is the user named by its
// common name. `users` and `store` outlive it. Access lists are read from the store at each call,
// so a change counts from its acknowledgement on.
[[nodiscard]] std::unique_ptr<authorizer> make_access_control(user_directory& users,
                                                              eventstore::event_store& store,
                                                              access_settings settings);

} // namespace immortal::esdb
