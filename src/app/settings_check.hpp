// What the registry of keys cannot know of a configuration.
#pragma once

#include "app/settings.hpp"
#include "base/result.hpp"

#include <cstdint>

namespace immortal::app {

enum class server_kind : std::uint8_t { game, store }; // `immortal serve`, `immortal store serve`

// Whether a server of this kind can be started with `options`, as far as that can be known without
// the machine's ports and other processes: addresses and connection strings can be read, the files
// of TLS too, and belong together; the two interfaces have not one port; what is served beyond
// loopback has TLS. For every start and every reload, before anything is done. All
// sections are looked at, also those that only the other kind needs, but the TLS files of a
// protocol that is not served. Reads files. Errors: invalid_argument, a sentence that names the key
// and what was expected.
[[nodiscard]] base::status check_settings(const settings& options, server_kind kind);

// Whether this kind of server serves the EventStoreDB protocol with `options`.
[[nodiscard]] bool serves_protocol(const settings& options, server_kind kind);

} // namespace immortal::app
