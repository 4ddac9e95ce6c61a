#include "store/operations.hpp"

#include <array>
#include <future>

namespace immortal::faults {
namespace {

using expected = eventlog::expected_revision;
using session = store_session;

// The revision of a stream, as a client would ask for it.
expected at_head(session& of, const std::string& stream) {
    if (!of.is_open()) {
        return expected::any();
    }
    const auto last = of.log().stream_head(stream);
    return expected::after(last ? *last : std::nullopt);
}

void one_event(session& of) {
    of.append({{"a-1", expected::any()}});
}
void exact_revision(session& of) {
    of.append({{"b-1", at_head(of, "b-1"), 2}}, 100);
}
void several_streams(session& of) {
    of.append({{"a-1", expected::any(), 2}, {"b-1", at_head(of, "b-1")}, {"c-1", expected::any()}},
              40);
}
void new_segment(session& of) {
    of.append({{"d-1", expected::any(), 3}}, 900);
}
void larger_than_a_segment(session& of) {
    of.append({{"e-1", expected::any()}}, 5000);
}
void many_at_once(session& of) {
    std::vector<std::vector<session::wish>> appends;
    for (int i = 0; i < 6; ++i) {
        appends.push_back({{"f-" + std::to_string(i % 3), expected::any()}});
    }
    of.append_together(appends);
}
void reopened(session& of) {
    of.close();
    of.open();
}
void repeated(session& of) {
    of.append({{"g-1", expected::any()}, {"h-1", expected::any(), 2}});
    of.repeat_last();
}
void repeated_exactly(session& of) {
    of.append({{"i-1", at_head(of, "i-1"), 2}});
    of.repeat_last();
}
void new_stream(session& of) {
    of.append({{"j-1", expected::no_stream(), 2}});
}
void refused(session& of) {
    of.append({{"a-1", expected::any()}});
    of.append({{"a-1", expected::no_stream()}});
    of.append({{"a-1", expected::at({77})}, {"b-1", expected::any()}});
}
void rivals(session& of) {
    const auto now = at_head(of, "k-1");
    std::vector<std::vector<session::wish>> appends(4, {{"k-1", now}});
    of.append_together(appends, promise_book::rivalry::contended);
}
void must_exist(session& of) {
    of.append({{"a-1", expected::any()}});
    of.append({{"a-1", expected::stream_exists()}});
}
void only_checks(session& of) {
    of.append({{"a-1", expected::any(), 0}});
}
void no_data(session& of) {
    of.append({{"l-1", expected::any(), 9}});
}
void metadata_stream(session& of) {
    of.append({{"$$a-1", expected::any()}});
}
void full_disk(session& of) {
    of.disk.set_free_space(0);
    of.append({{"m-1", expected::any()}});
    of.disk.set_free_space(1ull << 40u);
    of.append({{"m-1", expected::any()}});
}
void no_space_for_a_write(session& of) {
    of.disk.fail_all(base::memory_file_system::step_kind::write, base::file_error::kind::no_space);
    of.append({{"n-1", expected::any(), 2}, {"a-1", expected::any()}}, 300);
    of.disk.fail_all(std::nullopt);
    of.append({{"n-1", at_head(of, "n-1")}});
}
void read_back(session& of) {
    of.append({{"o-1", expected::any(), 5}}, 10);
    of.read_everything();
}
void two_segments(session& of) {
    for (int i = 0; i < 3; ++i) {
        of.append({{"p-1", at_head(of, "p-1"), 2}}, 900);
    }
}

constexpr std::array<operation, 20> all{{
    {"one_event", one_event},
    {"exact_revision", exact_revision},
    {"several_streams", several_streams},
    {"new_segment", new_segment},
    {"many_at_once", many_at_once},
    {"reopened", reopened},
    {"repeated", repeated},
    {"no_space_for_a_write", no_space_for_a_write},
    {"larger_than_a_segment", larger_than_a_segment},
    {"repeated_exactly", repeated_exactly},
    {"new_stream", new_stream},
    {"refused", refused},
    {"rivals", rivals},
    {"must_exist", must_exist},
    {"only_checks", only_checks},
    {"no_data", no_data},
    {"metadata_stream", metadata_stream},
    {"full_disk", full_disk},
    {"read_back", read_back},
    {"two_segments", two_segments},
}};

} // namespace

std::span<const operation> operations() {
    return all;
}

store_session::store_session(std::uint64_t seed)
    : disk(seed), random_(seed), index_on_disk_(seed % 4 == 0) {}

bool store_session::open() {
    log_.reset();
    eventlog::log_settings settings{.folder = folder,
                                    .segment_size = 4096,
                                    .free_space_min = 4096,
                                    .group_wait_max = std::chrono::microseconds(0),
                                    .remembered_ids = 512};
    if (index_on_disk_) {
        settings.remembered_ids = 24; // so that a start trusts the index, and reads only the rest
        settings.index = {.folder = std::string(folder) + "/index",
                          .part_events_max = 4,
                          .patience = std::chrono::milliseconds(20)};
    }
    auto opened = eventlog::log::open(settings, disk, clock_, random_, nullptr);
    if (!opened) {
        problem = opened.error();
        return false;
    }
    log_ = std::move(*opened);
    return true;
}

bool store_session::append(std::vector<wish> wishes, std::size_t padding) {
    if (!log_) {
        return false;
    }
    std::vector<eventlog::stream_write> writes;
    std::vector<std::size_t> counts;
    for (wish& each : wishes) {
        writes.push_back({std::move(each.stream), each.expected, {}, {}});
        counts.push_back(each.events);
    }
    const bool failed = log_->state() == eventlog::log_state::failed;
    const auto done = ask(*log_, book, book.begin(std::move(writes), counts, padding));
    if (failed && done && !done->repeated && counts.front() > 0) {
        book.accuse("an append was acknowledged after a sync had failed");
    }
    book.saw(log_->head());
    return done.has_value();
}

void store_session::append_together(std::span<const std::vector<wish>> appends,
                                    promise_book::rivalry kind) {
    if (!log_) {
        return;
    }
    std::vector<std::pair<std::uint64_t, std::future<base::result<eventlog::append_outcome>>>> made;
    for (const auto& wishes : appends) {
        std::vector<eventlog::stream_write> writes;
        std::vector<std::size_t> counts;
        for (const wish& each : wishes) {
            writes.push_back({each.stream, each.expected, {}, {}});
            counts.push_back(each.events);
        }
        const std::uint64_t number = book.begin(std::move(writes), counts, 20, kind);
        auto promise = std::make_shared<std::promise<base::result<eventlog::append_outcome>>>();
        made.emplace_back(number, promise->get_future());
        log_->append(book.writes(number), [promise](base::result<eventlog::append_outcome> said) {
            promise->set_value(std::move(said));
        });
    }
    for (auto& [number, outcome] : made) {
        book.finish(number, outcome.get());
    }
    book.saw(log_->head());
}

void store_session::repeat_last() {
    const auto answered = book.answered();
    if (log_ && !answered.empty()) {
        ask(*log_, book, answered.back());
    }
}

void store_session::read_everything() {
    base::position from;
    for (bool end = log_ == nullptr; !end;) {
        const auto slice = log_->read_all(from, eventlog::direction::forwards, 4);
        if (!slice) {
            return;
        }
        for (const auto& event : slice->events) {
            book.saw(event);
        }
        from = slice->next;
        end = slice->end;
    }
}

} // namespace immortal::faults
