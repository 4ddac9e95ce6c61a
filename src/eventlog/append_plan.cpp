#include "eventlog/append_plan.hpp"

#include "base/assert.hpp"
#include "eventlog/stream_metadata.hpp"

#include <algorithm>
#include <utility>

namespace immortal::eventlog {
namespace {

base::revision next(std::optional<base::revision> last) {
    return {last ? last->value + 1 : 0};
}

// Its id is derived from its place, where nothing else is ever written.
new_event own_event(const std::string& stream, base::revision at, const char* type,
                    std::string data, content format) {
    return {base::uuid::make_derived(stream, std::to_string(at.value) + type),
            type,
            std::move(data),
            {},
            format};
}

new_event metadata_event(const std::string& metadata_stream, base::revision at, std::string data) {
    return own_event(metadata_stream, at, metadata_type, std::move(data), content::json);
}

bool has_write_to(const std::vector<stream_write>& writes, const std::string& stream) {
    return std::ranges::any_of(writes, [&stream](const stream_write& write) {
        return write.stream == stream && !write.events.empty();
    });
}

class planner {
public:
    planner(std::vector<stream_write>& writes, std::span<stream_facts* const> facts)
        : writes_(writes), facts_(facts) {}

    base::result<append_plan> plan() {
        plan_.first.reserve(writes_.size());
        plan_.outcome.last_revisions.reserve(writes_.size());
        for (std::size_t i = 0; i < facts_.size(); ++i) {
            if (auto done = plan_one(i); !done) {
                return base::fail(std::move(done.error()));
            }
        }
        IMMORTAL_ASSERT(plan_.outcome.last_revisions.size() == facts_.size());
        for (auto& [write, first] : added_) {
            writes_.push_back(std::move(write));
            plan_.first.push_back(first);
        }
        IMMORTAL_ASSERT(plan_.first.size() == writes_.size());
        IMMORTAL_ASSERT(plan_.outcome_event < writes_[plan_.outcome_write].events.size());
        return std::move(plan_);
    }

private:
    base::status plan_one(std::size_t i) {
        stream_write& write = writes_[i];
        stream_facts& facts = *facts_[i];
        switch (write.what) {
        case stream_write::action::append:
            return plan_events(i);
        case stream_write::action::check:
            IMMORTAL_ASSERT(write.events.empty());
            plan_.first.push_back(next(facts.last()));
            plan_.outcome.last_revisions.push_back(facts.last());
            return {};
        case stream_write::action::soft_delete: {
            plan_.outcome.last_revisions.push_back(facts.last());
            const base::revision at = next(facts.last_metadata());
            write.stream = metadata_stream_of(write.stream);
            write.events.push_back(metadata_event(write.stream, at, soft_deleting_metadata()));
            plan_.first.push_back(at);
            break;
        }
        case stream_write::action::tombstone:
            plan_.outcome.last_revisions.emplace_back(tombstone_revision);
            write.events.push_back(
                own_event(write.stream, tombstone_revision, tombstone_type, {}, content::binary));
            plan_.first.push_back(tombstone_revision);
            break;
        }
        note_asked(i, 0);
        return {};
    }

    // The last of those in the order of the log is the one whose position is answered.
    void note_asked(std::size_t i, std::size_t event) {
        const std::uint32_t place = writes_[i].events[event].place;
        if (place >= last_place_) {
            last_place_ = place;
            plan_.outcome_write = i;
            plan_.outcome_event = event;
        }
    }

    base::status plan_events(std::size_t i) {
        stream_write& write = writes_[i];
        stream_facts& facts = *facts_[i];
        IMMORTAL_ASSERT(write.events.empty() || !facts.tombstoned());
        const base::revision first = next(facts.last());
        plan_.first.push_back(first);
        const std::size_t count = write.events.size();
        if (count == 0) {
            plan_.outcome.last_revisions.push_back(facts.last());
            return {};
        }
        plan_.outcome.last_revisions.emplace_back(base::revision{first.value + count - 1});
        note_asked(i, count - 1);
        if (is_metadata_stream(write.stream)) {
            undelete_by_metadata(write, first, facts.describes());
            return {};
        }
        return facts.soft_deleted() ? undelete_by_events(write, first, facts) : base::status{};
    }

    static void undelete_by_metadata(stream_write& write, base::revision first,
                                     const stream_facts::described& of) {
        if (!of.soft_deleted) {
            return;
        }
        const new_event& last = write.events.back();
        const std::string text = last.format == content::json ? last.data : std::string();
        if (parse_stream_metadata(text).soft_deleted()) {
            return;
        }
        const base::revision at{first.value + write.events.size()};
        const std::uint32_t place = last.place;
        write.events.push_back(
            metadata_event(write.stream, at, undeleting_metadata(text, next(of.last))));
        write.events.back().place = place;
    }

    base::status undelete_by_events(const stream_write& write, base::revision first,
                                    stream_facts& facts) {
        std::string metadata_stream = metadata_stream_of(write.stream);
        if (has_write_to(writes_, metadata_stream)) {
            return {}; // which undeletes it as well
        }
        const auto before = facts.metadata();
        if (!before) {
            return base::fail(before.error());
        }
        const base::revision at = next(facts.last_metadata());
        stream_write undelete;
        undelete.stream = std::move(metadata_stream);
        undelete.events.push_back(
            metadata_event(undelete.stream, at, undeleting_metadata(*before, first)));
        undelete.events.back().place = write.events.back().place;
        added_.emplace_back(std::move(undelete), at);
        return {};
    }

    std::vector<stream_write>& writes_;
    std::span<stream_facts* const> facts_;
    append_plan plan_;
    std::uint32_t last_place_ = 0;
    std::vector<std::pair<stream_write, base::revision>> added_;
};

} // namespace

base::result<append_plan> plan_append(std::vector<stream_write>& writes,
                                      std::span<stream_facts* const> facts) {
    IMMORTAL_ASSERT(writes.size() == facts.size());
    return planner(writes, facts).plan();
}

} // namespace immortal::eventlog
