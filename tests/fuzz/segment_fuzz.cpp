// A segment of any bytes: as it is, and with its checksums put right so that what they guard is
// reached too. Nothing may crash; what is read whole can be read again, record by record.
#include "base/memory_file_system.hpp"
#include "eventlog/segment_walk.hpp"
#include "eventlog/verify.hpp"
#include "fuzz.hpp"

#include <cstring>
#include <string>

namespace {

using namespace immortal; // NOLINT: a fuzz target
namespace format = eventlog::format;

template <typename Header>
Header header_at(const std::string& bytes, std::size_t at) {
    return format::load<Header>(std::as_bytes(std::span(bytes)).subspan(at));
}

// Puts the checksums of the header, the frames and their records right, as far as sizes allow.
void mend(std::string& bytes) {
    if (bytes.size() < sizeof(format::segment_header)) {
        return;
    }
    auto header = header_at<format::segment_header>(bytes, 0);
    header.magic = format::segment_magic;
    header.number = 0;
    header.first_position = 0;
    header.crc = format::checksum(header);
    std::memcpy(bytes.data(), &header, sizeof header);
    std::size_t at = sizeof header;
    while (at + sizeof(format::frame_header) <= bytes.size()) {
        auto frame = header_at<format::frame_header>(bytes, at);
        frame.magic = format::frame_magic;
        frame.position = at;
        frame.crc = format::checksum(frame);
        std::memcpy(bytes.data() + at, &frame, sizeof frame);
        std::size_t record = at + sizeof frame;
        const std::size_t end = std::min<std::size_t>(bytes.size(), at + frame.length);
        while (record + sizeof(format::record_header) <= end) {
            const auto of = header_at<format::record_header>(bytes, record);
            if (of.length < sizeof of || of.length > end - record) {
                break;
            }
            const auto body = std::as_bytes(std::span(bytes)).subspan(record + 4, of.length - 4);
            const std::uint32_t crc = base::crc32c(body);
            std::memcpy(bytes.data() + record, &crc, sizeof crc);
            record += of.length;
        }
        if (frame.length < sizeof frame) {
            return;
        }
        at += frame.length;
    }
}

void read(const std::string& bytes) {
    base::memory_file_system disk;
    const std::string path = "/log/" + format::segment_name(0);
    disk.set_contents(path, bytes);
    eventlog::scan_state state;
    if (bytes.size() >= sizeof(format::segment_header)) {
        const auto header = header_at<format::segment_header>(bytes, 0);
        state.log_id.bytes = header.log_id;
        state.chain = header.previous_chain;
    }
    auto walk = eventlog::segment_walk::open(disk, "/log", 0);
    fuzz::require(walk.has_value());
    const auto fault = walk->enter(state);
    fuzz::require(fault.has_value());
    if (*fault) {
        fuzz::require(!(*fault)->what.empty());
        return;
    }
    fuzz::require(walk->check_contents().has_value());
    std::uint64_t records = 0;
    eventlog::scan_visitor visit;
    visit.record = [&](const eventlog::record_view& record) {
        ++records;
        fuzz::require(record.position.value >= sizeof(format::segment_header));
        fuzz::require(eventlog::to_event(record).data.size() == record.data.size());
    };
    eventlog::chain_hasher hasher;
    const auto scanned = walk->scan(walk->size(), state, hasher, visit);
    fuzz::require(!scanned || state.events == records);
    fuzz::require(!scanned || *scanned || state.end.value == walk->size());
}

void verify(const std::string& bytes) {
    base::memory_file_system disk;
    disk.set_contents("/log/anchor", std::string(8192, '\0'));
    disk.set_contents("/log/" + format::segment_name(0), bytes);
    const auto report = eventlog::verify("/log", disk);
    fuzz::require(!report || !report->sound()); // without an anchor nothing is
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string bytes(immortal::fuzz::text_of(data, size));
    read(bytes);
    verify(bytes);
    mend(bytes);
    read(bytes);
    verify(bytes);
    return 0;
}
