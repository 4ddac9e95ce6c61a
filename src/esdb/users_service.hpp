// The Users service: administrators manage users; everybody may change the own password.
#pragma once

#include "esdb/authorizer.hpp"
#include "esdb/method_table.hpp"
#include "esdb/user_directory.hpp"

namespace immortal::esdb {

// What is given outlives the table. `users` null: security is off, every call is refused with a
// sentence that says so.
void add_users(method_table& methods, authorizer& rules, user_directory* users);

} // namespace immortal::esdb
