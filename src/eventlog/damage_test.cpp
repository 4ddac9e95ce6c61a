// Damage at rest: cut tails, flipped bits, missing and misplaced files.
#include "base/forwarding_files_testing.hpp"
#include "eventlog/backup.hpp"
#include "eventlog/log_fixture.hpp"
#include "eventlog/scavenger.hpp"
#include "eventlog/verify.hpp"

#include <cstring>
#include <functional>

namespace immortal::eventlog {
namespace {

using expected = expected_revision;
using base::errc;

// Something else happens before a file is opened, or it cannot be opened.
class busy_files final : public base::forwarding_file_system {
public:
    explicit busy_files(base::file_system& inner) : forwarding_file_system(inner) {}
    base::file_result<std::unique_ptr<base::file>> open(const std::string& path,
                                                        base::open_mode mode) override {
        if (++opened == busy_at) {
            work();
        }
        if (path == failing) {
            return std::unexpected(base::file_error{failure, "a planted fault"});
        }
        return forwarding_file_system::open(path, mode);
    }
    std::function<void()> work;
    int opened = 0;
    int busy_at = 0;
    std::string failing; // to open
    base::file_error::kind failure = base::file_error::kind::io;
};

class damage_test : public log_fixture {
protected:
    void SetUp() override {
        reopen();
        for (std::uint64_t i = 0; i < 12; ++i) {
            ASSERT_TRUE(append({{"a-1", expected::any(), events_of(i * 10 + 1, 2, 200)},
                                {"b-1", expected::any(), events_of(i * 10 + 3, 1, 100)}}));
        }
        before_ = everything();
        open_->close();
        open_.reset();
        ASSERT_GE(segments(), 3u);
        last_ = static_cast<std::uint32_t>(segments() - 1);
    }

    void expect_refused(const std::string& because) {
        const auto names = disk.list(folder).value();
        const auto opened = try_open();
        ASSERT_FALSE(opened) << because;
        EXPECT_EQ(opened.error().code, errc::corrupt) << because;
        EXPECT_EQ(disk.list(folder).value(), names) << because;
        const auto report = verify(folder, disk);
        ASSERT_TRUE(report) << because;
        EXPECT_FALSE(report->sound()) << because;
        last_message_ = opened.error().message;
    }

    std::vector<recorded_event> before_;
    std::uint32_t last_ = 0;
    std::string last_message_;
};

TEST_F(damage_test, a_sound_log_is_reported_sound) {
    const auto report = verify(folder, disk);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->sound());
    EXPECT_TRUE(report->findings.empty());
    EXPECT_EQ(report->events, 36u);
    EXPECT_EQ(report->frames, 12u);
    EXPECT_EQ(report->segments, last_ + 1);
    EXPECT_FALSE(report->open_elsewhere);
    EXPECT_EQ(report->readings, 1u);
}

TEST_F(damage_test, an_open_log_is_checked_up_to_the_head_of_the_beginning) {
    reopen();
    const std::uint64_t head = open_->head().end.value;
    // What a writer has on the disk and has not acknowledged is not looked at.
    const std::string path = segment_path(last_);
    disk.set_contents(path, disk.contents(path) + "half of the next frame");
    const auto report = verify(folder, disk);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->open_elsewhere);
    EXPECT_TRUE(report->findings.empty());
    EXPECT_EQ(report->events, 36u);
    EXPECT_EQ(report->end.value, head);
    EXPECT_EQ(report->bytes, head);
    disk.flip_bit(segment_path(1), sizeof(format::segment_header) + 150, 0);
    const auto damaged = verify(folder, disk);
    ASSERT_TRUE(damaged);
    EXPECT_FALSE(damaged->sound());
    EXPECT_EQ(damaged->findings.front().file, "segment-00000001.log");
}

