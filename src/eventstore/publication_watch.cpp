#include "base/assert.hpp"
#include "eventstore/publication_board.hpp"
#include "eventstore/publication_state.hpp"

#include <utility>

namespace immortal::eventstore {

publication_watch::publication_watch(std::shared_ptr<publication_board> board,
                                     std::shared_ptr<party> own)
    : board_(std::move(board)), own_(std::move(own)) {}

publication_watch::~publication_watch() {
    auto& s = *board_->state_;
    const std::lock_guard lock(s.tables_mutex);
    if (!own_->registered) { // there was no memory for it
        return;
    }
    s.drop_report(*own_);
    if (own_->group) {
        std::erase(own_->group->members, own_);
        if (own_->group->members.empty()) {
            s.groups.erase(own_->group->filter.key());
        }
    } else {
        const auto found = s.tables[own_->table].find(own_->name);
        IMMORTAL_ASSERT(found != s.tables[own_->table].end());
        std::erase(found->second, own_);
        if (found->second.empty()) {
            s.tables[own_->table].erase(found);
        }
    }
    const std::lock_guard inbox(s.inbox_mutex);
    s.count_watch(*own_, -1);
}

publication_watch::sight publication_watch::look() const {
    const std::uint64_t version = own_->event.version(); // before anything else is looked at
    return {version, board_->state_->published.load()};
}

runtime::awaitable<bool> publication_watch::wait(std::uint64_t version,
                                                 std::chrono::milliseconds limit) {
    return own_->event.wait(version, limit);
}

void publication_watch::wake() {
    own_->event.notify_all();
}

std::optional<outlook> publication_watch::quiet_from(base::position from) const {
    if (!own_->group) {
        return std::nullopt;
    }
    const auto& s = *board_->state_;
    const std::lock_guard lock(s.tables_mutex);
    const filter_group& group = *own_->group;
    if (from < group.begin || from >= group.end) {
        return std::nullopt;
    }
    for (const filter_group::stretch& one : group.stretches) {
        if (one.end <= from) {
            continue;
        }
        return one.begin > from ? std::optional(outlook{one.begin, one.last_event, one.events})
                                : std::nullopt;
    }
    return outlook{group.end, group.last_event, group.events, true};
}

bool publication_watch::ask_report(const sight& seen, std::uint64_t more) {
    auto& s = *board_->state_;
    const std::lock_guard lock(s.tables_mutex);
    IMMORTAL_ASSERT(!own_->report);
    if (s.published.load() != seen.events) {
        return false;
    }
    const std::uint64_t due = more > ~seen.events ? ~0ull : seen.events + more;
    own_->report = s.reports.emplace(due, own_);
    own_->report_seen = seen.events;
    return true;
}

void publication_watch::end_report() {
    auto& s = *board_->state_;
    const std::lock_guard lock(s.tables_mutex);
    s.drop_report(*own_);
}

} // namespace immortal::eventstore
