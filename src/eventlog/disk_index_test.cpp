// The index on disk: what it answers, what survives, what it makes of damage.
#include "eventlog/disk_index.hpp"
#include "eventlog/index_keys.hpp"
#include "eventlog/log_fixture.hpp"
#include "eventlog/memory_index.hpp"

#include <cstdlib>
#include <map>

namespace immortal::eventlog {
namespace {

using expected = expected_revision;
using base::cut_policy;
using base::errc;
using positions = std::vector<base::position>;

constexpr const char* index_folder = "/log/index";

disk_index_settings small_parts(std::uint64_t events) {
    return {.folder = index_folder, .part_events_max = events, .place_spacing = 8};
}

// A log whose index goes to the disk every few events.
class disk_index_test : public log_fixture {
protected:
    void SetUp() override {
        settings.index = small_parts(8);
        settings.remembered_ids = 16;
        settings.segment_size = 8192;
    }

    void write_some(std::uint64_t first, std::uint64_t count) {
        for (std::uint64_t i = first; i < first + count; ++i) {
            auto events = events_of(i * 10 + 1, 1 + i % 3);
            events[0].type = "T" + std::to_string(i % 2);
            events[0].metadata = R"({"$correlationId":"c)" + std::to_string(i % 5) + "\"}";
            auto shared = events_of(i * 10 + 7, 1);
            ASSERT_TRUE(append({{"s-" + std::to_string(i % 7), expected::any(), events},
                                {"t-" + std::to_string(i), expected::any(), shared}}));
        }
    }

