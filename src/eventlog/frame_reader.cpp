#include "eventlog/frame_reader.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <cstring>

namespace immortal::eventlog {

using format::frame_header;

log_window::log_window(base::file& file, base::position first, base::position begin,
                       base::position end, std::size_t piece)
    : file_(file), first_(first), end_(end), piece_(piece), buffer_at_(begin) {
    IMMORTAL_ASSERT(first <= begin && piece > 0);
}

base::file_result<bool> log_window::have(base::position at, std::uint64_t bytes) {
    IMMORTAL_ASSERT(at >= buffer_at_);
    const std::uint64_t skip = at.value - buffer_at_.value;
    if (skip + bytes <= buffer_size_) {
        return true;
    }
    if (at > end_ || bytes > end_.value - at.value) {
        return false;
    }
    const std::size_t keep = skip < buffer_size_ ? buffer_size_ - skip : 0;
    const std::uint64_t wanted =
        std::min<std::uint64_t>(std::max<std::uint64_t>(bytes, piece_), end_.value - at.value);
    IMMORTAL_ASSERT(keep < wanted);
    if (keep > 0) {
        std::memmove(buffer_.data(), buffer_.data() + skip, keep);
    }
    if (buffer_.size() < wanted) {
        buffer_.resize(wanted);
    }
    buffer_at_ = at;
    buffer_size_ = keep;
    const auto got = file_.read_at(at.value - first_.value + keep,
                                   std::span(buffer_).subspan(keep, wanted - keep));
    if (!got) {
        return std::unexpected(got.error());
    }
    IMMORTAL_ASSERT(*got <= wanted - keep);
    buffer_size_ += *got;
    return buffer_size_ >= bytes;
}

std::span<const std::byte> log_window::from(base::position at) const {
    IMMORTAL_ASSERT(at >= buffer_at_ && at.value < buffer_at_.value + buffer_size_);
    return std::span(buffer_).first(buffer_size_).subspan(at.value - buffer_at_.value);
}

base::file_result<frame_reader::outcome> frame_reader::next(frame_view& out,
                                                            std::uint64_t length_max) {
    if (at_ >= window_.end()) {
        return outcome::end;
    }
    auto enough = window_.have(at_, sizeof(frame_header));
    if (!enough) {
        return std::unexpected(enough.error());
    }
    if (!*enough) {
        return outcome::cut_off;
    }
    const auto header = format::load<frame_header>(window_.from(at_));
    if (header.magic != format::frame_magic || header.crc != format::checksum(header) ||
        header.position != at_.value || header.length < sizeof(frame_header) || header.count == 0) {
        return outcome::damaged;
    }
    const bool large = header.length > length_max;
    if (large) {
        enough = header.length <= window_.end().value - at_.value;
    } else {
        enough = window_.have(at_, header.length);
    }
    if (!enough) {
        return std::unexpected(enough.error());
    }
    if (!*enough) {
        return outcome::cut_off;
    }
    out.header = header;
    out.bytes = large ? std::span<const std::byte>() : window_.from(at_).first(header.length);
    at_ = out.end();
    return outcome::frame;
}

base::file_result<record_reader::outcome> record_reader::next(record_view& out) {
    using format::record_header;
    if (at_ == window_.end()) {
        return outcome::end;
    }
    auto enough = window_.have(at_, sizeof(record_header));
    if (enough && *enough) {
        const auto header = format::load<record_header>(window_.from(at_));
        enough = window_.have(at_, std::max<std::uint64_t>(header.length, sizeof(record_header)));
    }
    if (!enough) {
        return std::unexpected(enough.error());
    }
    if (!*enough || parse_record(window_.from(at_), at_, out) != parse_outcome::good ||
        out.last_in_batch() != (out.end() == window_.end())) {
        return outcome::damaged;
    }
    IMMORTAL_ASSERT(out.position == at_ && out.end() <= window_.end());
    at_ = out.end();
    return outcome::record;
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
    IMMORTAL_ASSERT(out.position == at_ && out.length <= rest_.size());
    rest_ = rest_.subspan(out.length);
    at_ = out.end();
    --left_;
    return true;
}

} // namespace immortal::eventlog
