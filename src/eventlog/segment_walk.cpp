#include "eventlog/segment_walk.hpp"

#include "base/assert.hpp"
#include "eventlog/scavenged_file.hpp"

#include <array>

namespace immortal::eventlog {
namespace {

std::string header_problem(const format::segment_header& header, const scan_state& state,
                           chain_check chain) {
    if (header.magic != format::segment_magic || header.crc != format::checksum(header)) {
        return "the segment's header is damaged";
    }
    if (header.version != format::version ||
        (header.flags & ~format::segment_flag::scavenged) != 0 ||
        header.chain_algorithm != format::chain_sha256 || header.header_size != sizeof(header)) {
        return "the segment was written by a newer version of this program";
    }
    if (header.log_id != state.log_id.bytes) {
        return "the segment belongs to another log";
    }
    if (header.number != state.next_segment || header.first_position != state.end.value) {
        return "the segment belongs to another place of the log";
    }
    if (chain == chain_check::continues && header.previous_chain != state.chain) {
        return "the segment does not continue the one before it";
    }
    return {};
}

} // namespace

base::file_result<segment_walk> segment_walk::open(base::file_system& files,
                                                   const std::string& folder, std::uint32_t number,
                                                   base::open_mode mode) {
    auto file = files.open(folder + "/" + format::segment_name(number), mode);
    return file ? open(std::move(*file), number)
                : base::file_result<segment_walk>(std::unexpected(file.error()));
}

base::file_result<segment_walk> segment_walk::open(std::unique_ptr<base::file> file,
                                                   std::uint32_t number) {
    IMMORTAL_ASSERT(file != nullptr);
    segment_walk out;
    out.number_ = number;
    std::array<std::byte, sizeof(format::segment_header)> bytes{};
    const auto got = file->read_at(0, bytes);
    const auto stored_size = got ? file->size() : base::file_result<std::uint64_t>(0);
    if (!got || !stored_size) {
        return std::unexpected(got ? stored_size.error() : got.error());
    }
    out.stored_size_ = *stored_size;
    out.stored_ = file.get();
    out.readable_ = *got == bytes.size();
    out.raw_ = format::load<format::segment_header>(bytes);
    if (out.readable_ && out.raw_.magic == format::segment_magic &&
        out.raw_.crc == format::checksum(out.raw_) && out.raw_.number == number) {
        out.header_ = out.raw_;
    }
    auto shown = show_whole_segment(std::move(file));
    const auto size = shown ? (*shown)->size() : base::file_result<std::uint64_t>(0);
    if (!shown || !size) {
        return std::unexpected(shown ? size.error() : shown.error());
    }
    out.shown_ = std::move(*shown);
    out.size_ = *size;
    return out;
}

base::file_result<std::optional<scan_fault>> segment_walk::enter(const scan_state& state,
                                                                 chain_check chain) {
    IMMORTAL_ASSERT(entered_ == nullptr && shown_ != nullptr);
    IMMORTAL_ASSERT(state.next_segment == number_);
    std::string problem =
        readable_ ? header_problem(raw_, state, chain) : "the segment's header is cut off";
    if (!problem.empty()) {
        return scan_fault{state.end, 0, std::move(problem)};
    }
    entered_ = std::make_shared<segment>(raw_, std::move(shown_));
    IMMORTAL_ASSERT(entered_->first() == state.end && entered_->number() == number_);
    return std::nullopt;
}

base::file_result<std::optional<scan_fault>> segment_walk::check_contents() {
    if (!entered()->scavenged()) {
        return std::nullopt;
    }
    const auto holds = content_hash_holds(*stored_, raw_);
    if (!holds) {
        return std::unexpected(holds.error());
    }
    return *holds
               ? std::optional<scan_fault>()
               : scan_fault{entered()->first(), 0, "the scavenged segment fails its content hash"};
}

const std::shared_ptr<segment>& segment_walk::entered() const {
    IMMORTAL_ASSERT(entered_ != nullptr);
    return entered_;
}

base::file_result<std::optional<scan_fault>> segment_walk::scan(std::uint64_t size,
                                                                scan_state& state,
                                                                chain_hasher& hasher,
                                                                const scan_visitor& visit) {
    const segment& one = *entered();
    if (size < one.offset_of(one.first_frame())) {
        return scan_fault{one.first(), size, "the segment is shorter than its header"};
    }
    return scan_frames(one, size, state, hasher, visit);
}

} // namespace immortal::eventlog
