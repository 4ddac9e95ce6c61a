#include "app/descriptor_shares.hpp"

#include "base/descriptors.hpp"
#include "base/log.hpp"

#include <algorithm>

namespace immortal::app {
namespace {

constexpr std::size_t index_files_max = 256;
constexpr std::size_t index_files_min = 20; // fewer are no use to RocksDB
constexpr std::size_t segments_min = 4;
constexpr std::size_t reserve_max = 16;
constexpr std::size_t reserve_min = 6;
// Below this, connections are soon refused.
constexpr std::uint64_t few = 1'024;

base::descriptor_limits raise_and_tell() {
    const auto limits = base::raise_descriptor_limit();
    base::log_info("app", "the limit of open files",
                   {{"was", limits.before}, {"is", limits.now}, {"hard", limits.hard}});
    if (limits.now < few) {
        base::log_warning("app",
                          "few files and connections can be open at the same time: raise the hard "
                          "limit of open files (`ulimit -Hn`, LimitNOFILE=)",
                          {{"is", limits.now}});
    }
    return limits;
}

} // namespace

descriptor_shares share_descriptors(const settings& options) {
    static const base::descriptor_limits limits = raise_and_tell();
    const auto part = [](std::uint64_t divisor, std::size_t least, std::size_t most) {
        return std::max(
            least, static_cast<std::size_t>(std::min<std::uint64_t>(limits.now / divisor, most)));
    };
    return {.segments = part(8, segments_min, options.event_log.open_segments_max),
            .index = part(8, index_files_min, index_files_max),
            .reserve = part(16, reserve_min, reserve_max)};
}

} // namespace immortal::app
