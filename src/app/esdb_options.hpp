// From the configuration to the EventStoreDB protocol's server.
#pragma once

#include "app/settings.hpp"
#include "base/result.hpp"
#include "esdb/protocol_server.hpp"

namespace immortal::app {

// Reads the TLS files; with TLS there are users and access lists. Errors: a sentence for the
// operator that names the key and the file.
[[nodiscard]] base::result<esdb::protocol_settings> esdb_options(const settings& options);

// Shows the password of a user that was just made, on standard output, or on standard error if that
// cannot be written: it is kept nowhere else.
void print_first_password(const std::optional<esdb::first_user>& made);

} // namespace immortal::app