// Segments are closed and scavenged while the log is read, at each of the reader's steps in turn.
TEST_F(damage_test, a_log_that_is_written_and_scavenged_meanwhile_is_sound) {
    reopen();
    std::uint64_t next = 5000;
    for (int busy_at = 1; busy_at < 12; ++busy_at) {
        busy_files files(disk);
        files.busy_at = busy_at;
        bool worked = false;
        files.work = [&] {
            worked = true;
            for (int i = 0; i < 6; ++i) {
                ASSERT_TRUE(append("c-1", expected::any(), events_of(next++, 1, 900)));
            }
            ASSERT_TRUE(
                append("$$c-1", expected::any(),
                       {{id_of(next++), "$metadata", R"({"$maxCount":2})", "", content::json}}));
            const auto begun = open_->scavenges().start({});
            ASSERT_TRUE(begun) << begun.error().message;
            open_->scavenges().wait(scavenger::wait_how::to_the_end);
            ASSERT_EQ(open_->scavenges().status().state, scavenge_state::completed);
        };
        const auto report = verify(folder, files, {.streams_max = 2});
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_TRUE(worked);
        for (const verify_finding& finding : report->findings) {
            ADD_FAILURE() << busy_at << ": " << finding.file << " at " << finding.offset << ": "
                          << finding.what;
        }
    }
}

TEST_F(damage_test, a_server_may_start_while_a_stopped_log_is_checked) {
    for (int busy_at = 1; busy_at < 6; ++busy_at) {
        open_.reset();
        const std::uint64_t events = verify(folder, disk)->events;
        busy_files files(disk);
        files.busy_at = busy_at;
        files.work = [&] {
            ASSERT_NO_FATAL_FAILURE(reopen());
            EXPECT_TRUE(append("c-1", expected::any(),
                               events_of(6000 + static_cast<std::uint64_t>(busy_at) * 10, 1, 900)));
        };
        const auto report = verify(folder, files);
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_TRUE(report->sound());
        EXPECT_FALSE(report->open_elsewhere);
        EXPECT_EQ(report->events, events + (busy_at == 1 ? 1 : 0)) << "the anchor's opening is 1";
    }
}

TEST_F(damage_test, a_restore_marker_that_cannot_be_read_refuses_the_start) {
    disk.set_contents(std::string(folder) + "/" + restore_marker, "");
    busy_files files(disk);
    files.failing = std::string(folder) + "/" + restore_marker;
    for (const auto failure : {base::file_error::kind::too_many_open, base::file_error::kind::io}) {
        files.failure = failure;
        const auto opened = log::open(settings, files, clock, random, nullptr);
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().code, base::errc::unavailable);
    }
    EXPECT_EQ(try_open().error().code, base::errc::corrupt);
}

TEST_F(damage_test, revisions_are_checked_in_bounded_memory) {
    for (const std::size_t streams_max : {std::size_t{1}, std::size_t{2}, std::size_t{1000}}) {
        for (std::uint64_t swapped = 0; swapped < 40; ++swapped) {
            revision_check check(streams_max);
            std::uint64_t wrong = 0;
            std::uint64_t readings = 0;
            do {
                ++readings;
                for (std::uint64_t event = 0; event < 80; ++event) {
                    const std::uint64_t number = event / 40 + (event == swapped ? 1 : 0);
                    wrong += check.follows("s-" + std::to_string(event % 40), {number}) ? 0 : 1;
                    ASSERT_LE(check.held(), streams_max);
                }
            } while (check.begin_next_reading());
            EXPECT_GE(wrong, 1u) << swapped;
            EXPECT_LE(wrong, 2 * readings) << swapped;
            EXPECT_LE(readings, 80u);
            EXPECT_EQ(readings == 1, streams_max == 1000);
        }
    }
}

TEST_F(damage_test, the_streams_that_do_not_fit_are_checked_by_more_readings) {
    reopen();
    for (std::uint64_t i = 0; i < 30; ++i) {
        ASSERT_TRUE(append("many-" + std::to_string(i), expected::any(), events_of(7000 + i, 1)));
    }
    open_.reset();
    const auto report = verify(folder, disk, {.streams_max = 4});
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->findings.empty());
    EXPECT_GT(report->readings, 4u);
    EXPECT_EQ(report->events, 66u);
    EXPECT_EQ(report->frames, 42u);
}

TEST_F(damage_test, a_tail_cut_anywhere_is_refused) {
    const std::string bytes = disk.contents(segment_path(last_));
    for (std::size_t size = 0; size < bytes.size(); size += size < 400 ? 1 : 13) {
        disk.set_contents(segment_path(last_), bytes.substr(0, size));
        expect_refused("cut to " + std::to_string(size));
        EXPECT_NE(last_message_.find(format::segment_name(last_)), std::string::npos);
    }
}

