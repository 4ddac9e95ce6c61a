#include "eventlog/frame_reader.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstring>

namespace immortal::eventlog {

using format::frame_header;

frame_reader::frame_reader(base::file& file, base::position first, base::position begin,
                           base::position end, std::size_t piece)
    : file_(file), first_(first), at_(begin), end_(end), piece_(piece), buffer_at_(begin) {
    IMMORTAL_ASSERT(first <= begin);
}

base::file_result<bool> frame_reader::have(std::uint64_t bytes) {
    const std::uint64_t skip = at_.value - buffer_at_.value;
    if (skip + bytes <= buffer_size_) {
        return true;
    }
    if (at_ > end_ || bytes > end_.value - at_.value) {
        return false;
    }
    const std::size_t keep = skip < buffer_size_ ? buffer_size_ - skip : 0;
    const std::uint64_t wanted =
        std::min<std::uint64_t>(std::max<std::uint64_t>(bytes, piece_), end_.value - at_.value);
    if (keep > 0) {
        std::memmove(buffer_.data(), buffer_.data() + skip, keep);
    }
    if (buffer_.size() < wanted) {
        buffer_.resize(wanted);
    }
    buffer_at_ = at_;
    buffer_size_ = keep;
    const auto got = file_.read_at(at_.value - first_.value + keep,
                                   std::span(buffer_).subspan(keep, wanted - keep));
    if (!got) {
        return std::unexpected(got.error());
    }
    buffer_size_ += *got;
    return buffer_size_ >= bytes;
}

base::file_result<frame_reader::outcome> frame_reader::next(frame_view& out) {
    if (at_ >= end_) {
        return outcome::end;
    }
    auto enough = have(sizeof(frame_header));
    if (!enough) {
        return std::unexpected(enough.error());
    }
    if (!*enough) {
        return outcome::cut_off;
    }
    const auto header =
        format::load<frame_header>(std::span(buffer_).subspan(at_.value - buffer_at_.value));
    if (header.magic != format::frame_magic || header.crc != format::checksum(header) ||
        header.position != at_.value || header.length < sizeof(frame_header) || header.count == 0) {
        return outcome::damaged;
    }
    enough = have(header.length);
    if (!enough) {
        return std::unexpected(enough.error());
    }
    if (!*enough) {
        return outcome::cut_off;
    }
    out.header = header;
    out.bytes = std::span(buffer_).subspan(at_.value - buffer_at_.value, header.length);
    at_ = out.end();
    return outcome::frame;
}

bool record_walk::next(record_view& out) {
    if (left_ == 0) {
        damaged_ = damaged_ || !rest_.empty();
        return false;
    }
    if (damaged_ || parse_record(rest_, at_, out) != parse_outcome::good ||
        out.last_in_batch() != (left_ == 1)) {
        damaged_ = true;
        return false;
    }
    rest_ = rest_.subspan(out.length);
    at_ = out.end();
    --left_;
    return true;
}

} // namespace immortal::eventlog
