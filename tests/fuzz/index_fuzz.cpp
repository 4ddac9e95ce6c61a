// Entries of the index of any bytes. A block that is read is ascending and is written back the same
// in meaning; so is a checkpoint.
#include "eventlog/index_keys.hpp"
#include "fuzz.hpp"

using namespace immortal; // NOLINT: a fuzz target
namespace keys = eventlog::index_keys;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes = fuzz::text_of(data, size);
    std::vector<base::position> block;
    if (keys::read_block(bytes, block)) {
        for (std::size_t i = 1; i < block.size(); ++i) {
            fuzz::require(block[i - 1] < block[i]);
        }
        std::string again;
        keys::put_block(block, again);
        std::vector<base::position> second;
        fuzz::require(keys::read_block(again, second) && second == block);
    }
    if (const auto checkpoint = keys::read_checkpoint(bytes)) {
        fuzz::require(keys::read_checkpoint(keys::to_bytes(*checkpoint)) == checkpoint);
    }
    return 0;
}
