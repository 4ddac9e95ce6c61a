// The rights of clients where the program around the server keeps streams of its own.
#pragma once

#include "esdb/authorizer.hpp"
#include "esdb/reserved_streams.hpp"

#include <memory>

namespace immortal::esdb {

// Like `inner`, but nobody has a right to change a stream of `kept` or its metadata: refused before
// what should be written there is received. Errors: also those of check_kept().
[[nodiscard]] std::unique_ptr<authorizer> make_keeping_authorizer(std::unique_ptr<authorizer> inner,
                                                                  kept_families kept);

} // namespace immortal::esdb
