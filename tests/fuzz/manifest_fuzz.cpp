// A backup's manifest of any bytes: what is read is written back the same.
#include "eventlog/backup_manifest.hpp"
#include "fuzz.hpp"

using namespace immortal; // NOLINT: a fuzz target

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto manifest = eventlog::parse_manifest("manifests/fuzz", fuzz::text_of(data, size));
    if (manifest) {
        const auto again = eventlog::parse_manifest("manifests/fuzz", eventlog::to_text(*manifest));
        fuzz::require(again.has_value() && *again == *manifest);
    }
    return 0;
}
