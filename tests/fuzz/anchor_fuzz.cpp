// A head anchor of any bytes, its checksums put right on every second look. What is read is what a
// slot holds, and what is stored over it is read back.
#include "base/memory_file_system.hpp"
#include "eventlog/anchor.hpp"
#include "eventlog/format.hpp"
#include "fuzz.hpp"

#include <cstring>
#include <string>

namespace {

using namespace immortal; // NOLINT: a fuzz target
using eventlog::format::anchor_slot;

void look(const std::string& bytes) {
    base::memory_file_system disk;
    disk.set_contents("/log/anchor", bytes);
    auto opened = eventlog::head_anchor::open(disk, "/log", base::open_mode::read_write);
    fuzz::require(opened.has_value());
    if (!*opened) {
        return;
    }
    eventlog::anchor_state next = (*opened)->state();
    if (next.end.value > ~0ull - 100) {
        return;
    }
    next.end.value += 100;
    next.event_count += 1;
    fuzz::require((*opened)->store(next).has_value());
    const auto again = eventlog::head_anchor::open(disk, "/log", base::open_mode::read);
    fuzz::require(again.has_value() && again->has_value());
    // A sequence at its end is the only thing that could hide the newer slot.
    const auto sequence = [&](std::size_t at) {
        return bytes.size() < at + sizeof(anchor_slot)
                   ? 0
                   : eventlog::format::load<anchor_slot>(
                         std::as_bytes(std::span(bytes)).subspan(at))
                         .sequence;
    };
    fuzz::require((*again)->state() == next || sequence(0) == ~0ull || sequence(4096) == ~0ull);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string bytes(fuzz::text_of(data, size));
    look(bytes);
    for (const std::size_t at :
         {std::size_t{0}, std::size_t{eventlog::format::anchor_slot_distance}}) {
        if (bytes.size() >= at + sizeof(anchor_slot)) {
            auto slot =
                eventlog::format::load<anchor_slot>(std::as_bytes(std::span(bytes)).subspan(at));
            slot.magic = eventlog::format::anchor_magic;
            slot.version = eventlog::format::version;
            slot.crc = eventlog::format::checksum(slot);
            std::memcpy(bytes.data() + at, &slot, sizeof slot);
        }
    }
    look(bytes);
    return 0;
}
