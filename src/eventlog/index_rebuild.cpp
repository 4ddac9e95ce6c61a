#include "eventlog/index_rebuild.hpp"

#include "base/assert.hpp"

#include <optional>

namespace immortal::eventlog {
namespace {

using base::fail;

// The part that is being filled.
class rebuilding {
public:
    rebuilding(index_store& into, const rebuild_settings& settings,
               const std::function<bool()>& go_on)
        : into_(into), settings_(settings), go_on_(go_on),
          part_(std::make_unique<index_part>(settings.correlations)) {}

    bool rest_at(const log_place& here) {
        const bool large = part_->events() >= settings_.part_events_max ||
                           part_->bytes() >= settings_.part_bytes_max;
        return go_on_() && (!large || put(here));
    }
    void add(base::position frame, std::span<const index_entry> entries) {
        part_->add(frame, entries);
    }
    bool put(const log_place& here) {
        if (part_->events() == 0) {
            return true;
        }
        if (auto added = into_.add(*part_, here); !added) {
            problem_ = std::move(added.error());
            return false;
        }
        part_ = std::make_unique<index_part>(settings_.correlations);
        return true;
    }
    [[nodiscard]] const std::optional<base::error>& problem() const { return problem_; }

private:
    index_store& into_;
    const rebuild_settings& settings_;
    const std::function<bool()>& go_on_;
    std::unique_ptr<index_part> part_;
    std::optional<base::error> problem_;
};

} // namespace

base::result<log_place> rebuild(index_store& into, index_source& source, const log_place& begin,
                                base::position end, const rebuild_settings& settings,
                                const std::function<bool()>& go_on) {
    IMMORTAL_ASSERT(into.end() == begin.end && begin.end < end);
    rebuilding work(into, settings, go_on);
    auto reached = source.read(
        begin, end,
        {.rest = [&](const log_place& here) { return work.rest_at(here); },
         .add = [&](base::position frame,
                    std::span<const index_entry> entries) { work.add(frame, entries); }});
    if (reached) {
        reached->end = end; // the header of a segment may stand between
        static_cast<void>(work.put(*reached));
    }
    if (work.problem()) {
        return fail(*work.problem());
    }
    return reached;
}

} // namespace immortal::eventlog