    // Everything the index says, compared with one made in memory from the log itself.
    void expect_right_index() {
        const auto events = everything();
        std::map<std::string, positions> streams;
        for (const recorded_event& event : events) {
            streams[event.stream].push_back(event.position);
        }
        for (const auto& [name, wanted] : streams) {
            const auto found = stream(name);
            ASSERT_EQ(found.size(), wanted.size()) << name;
            for (std::size_t i = 0; i < found.size(); ++i) {
                EXPECT_EQ(found[i].position, wanted[i]);
                EXPECT_EQ(found[i].revision.value, i);
            }
            EXPECT_EQ(open_->stream_head(name).value()->value + 1, wanted.size());
        }
        EXPECT_FALSE(open_->stream_head("none-1").value());
        // Any position can be read from, both ways.
        for (std::size_t i = 0; i < events.size(); i += 7) {
            const auto on = open_->read_all(events[i].position, direction::forwards, 1);
            EXPECT_EQ(on->events.front().id, events[i].id);
            const auto back = open_->read_all(events[i].position, direction::backwards, 1);
            EXPECT_EQ(back->events.empty(), i == 0);
        }
    }
};

TEST_F(disk_index_test, answers_the_same_after_restarts_and_without_its_folder) {
    reopen();
    write_some(0, 40);
    expect_right_index();
    for (int round = 0; round < 3; ++round) {
        reopen();
        expect_right_index();
        write_some(40 + static_cast<std::uint64_t>(round) * 20, 20);
        expect_right_index();
    }
    open_.reset();
    for (const std::string& name : disk.list(index_folder).value()) {
        ASSERT_TRUE(disk.remove(index_folder + ("/" + name)));
    }
    reopen();
    expect_right_index();
}

TEST_F(disk_index_test, an_index_of_another_log_is_thrown_away) {
    reopen();
    write_some(0, 30);
    open_.reset();
    std::map<std::string, std::string> old;
    for (const std::string& name : disk.list(index_folder).value()) {
        old[name] = disk.contents(index_folder + ("/" + name));
    }
    disk = base::memory_file_system(9);
    settings.index = {};
    reopen();
    write_some(100, 30);
    open_.reset();
    for (const auto& [name, bytes] : old) {
        disk.set_contents(index_folder + ("/" + name), bytes);
    }
    settings.index = small_parts(8);
    reopen();
    expect_right_index();
}

TEST_F(disk_index_test, an_index_newer_than_the_log_or_of_a_lost_branch_is_thrown_away) {
    reopen();
    write_some(0, 20);
    open_.reset();
    std::map<std::string, std::string> log_then;
    for (const std::string& name : disk.list(folder).value()) {
        log_then[name] = disk.contents(std::string(folder) + "/" + name);
    }
    reopen();
    write_some(20, 30);
    open_.reset();
    // The log's files of before come back (all of them: that is not damage); the index stays.
    const auto go_back = [&] {
        for (const std::string& name : disk.list(folder).value()) {
            static_cast<void>(disk.remove(std::string(folder) + "/" + name));
        }
        for (const auto& [name, bytes] : log_then) {
            disk.set_contents(std::string(folder) + "/" + name, bytes);
        }
    };
    go_back();
    reopen();
    expect_right_index();
    open_.reset();
    // The same, but the log went on otherwise, and further, without the index.
    go_back();
    settings.index = {};
    reopen();
    write_some(500, 60);
    open_.reset();
    settings.index = small_parts(8);
    reopen();
    expect_right_index();
}

TEST_F(disk_index_test, a_flipped_bit_anywhere_is_found_or_harmless) {
    // Few files: RocksDB rests for a second after a failed compaction.
    const bool longer = std::getenv("IMMORTAL_LONG") != nullptr;
    settings.index.part_events_max = 60;
    reopen();
    write_some(0, 60);
    const auto before = everything();
    open_.reset();
    std::size_t found = 0;
    for (const std::string& name : disk.list(index_folder).value()) {
        const std::string path = index_folder + ("/" + name);
        const std::string sound = disk.contents(path);
        const std::size_t step = std::max<std::size_t>(1, sound.size() / (longer ? 2000 : 80));
        for (std::size_t at = 0; at < sound.size(); at += step) {
            std::map<std::string, std::string> all;
            for (const std::string& each : disk.list(index_folder).value()) {
                all[each] = disk.contents(index_folder + ("/" + each));
            }
            disk.flip_bit(path, at, at % 8);
            reopen();
            bool refused = false;
            for (const recorded_event& event : before) {
                const auto slice =
                    open_->read_stream(event.stream, event.revision, direction::forwards, 1);
                if (!slice) { // never another answer
                    EXPECT_EQ(slice.error().code, errc::corrupt);
                    refused = true;
                    continue;
                }
                ASSERT_EQ(slice->events.size(), 1u) << name << " " << at;
                ASSERT_EQ(slice->events[0].position, event.position) << name << " " << at;
            }
            if (refused) { // and the next start puts it right
                ++found;
                reopen();
                expect_right_index();
            }
            open_.reset();
            for (const std::string& each : disk.list(index_folder).value()) {
                static_cast<void>(disk.remove(index_folder + ("/" + each)));
            }
            for (const auto& [each, bytes] : all) {
                disk.set_contents(index_folder + ("/" + each), bytes);
            }
        }
    }
    RecordProperty("refused", static_cast<int>(found));
}

TEST_F(disk_index_test, power_cuts_while_it_is_written_lose_nothing) {
    const bool longer = std::getenv("IMMORTAL_LONG") != nullptr;
    std::uint64_t seed = 0;
    for (const cut_policy policy : {cut_policy::drop_all, cut_policy::keep_all,
                                    cut_policy::keep_random, cut_policy::tear_last}) {
        for (std::uint64_t step = 5;; step += longer ? 1 : 5) {
            open_.reset();
            disk = base::memory_file_system(++seed);
            disk.lose_power_at(step);
            std::uint64_t acked = 0;
            if (try_open()) {
                for (; acked < 30; ++acked) {
                    if (!append("s-" + std::to_string(acked % 3), expected::any(),
                                events_of(acked * 10 + 1, 2))) {
                        break;
                    }
                }
            }
            open_.reset();
            const bool cut = disk.lost_power();
            disk.restart(policy);
            reopen();
            if (HasFatalFailure()) {
                return;
            }
            ASSERT_GE(everything().size(), acked * 2);
            expect_right_index();
            if (!cut) {
                break;
            }
        }
    }
}

TEST_F(disk_index_test, any_failing_call_leaves_right_answers) {
    const bool longer = std::getenv("IMMORTAL_LONG") != nullptr;
    for (const bool sticky : {false, true}) {
        for (std::uint64_t step = 3;; step += longer ? 1 : 4) {
            open_.reset();
            disk = base::memory_file_system(step);
            disk.fail_at(step, base::file_error::kind::io, sticky);
            std::uint64_t acked = 0;
            if (try_open()) {
                for (; acked < 30; ++acked) {
                    if (!append("s-" + std::to_string(acked % 3), expected::any(),
                                events_of(acked * 10 + 1, 2))) {
                        break;
                    }
                }
            }
            const bool reached = disk.steps() >= step;
            open_.reset();
            disk.restart(cut_policy::keep_all);
            reopen();
            if (HasFatalFailure()) {
                return;
            }
            ASSERT_GE(everything().size(), acked * 2);
            expect_right_index();
            if (!reached) {
                break;
            }
        }
    }
}

TEST_F(disk_index_test, only_what_follows_the_last_checkpoint_is_read_again) {
    settings.segment_size = 1u << 20u;
    settings.remembered_ids = 0;
    reopen();
    write_some(0, 60);
    open_.reset();
    // A flipped bit far before the end of the log is not seen by the start, but by who reads there.
    const auto flipped = sizeof(format::segment_header) + sizeof(format::frame_header) + 80;
    disk.flip_bit(segment_path(0), flipped, 1);
    reopen();
    EXPECT_EQ(open_->read_all({0}, direction::forwards, 1).error().code, errc::corrupt);
    EXPECT_EQ(open_->read_stream("s-0", {0}, direction::forwards, 1).error().code, errc::corrupt);
    EXPECT_TRUE(append("s-0", expected::any(), events_of(5000, 1)));
}

// Segments before the last checkpoint are not read at a start, and yet:
TEST_F(disk_index_test, missing_cut_old_and_misplaced_segments_are_refused_at_the_start) {
    settings.segment_size = 4096;
    reopen();
    write_some(0, 40);
    open_.reset();
    std::map<std::uint32_t, std::string> older;
    for (std::uint32_t i = 0; i < segments(); ++i) {
        older[i] = disk.contents(segment_path(i));
    }
    reopen();
    write_some(40, 40);
    open_.reset();
    const auto last = static_cast<std::uint32_t>(segments() - 1);
    ASSERT_GE(last, 4u);
    std::map<std::uint32_t, std::string> sound;
    for (std::uint32_t i = 0; i <= last; ++i) {
        sound[i] = disk.contents(segment_path(i));
    }
    const auto expect_refused = [&](std::uint32_t damaged, const std::string& because) {
        const auto opened = try_open();
        ASSERT_FALSE(opened) << because << " " << damaged;
        EXPECT_EQ(opened.error().code, errc::corrupt) << because;
        disk.set_contents(segment_path(damaged), sound[damaged]);
        reopen(); // the index is still there, and right
        expect_right_index();
        open_.reset();
    };
    for (std::uint32_t i = 0; i <= last; ++i) {
        for (std::size_t size = 0; size < sound[i].size(); size += 1 + size / 2) {
            disk.set_contents(segment_path(i), sound[i].substr(0, size));
            expect_refused(i, "cut to " + std::to_string(size));
        }
        disk.set_contents(segment_path(i), sound[i].substr(0, sound[i].size() - 1));
        expect_refused(i, "a byte less");
        if (i < last) {
            disk.set_contents(segment_path(i), sound[i] + std::string(100, 'x'));
            expect_refused(i, "something more");
        }
        ASSERT_TRUE(disk.remove(segment_path(i)));
        expect_refused(i, "missing");
        disk.set_contents(segment_path(i), sound[(i + 1) % (last + 1)]);
        expect_refused(i, "another one's copy");
        if (older.contains(i) && older[i] != sound[i]) {
            disk.set_contents(segment_path(i), older[i]);
            expect_refused(i, "an older copy");
        }
        // A piece of another place where the segment ends, with the length unchanged.
        if (i > 0 && i < last) {
            std::string piece = sound[i];
            piece.replace(piece.size() - 512, 512, sound[0].substr(1024, 512));
            disk.set_contents(segment_path(i), piece);
            expect_refused(i, "a piece copied elsewhere");
        }
    }
}

TEST_F(disk_index_test, the_correlation_index_can_be_switched_off_and_on) {
    auto index = make_disk_index(small_parts(4), disk, nullptr);
    const base::log_identity log{id_of(1), 1};
    ASSERT_TRUE(index->open(log));
    const index_entry entry{"a-1", "X", "c1", {0}, {400}};
    index->add({300}, std::span(&entry, 1));
    EXPECT_EQ(index->view_size(index_view::correlation, "c1", {999}).value(), 1u);
    ASSERT_TRUE(index->rest_at({{500}, {}, 1, {400}, {}}));
    index->made_durable({500});
    index->close();
    index.reset();
    auto off = small_parts(4);
    off.correlations = false;
    for (const auto& changed : {small_parts(4), off, off, small_parts(4)}) {
        index = make_disk_index(changed, disk, nullptr);
        ASSERT_TRUE(index->open(log));
        if (!index->kept().empty()) {
            EXPECT_EQ(index->view_size(index_view::correlation, "c1", {999}).value(),
                      changed.correlations ? 1u : 0u);
        } else { // made anew
            index->add({300}, std::span(&entry, 1));
            ASSERT_TRUE(index->rest_at({{500}, {}, 1, {400}, {}}));
            index->made_durable({500});
        }
        index->close();
    }
}

// Random entries; the index on disk and the one in memory must agree on everything.
TEST_F(disk_index_test, agrees_with_the_index_in_memory) {
    auto on_disk = make_disk_index(small_parts(64), disk, nullptr);
    ASSERT_TRUE(on_disk->open({id_of(1), 1}));
    const auto in_memory = make_memory_index();
    base::seeded_random dice(5);
    std::map<std::string, std::uint64_t> next;
    std::uint64_t at = 256;
    std::uint64_t events = 0;
    for (int frame = 0; frame < 700; ++frame) {
        const base::position begin{at};
        std::vector<std::string> names;
        std::vector<index_entry> entries;
        names.reserve(16);
        at += 64;
        for (std::uint64_t i = 0; i <= dice.next() % 3; ++i) {
            names.push_back((dice.next() % 4 == 0 ? "$$s-" : "s-") +
                            std::to_string(dice.next() % 40 * (dice.next() % 2)));
            std::uint64_t& revision = next[names.back()];
            const bool end = dice.next() % 64 == 0 && revision != tombstone_revision.value + 1;
            if (revision == tombstone_revision.value + 1) {
                continue; // it is over
            }
            revision = end ? tombstone_revision.value : revision;
            static const std::array<std::string_view, 3> types{"A", "B", "$>"};
            static const std::array<std::string_view, 4> ids{"", "x", "y", "z"};
            entries.push_back(
                {names.back(), types[dice.next() % 3], ids[dice.next() % 4], {revision}, {at}});
            ++revision;
            at += 100 + dice.next() % 90'000;
        }
        if (entries.empty()) {
            at = begin.value;
            continue;
        }
        events += entries.size();
        for (log_index* index : {on_disk.get(), in_memory.get()}) {
            index->add(begin, entries);
            if (dice.next() % 8 == 0) { // a group that was not written, and is tried again
                index->take_back(begin, entries);
                index->add(begin, entries);
            }
        }
        on_disk->made_durable({at});
        ASSERT_TRUE(on_disk->rest_at({{at}, {}, events, entries.back().position, {}}));
    }
    for (int question = 0; question < 4000; ++question) {
        const base::position end{dice.next() % (at + 1000)};
        const std::string name =
            (dice.next() % 4 == 0 ? "$$s-" : "s-") + std::to_string(dice.next() % 41);
        const direction way = dice.next() % 2 == 0 ? direction::forwards : direction::backwards;
        const std::uint64_t from = dice.next() % 16 == 0   ? ~0ull
                                   : dice.next() % 16 == 0 ? tombstone_revision.value
                                                           : dice.next() % 900;
        const std::size_t count = 1 + dice.next() % 300;
        ASSERT_EQ(on_disk->last_revision(name, end).value(),
                  in_memory->last_revision(name, end).value());
        ASSERT_EQ(on_disk->stream_positions(name, {from}, way, count, end).value(),
                  in_memory->stream_positions(name, {from}, way, count, end).value())
            << name << " " << from << " " << count << " " << end.value;
        const auto view = static_cast<index_view>(dice.next() % index_view_count);
        static const std::array<std::string_view, 6> views{"s", "A", "B", "", "x", "y"};
        const std::string_view of = views[dice.next() % views.size()];
        ASSERT_EQ(on_disk->view_size(view, of, end).value(),
                  in_memory->view_size(view, of, end).value());
        ASSERT_EQ(on_disk->view_positions(view, of, from, way, count, end).value(),
                  in_memory->view_positions(view, of, from, way, count, end).value())
            << of << " " << from << " " << count << " " << end.value;
    }
    on_disk->close();
}

TEST_F(disk_index_test, a_full_disk_is_waited_for_and_appends_are_refused_meanwhile) {
    settings.index.tail_bytes_max = 1;
    auto index = make_disk_index(settings.index, disk, nullptr);
    ASSERT_TRUE(index->open({id_of(1), 1}));
    disk.fail_all(base::memory_file_system::step_kind::write, base::file_error::kind::no_space);
    std::uint64_t at = 256;
    const auto add = [&] {
        const std::string name = "s-" + std::to_string(at);
        for (std::uint64_t i = 0; i < 8; ++i, at += 100) {
            const index_entry entry{name, "X", {}, {i}, {at + 64}};
            index->add({at}, std::span(&entry, 1));
        }
        index->made_durable({at});
        return index->rest_at({{at}, {}, at, {at - 36}, {}});
    };
    ASSERT_TRUE(add()); // on its way to the disk
    EXPECT_EQ(add().error().code, errc::exhausted);
    disk.fail_all(std::nullopt);
    base::status room;
    do {
        room = index->rest_at({{at}, {}, at, {at - 36}, {}});
    } while (!room);
    EXPECT_TRUE(index->last_revision("s-256", {at}).value());
    index->close();
}

TEST(index_keys_test, blocks_and_checkpoints_are_read_as_they_were_written) {
    const positions some{{7}, {8}, {1000}, {1ull << 60u}};
    std::string bytes;
    index_keys::put_block(some, bytes);
    positions read;
    ASSERT_TRUE(index_keys::read_block(bytes, read));
    EXPECT_EQ(read, some);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_FALSE(index_keys::read_block(std::string_view(bytes).substr(0, size), read));
    }
    EXPECT_FALSE(index_keys::read_block(bytes + "x", read));
    EXPECT_FALSE(index_keys::read_block(std::string("\x02\x05\x00", 3), read)); // not ascending
    const index_keys::checkpoint made{
        {id_of(3), 2}, 1, {{{300}, {}, 1, {200}, {}}, {{900}, {}, 5, {800}, {}}}};
    const std::string checkpoint = index_keys::to_bytes(made);
    EXPECT_EQ(index_keys::read_checkpoint(checkpoint), made);
    EXPECT_FALSE(index_keys::read_checkpoint(checkpoint.substr(1)));
    EXPECT_FALSE(index_keys::read_checkpoint(checkpoint.substr(0, checkpoint.size() - 1)));
    const list_name list = make_list_name(list_kind::type, "abc");
    EXPECT_EQ(index_keys::first_of(index_keys::key_of(list, 42)), 42u);
    EXPECT_LT(index_keys::key_of(list, 43), index_keys::key_of(list, 42));
}

} // namespace
} // namespace immortal::eventlog
