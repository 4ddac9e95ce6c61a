// How many objects a message would become. A message of two bytes for each part costs a hundred
// times as much memory once it is parsed, so large ones are looked over first. For .cpp files.
#pragma once

#include <cstddef>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/zero_copy_stream.h>

namespace immortal::esdb {

inline constexpr std::size_t message_parts_max = 1'000'000;
inline constexpr std::size_t unlooked_bytes_max = 64 * 1024; // smaller messages cannot cost much

// Whether the message of that type in `bytes` has at most `parts_max` messages, map entries and
// repeated texts in it, at any depth. False as well for bytes that are no message.
[[nodiscard]] bool has_few_parts(google::protobuf::io::ZeroCopyInputStream& bytes,
                                 const google::protobuf::Descriptor& type,
                                 std::size_t parts_max = message_parts_max);

} // namespace immortal::esdb
