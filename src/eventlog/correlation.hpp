// The one thing the log reads in metadata: the correlation id, for its index.
#pragma once

#include <string>
#include <string_view>

namespace immortal::eventlog {

// The string at key "$correlationId" of a JSON object, the last one if there are several; empty if
// there is none or `metadata` is no JSON object. Refers to `metadata`, or to `buffer` if the text
// has escapes.
[[nodiscard]] std::string_view correlation_of(std::string_view metadata, std::string& buffer);

} // namespace immortal::eventlog
