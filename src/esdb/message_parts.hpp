// How many objects a message would become. A message of two bytes for each part costs a hundred
// times as much memory once it is parsed, so large ones are looked over first. For .cpp files.
#pragma once

#include "eventlog/event.hpp"

#include <cstddef>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/zero_copy_stream.h>
#include <optional>

namespace immortal::esdb {

// Of the largest append: an event may have its schema and seven properties.
inline constexpr std::size_t message_parts_max = 16 * eventlog::append_events_max;
inline constexpr std::size_t part_bytes = 96; // about what one takes, beside its texts
inline constexpr std::size_t unlooked_bytes_max = 64 * 1024; // smaller messages cannot cost much

// Messages, map entries and repeated texts in the message of that type in `bytes`, at any depth.
// They are counted up to the first beyond `parts_max`. Empty: the bytes are no message.
[[nodiscard]] std::optional<std::size_t>
count_parts(google::protobuf::io::ZeroCopyInputStream& bytes,
            const google::protobuf::Descriptor& type, std::size_t parts_max = message_parts_max);

} // namespace immortal::esdb
