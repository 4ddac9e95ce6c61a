// The rule that decides who may do what to a stream. Pure.
//
// A stream's `$acl` names roles for each right; a right that is not named there falls to the
// defaults, which the last event of `$settings` may replace. A role is a group ("$admins", "$ops",
// any other), a login name, or "$all": everybody.
#pragma once

#include "esdb/principal.hpp"
#include "eventlog/stream_metadata.hpp"

#include <string>
#include <string_view>

namespace immortal::esdb {

using eventlog::stream_access;

struct default_access {
    stream_access user_streams;
    stream_access system_streams; // names that begin with '$'
};

// User streams: everybody everything; system streams: "$admins".
[[nodiscard]] default_access built_in_access();
// With what the data of the last `$settings` event (`$userStreamAcl`, `$systemStreamAcl`) changes.
// Lenient, like parse_stream_metadata().
[[nodiscard]] default_access parse_default_access(std::string_view settings_json);

// `$$x` is the metadata stream of `x`: to read (write) it is the right read_metadata
// (write_metadata) on x.
struct access_target {
    std::string stream; // whose `$acl` counts
    stream_right right;
};
[[nodiscard]] access_target access_target_of(std::string_view stream, stream_right right);

// `acl`: of what.stream. Administrators may everything.
[[nodiscard]] bool may(const principal& who, const access_target& what, const stream_access& acl,
                       const default_access& defaults);

} // namespace immortal::esdb