TEST_F(damage_test, a_flipped_bit_in_any_byte_of_a_segment_is_refused) {
    for (std::uint32_t number = 0; number <= last_; number += last_) {
        const std::string path = segment_path(number);
        const std::size_t size = disk.contents(path).size();
        for (std::size_t at = 0; at < size; ++at) {
            disk.flip_bit(path, at, at % 8);
            expect_refused(path + " bit flipped at " + std::to_string(at));
            disk.flip_bit(path, at, at % 8);
        }
    }
    reopen();
    EXPECT_EQ(everything().size(), before_.size());
}

TEST_F(damage_test, a_flipped_bit_in_the_anchor_is_harmless_or_refused) {
    const std::string path = std::string(folder) + "/anchor";
    for (std::size_t slot = 0; slot < 2; ++slot) {
        for (std::size_t at = 0; at < sizeof(format::anchor_slot); ++at) {
            const std::string sound = disk.contents(path);
            disk.flip_bit(path, slot * format::anchor_slot_distance + at, at % 8);
            if (const auto opened = try_open(); opened) {
                EXPECT_EQ(everything().size(), before_.size());
                open_.reset();
            }
            disk.set_contents(path, sound);
        }
    }
    disk.flip_bit(path, 20, 3);
    disk.flip_bit(path, format::anchor_slot_distance + 20, 3);
    expect_refused("both slots");
}

TEST_F(damage_test, missing_misplaced_and_foreign_files_are_refused) {
    const std::string first = disk.contents(segment_path(0));
    const std::string middle = disk.contents(segment_path(1));
    const std::string anchor = disk.contents(std::string(folder) + "/anchor");
    const auto restore = [&] {
        disk.set_contents(segment_path(0), first);
        disk.set_contents(segment_path(1), middle);
        disk.set_contents(std::string(folder) + "/anchor", anchor);
    };
    ASSERT_TRUE(disk.remove(segment_path(1)));
    expect_refused("a segment is missing");
    EXPECT_NE(last_message_.find("segment-00000001.log is missing"), std::string::npos);
    restore();
    disk.set_contents(segment_path(1), first);
    expect_refused("a segment was copied over another");
    restore();
    disk.set_contents(segment_path(1), "");
    expect_refused("a segment was emptied");
    restore();
    ASSERT_TRUE(disk.remove(std::string(folder) + "/anchor"));
    expect_refused("the anchor is missing");
    restore();
    ASSERT_TRUE(disk.remove(segment_path(last_)));
    expect_refused("the last segment is missing");
}

TEST_F(damage_test, the_message_names_segment_and_offset) {
    disk.flip_bit(segment_path(1), sizeof(format::segment_header) + 100, 0);
    expect_refused("flipped");
    EXPECT_NE(last_message_.find("segment-00000001.log is damaged at offset 256"),
              std::string::npos)
        << last_message_;
}

TEST_F(damage_test, an_event_rewritten_with_a_right_checksum_breaks_the_chain) {
    for (const recorded_event& event : {before_.front(), before_.back()}) {
        const std::uint32_t number = event.position == before_.front().position ? 0 : last_;
        const std::string sound = disk.contents(segment_path(number));
        std::string bytes = sound;
        const std::size_t data = bytes.find(event.data);
        const std::size_t record = bytes.rfind(event.stream, data) - sizeof(format::record_header);
        bytes[data + 5] = '9';
        auto header =
            format::load<format::record_header>(std::as_bytes(std::span(bytes)).subspan(record));
        header.crc =
            base::crc32c(std::as_bytes(std::span(bytes)).subspan(record + 4, header.length - 4));
        std::memcpy(bytes.data() + record, &header.crc, sizeof header.crc);
        disk.set_contents(segment_path(number), bytes);
        expect_refused("rewritten at " + std::to_string(event.position.value));
        EXPECT_NE(last_message_.find("chain"), std::string::npos) << last_message_;
        disk.set_contents(segment_path(number), sound);
    }
    reopen();
}

