// Reads from a remote store. Blocking; any thread. As the functions of event_store.
#pragma once

#include "eventstore/event_store.hpp"

namespace immortal::eventstore {

class remote_link;

[[nodiscard]] base::result<stream_page> read_stream_remotely(remote_link& link,
                                                             const std::string& stream,
                                                             base::revision from, direction way,
                                                             std::size_t count_max);
[[nodiscard]] base::result<all_page> read_all_remotely(remote_link& link, base::position from,
                                                       direction way, std::size_t count_max,
                                                       const all_filter& filter);
[[nodiscard]] base::result<stream_info> info_remotely(remote_link& link, const std::string& stream);
// The newest event of everything; empty: there is none.
[[nodiscard]] base::result<std::optional<base::position>> head_remotely(remote_link& link);

} // namespace immortal::eventstore
