// Metadata of a stream of any bytes: never refused, and an undeleted stream begins where it was
// told to.
#include "eventlog/stream_metadata.hpp"
#include "fuzz.hpp"

using namespace immortal; // NOLINT: a fuzz target

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view json = fuzz::text_of(data, size);
    const auto metadata = eventlog::parse_stream_metadata(json);
    fuzz::require(!metadata.max_count || *metadata.max_count > 0);
    fuzz::require(!metadata.max_age || metadata.max_age->count() > 0);
    static_cast<void>(eventlog::lowest_readable(metadata, {1000}));
    const base::revision from{size};
    const std::string undeleted = eventlog::undeleting_metadata(json, from);
    fuzz::require(eventlog::parse_stream_metadata(undeleted).truncate_before == from.value);
    return 0;
}