TEST_F(damage_test, verify_goes_on_after_damage_and_names_every_place) {
    disk.flip_bit(segment_path(0), sizeof(format::segment_header) + 150, 0);
    disk.flip_bit(segment_path(1), sizeof(format::segment_header) + 150, 0);
    const auto report = verify(folder, disk);
    ASSERT_TRUE(report);
    ASSERT_EQ(report->findings.size(), 2u);
    EXPECT_EQ(report->findings[0].file, "segment-00000000.log");
    EXPECT_EQ(report->findings[1].file, "segment-00000001.log");
    EXPECT_EQ(report->findings[1].offset, sizeof(format::segment_header));
    EXPECT_EQ(report->frames, 10u);
}

TEST_F(damage_test, what_was_never_acknowledged_is_cut_and_kept) {
    const std::string path = segment_path(last_);
    const std::string sound = disk.contents(path);
    for (const std::string& tail : {std::string("x"), std::string(63, 'y'), std::string(5000, '\0'),
                                    sound.substr(256, 300)}) {
        disk.set_contents(path, sound + tail);
        const auto report = verify(folder, disk);
        ASSERT_TRUE(report) << report.error().message;
        EXPECT_TRUE(report->sound());
        EXPECT_TRUE(report->findings.empty());
        EXPECT_EQ(report->bytes, report->end.value) << "up to the head anchor";
        reopen();
        EXPECT_EQ(everything().size(), before_.size());
        EXPECT_EQ(disk.contents(path).size(), sound.size());
        bool kept = false;
        for (const std::string& name : disk.list(folder).value()) {
            kept = kept || (name.ends_with(".torn") &&
                            disk.contents(std::string(folder) + "/" + name) == tail);
        }
        EXPECT_TRUE(kept);
        open_.reset();
    }
    reopen();
    EXPECT_TRUE(append("a-1", expected::any(), events_of(1000, 1)));
}

TEST_F(damage_test, on_a_full_disk_what_was_never_acknowledged_is_cut_and_not_kept) {
    const std::string path = segment_path(last_);
    const std::string sound = disk.contents(path);
    const std::string tail(5000, 'y');
    disk.set_contents(path, sound + tail);
    std::uint64_t used = 0;
    for (const std::string& name : disk.list(folder).value()) {
        used += disk.contents(std::string(folder) + "/" + name).size();
    }
    disk.set_capacity(used + 100); // room for a part of the copy
    ASSERT_NO_FATAL_FAILURE(reopen());
    EXPECT_EQ(everything().size(), before_.size());
    EXPECT_EQ(disk.contents(path), sound);
    for (const std::string& name : disk.list(folder).value()) {
        EXPECT_FALSE(name.ends_with(".torn")) << name;
    }
    disk.set_capacity(1u << 20u);
    EXPECT_TRUE(append("a-1", expected::any(), events_of(1000, 1)));
}

TEST_F(damage_test, an_unfinished_next_segment_is_cut) {
    const std::string next = segment_path(last_ + 1);
    disk.set_contents(next, "IMMLOG");
    reopen();
    EXPECT_EQ(everything().size(), before_.size());
    EXPECT_EQ(disk.contents(next), "");
    for (std::uint64_t i = 0; i < 10; ++i) {
        ASSERT_TRUE(append("c-1", expected::any(), events_of(2000 + i, 1, 500)));
    }
    reopen();
    EXPECT_EQ(everything().size(), before_.size() + 10);
}

TEST_F(damage_test, a_damaged_event_is_refused_to_readers_too) {
    reopen();
    // Damage under an open log: the file's bytes change after the start.
    const auto first = before_.front().position.value;
    open_.reset();
    reopen();
    const std::string path = segment_path(0);
    auto file = disk.open(path, base::open_mode::read_write).value();
    const std::byte wrong{0x5A};
    ASSERT_TRUE(file->write_at(first + 80, std::span(&wrong, 1)));
    EXPECT_EQ(open_->read_stream("a-1", {0}, direction::forwards, 1).error().code, errc::corrupt);
    EXPECT_EQ(open_->read_all({0}, direction::forwards, 1).error().code, errc::corrupt);
    EXPECT_EQ(open_->read_all({first + 1}, direction::backwards, 1).error().code, errc::corrupt);
}

} // namespace
} // namespace immortal::eventlog
