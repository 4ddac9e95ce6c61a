// The streams as the writer sees them: what is staged counts.
#pragma once

#include "eventlog/append_decision.hpp"
#include "eventlog/log_tail.hpp"
#include "eventlog/recent_ids.hpp"
#include "eventlog/stream_states.hpp"

namespace immortal::eventlog {

// What the writer's facts come from; the writer thread alone uses it.
struct writer_sources {
    log_index& index;
    const log_reader& reader;
    const recent_ids& ids;
    const log_tail& tail;
    stream_states& states;
};

class writer_facts final : public stream_facts {
public:
    // `from` and `stream` outlive the facts.
    writer_facts(writer_sources& from, const std::string& stream);

    // Why the stream's state, or what was asked for since, could not be read; nothing else may be
    // asked then, and what was answered does not count.
    [[nodiscard]] const base::status& problem() const { return problem_; }

    std::optional<base::revision> last() override { return state_.last; }
    bool tombstoned() override;
    bool soft_deleted() override { return state_.soft_deleted; }
    std::optional<base::revision> last_metadata() override { return state_.last_metadata; }
    base::result<std::string> metadata() override;
    described describes() override;
    base::result<std::optional<base::uuid>> id_at(base::revision at) override;
    base::result<base::position> position_at(base::revision at) override;
    std::optional<known_event> find(const base::uuid& id) override;

private:
    base::result<stream_state> state_of(std::string_view stream);
    base::result<stream_state> load(std::string_view stream);
    // The event of a stream that the index knows. What the index names must be it; else the index
    // is wrong: unavailable, index_damaged.
    base::result<record_view> record_of(std::string_view stream, base::revision at,
                                        std::vector<std::byte>& buffer);
    base::result<record_view> read(base::position place, std::vector<std::byte>& buffer);
    // The revision of the stream's last event, which the log confirms.
    base::result<std::optional<base::revision>> last_of(std::string_view stream);
    // The data of the event at `at` of a metadata stream, empty if it is not JSON.
    base::result<std::string> metadata_at(std::string_view metadata_stream, base::revision at);

    writer_sources& from_;
    const std::string& stream_;
    base::status problem_;
    stream_state state_;
    stream_state described_; // of a metadata stream
};

// Brings the states up to date with what was staged: `events` events to `write.stream`, from
// revision `first` on.
void note_staged(stream_states& states, const stream_write& write, base::revision first);

} // namespace immortal::eventlog
