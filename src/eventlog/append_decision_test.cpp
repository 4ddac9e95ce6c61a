// The decision about an append, without a log: what each state of a stream makes of each
// expectation.
#include "eventlog/append_decision.hpp"
#include "eventlog/log_fixture.hpp"

namespace immortal::eventlog {
namespace {

using base::errc;
using base::revision;
using expected = expected_revision;
using standing = unmet_expectation::standing;
using action = stream_write::action;

// A stream without known ids.
class told_facts final : public stream_facts {
public:
    std::optional<revision> last_revision;
    std::optional<revision> metadata_revision;
    bool is_tombstoned = false;
    bool is_soft_deleted = false;

    std::optional<revision> last() override { return last_revision; }
    bool tombstoned() override { return is_tombstoned; }
    bool soft_deleted() override { return is_soft_deleted; }
    std::optional<revision> last_metadata() override { return metadata_revision; }
    base::result<std::string> metadata() override { return std::string(); }
    described describes() override { return {}; }
    base::result<std::optional<base::uuid>> id_at(revision) override {
        return std::optional<base::uuid>();
    }
    base::result<base::position> position_at(revision) override { return base::position{}; }
    std::optional<known_event> find(const base::uuid&) override { return std::nullopt; }
};

told_facts absent() {
    return {};
}
told_facts only_metadata() {
    told_facts out;
    out.metadata_revision = revision{0};
    return out;
}
told_facts present() { // with the revisions 0 to 3
    told_facts out;
    out.last_revision = revision{3};
    return out;
}
told_facts soft_deleted() {
    told_facts out = present();
    out.metadata_revision = revision{0};
    out.is_soft_deleted = true;
    return out;
}
told_facts tombstoned() {
    told_facts out;
    out.last_revision = tombstone_revision;
    out.is_tombstoned = true;
    return out;
}

struct line {
    const char* text;
    told_facts (*state)();
    bool written; // else only checked
    expected_revision wanted;
    std::optional<unmet_expectation> unmet; // empty: accepted
};

unmet_expectation is(standing what, std::optional<std::uint64_t> last = std::nullopt) {
    return {0, what, last ? std::optional(revision{*last}) : std::nullopt};
}

const std::vector<line>& lines() {
    const auto dead = is(standing::tombstoned);
    const auto deleted = is(standing::soft_deleted);
    const auto none = is(standing::absent);
    const auto three = is(standing::present, 3);
    static const std::vector<line> all{
        {"checked no_stream, soft-deleted", soft_deleted, false, expected::no_stream(), {}},
        {"checked no_stream, tombstoned", tombstoned, false, expected::no_stream(), {}},
        {"checked no_stream, absent", absent, false, expected::no_stream(), {}},
        {"checked no_stream, present", present, false, expected::no_stream(), three},
        {"written no_stream, soft-deleted", soft_deleted, true, expected::no_stream(), {}},
        {"written no_stream, tombstoned", tombstoned, true, expected::no_stream(), dead},
        {"checked revision, tombstoned", tombstoned, false, expected::at({3}), dead},
        {"written revision, tombstoned", tombstoned, true, expected::at({3}), dead},
        {"checked exists, tombstoned", tombstoned, false, expected::stream_exists(), dead},
        {"written exists, tombstoned", tombstoned, true, expected::stream_exists(), dead},
        {"checked exists, soft-deleted", soft_deleted, false, expected::stream_exists(), deleted},
        {"written exists, soft-deleted", soft_deleted, true, expected::stream_exists(), deleted},
        {"checked exists, absent", absent, false, expected::stream_exists(), none},
        {"checked exists, metadata alone", only_metadata, false, expected::stream_exists(), {}},
        {"checked exists, present", present, false, expected::stream_exists(), {}},
        {"written tombstoned, tombstoned", tombstoned, true, expected::tombstoned(), dead},
        {"checked tombstoned, tombstoned", tombstoned, false, expected::tombstoned(), {}},
        {"checked wrong revision, soft-deleted", soft_deleted, false, expected::at({2}), three},
        {"written wrong revision, soft-deleted", soft_deleted, true, expected::at({7}), three},
        {"checked right revision, soft-deleted", soft_deleted, false, expected::at({3}), {}},
        {"written right revision, soft-deleted", soft_deleted, true, expected::at({3}), {}},
        {"checked tombstoned, soft-deleted", soft_deleted, false, expected::tombstoned(), three},
        {"written tombstoned, soft-deleted", soft_deleted, true, expected::tombstoned(), three},
        {"checked tombstoned, absent", absent, false, expected::tombstoned(), none},
        {"checked soft_deleted, soft-deleted", soft_deleted, false, expected::soft_deleted(), {}},
        {"written soft_deleted, soft-deleted", soft_deleted, true, expected::soft_deleted(), {}},
        {"checked soft_deleted, present", present, false, expected::soft_deleted(), three},
        {"written soft_deleted, present", present, true, expected::soft_deleted(), three},
        {"checked soft_deleted, tombstoned", tombstoned, false, expected::soft_deleted(), dead},
        {"checked soft_deleted, absent", absent, false, expected::soft_deleted(), none},
        {"written any, tombstoned", tombstoned, true, expected::any(), dead},
        {"checked revision, absent", absent, false, expected::at({0}), none},
        {"checked right revision, present", present, false, expected::at({3}), {}},
        {"checked wrong revision, present", present, false, expected::at({4}), three},
    };
    return all;
}

stream_write write_of(const line& one, std::string stream = "s-1") {
    stream_write write{std::move(stream), one.wanted, {}, action::append};
    if (one.written) {
        write.events = events_of(1, 1);
    } else {
        write.what = action::check;
    }
    return write;
}

TEST(append_decision, says_of_every_state_what_it_was) {
    for (const line& one : lines()) {
        told_facts facts = one.state();
        const std::vector<stream_write> writes{write_of(one)};
        const std::vector<stream_facts*> views{&facts};
        std::vector<unmet_expectation> unmet;
        const auto verdict = decide_append(writes, views, &unmet);
        EXPECT_EQ(verdict.has_value(), !one.unmet.has_value()) << one.text;
        ASSERT_EQ(unmet.size(), one.unmet ? 1u : 0u) << one.text;
        if (one.unmet) {
            EXPECT_EQ(unmet[0].actual, one.unmet->actual) << one.text;
            EXPECT_EQ(unmet[0].last, one.unmet->last) << one.text;
            EXPECT_EQ(verdict.error().field, "s-1") << one.text;
        } else {
            EXPECT_EQ(verdict->write, one.written) << one.text;
        }
    }
}

// Beside a write that would be taken: nothing is written, and only the check is told.
TEST(append_decision, a_check_that_does_not_hold_refuses_the_write_beside_it) {
    for (const line& one : lines()) {
        told_facts facts = one.state();
        told_facts other = present();
        const std::vector<stream_write> writes{
            {"other", expected::at({3}), events_of(9, 1), action::append}, write_of(one)};
        const std::vector<stream_facts*> views{&other, &facts};
        std::vector<unmet_expectation> unmet;
        const auto verdict = decide_append(writes, views, &unmet);
        EXPECT_EQ(verdict && verdict->write, !one.unmet.has_value()) << one.text;
        if (one.unmet) {
            ASSERT_EQ(unmet.size(), 1u) << one.text;
            EXPECT_EQ(unmet[0].write, 1u) << one.text;
        }
    }
}

TEST(append_decision, lists_every_stream_that_is_not_as_expected) {
    told_facts gone = tombstoned();
    told_facts fine = present();
    told_facts moved = present();
    const std::vector<stream_write> writes{
        {"moved", expected::at({1}), events_of(1, 1), action::append},
        {"fine", expected::at({3}), {}, action::check},
        {"gone", expected::any(), events_of(2, 1), action::append}};
    const std::vector<stream_facts*> views{&moved, &fine, &gone};
    std::vector<unmet_expectation> unmet;
    const auto verdict = decide_append(writes, views, &unmet);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, errc::deleted); // it comes before a conflict
    EXPECT_EQ(verdict.error().field, "gone");
    ASSERT_EQ(unmet.size(), 2u);
    EXPECT_EQ(unmet[0].write, 0u);
    EXPECT_EQ(unmet[1].write, 2u);
}

TEST(append_decision, a_check_carries_no_events_and_names_a_state) {
    const auto code = [](stream_write write) {
        const std::vector<stream_write> writes{std::move(write)};
        const auto valid = validate_append(writes);
        return valid ? errc::internal : valid.error().code;
    };
    EXPECT_EQ(code({"s", expected::any(), {}, action::check}), errc::invalid_argument);
    EXPECT_EQ(code({"s", expected::at({1}), events_of(1, 1), action::check}),
              errc::invalid_argument);
    EXPECT_EQ(code({"$ce-s", expected::at({1}), {}, action::check}), errc::invalid_argument);
    EXPECT_EQ(code({"$$s", expected::at({1}), {}, action::check}), errc::internal);
}

TEST(append_decision, bounds_the_events_of_an_append) {
    const auto refused = [](std::size_t count) {
        std::vector<new_event> events(count, event_of(1));
        const auto writes = to_stream("s", expected::any(), std::move(events));
        const auto valid = validate_append(writes);
        return valid ? std::string() : valid.error().reason;
    };
    EXPECT_EQ(refused(append_events_max), "");
    EXPECT_EQ(refused(append_events_max + 1), "append_too_large");
}

TEST(append_decision, bounds_the_streams_without_events_of_an_append) {
    const auto refused = [](std::size_t count) {
        auto writes = to_stream("s", expected::any(), {event_of(1)});
        for (std::size_t i = 0; i < count; ++i) {
            writes.push_back({"c-" + std::to_string(i), expected::no_stream(), {}, action::check});
        }
        const auto valid = validate_append(writes);
        return valid ? std::string() : valid.error().reason;
    };
    EXPECT_EQ(refused(append_bare_streams_max), "");
    EXPECT_EQ(refused(append_bare_streams_max + 1), "append_too_large");
}

} // namespace
} // namespace immortal::eventlog
