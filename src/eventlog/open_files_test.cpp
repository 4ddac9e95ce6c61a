// A log of many segments in a process of few descriptors.
#include "base/descriptors.hpp"
#include "base/forwarding_files_testing.hpp"
#include "base/patience_testing.hpp"
#include "eventlog/scavenge_fixture.hpp"

#include <atomic>
#include <filesystem>
#include <functional>
#include <thread>
#include <unistd.h>
#include <utility>

namespace immortal::eventlog {
namespace {

using expected = expected_revision;
using base::errc;

// Runs something once, after a large read that was asked for.
class interrupted_file_system final : public base::forwarding_file_system {
public:
    explicit interrupted_file_system(base::file_system& inner) : forwarding_file_system(inner) {}
    std::function<void()> after_large_read; // it is dropped when it runs

    base::file_result<std::unique_ptr<base::file>> open(const std::string& path,
                                                        base::open_mode mode) override {
        auto opened = forwarding_file_system::open(path, mode);
        if (!opened || mode != base::open_mode::read) {
            return opened;
        }
        return std::make_unique<interrupted>(*this, std::move(*opened));
    }

private:
    class interrupted final : public base::forwarding_file {
    public:
        interrupted(interrupted_file_system& owner, std::unique_ptr<base::file> inner)
            : forwarding_file(std::move(inner)), owner_(owner) {}
        base::file_result<std::size_t> read_at(std::uint64_t offset,
                                               std::span<std::byte> out) override {
            auto got = forwarding_file::read_at(offset, out);
            if (out.size() >= (60u << 10u)) {
                if (const auto act = std::exchange(owner_.after_large_read, nullptr)) {
                    act();
                }
            }
            return got;
        }

    private:
        interrupted_file_system& owner_;
    };
};

class open_files_test : public scavenge_fixture {
protected:
    void SetUp() override {
        settings.open_segments_max = 3;
        reopen();
    }
};

TEST_F(open_files_test, of_many_closed_segments_few_are_open_while_many_read) {
    write("s", 120);
    ASSERT_GT(segments(), 15u);
    reopen();
    EXPECT_LE(disk.open_files(), 6u);
    constexpr std::size_t readers = 4;
    std::vector<std::thread> threads;
    for (std::size_t reader = 0; reader < readers; ++reader) {
        threads.emplace_back([&, reader] {
            for (std::uint64_t i = 0; i < 400; ++i) {
                const base::revision at{(i * 37 + reader * 11) % 120};
                const auto slice = open_->read_stream("s", at, direction::forwards, 1);
                ASSERT_TRUE(slice) << slice.error().message;
                ASSERT_EQ(slice->events.front().revision, at);
            }
        });
    }
    for (std::thread& each : threads) {
        each.join();
    }
    EXPECT_LE(disk.open_files_most(), 3 + readers + 6);
    set_metadata("s", R"({"$maxCount":60})"); // segments are replaced meanwhile
    EXPECT_EQ(scavenge({.threads = 2}).state, scavenge_state::completed);
    EXPECT_EQ(stream("s").size(), 60u);
    EXPECT_LE(disk.open_files(), 8u);
    expect_sound();
}

TEST_F(open_files_test, a_reader_of_a_replaced_segment_goes_on) {
    write("s", 60);
    set_metadata("s", R"({"$maxCount":50})");
    write("t", 10);
    std::atomic<bool> stop{false};
    std::thread reading([&] {
        while (!stop) {
            std::size_t kept = 0;
            for (const recorded_event& event : everything()) {
                kept += event.stream == "t" ? 1 : 0;
            }
            EXPECT_GE(kept, 10u);
        }
    });
    for (int round = 0; round < 15; ++round) {
        write("s", 10);
        EXPECT_EQ(scavenge({.threads = 2}).state, scavenge_state::completed);
    }
    stop = true;
    reading.join();
    expect_sound();
}

// A scavenge replaces the segment, and its file is closed, between two reads of one frame.
TEST_F(open_files_test, a_frame_is_read_from_one_file) {
    settings.segment_size = 1u << 20u;
    for (const std::size_t events : {9u, 90u}) { // small frames, and one that is read in pieces
        SCOPED_TRACE(events);
        disk = base::memory_file_system(7);
        interrupted_file_system files(disk);
        open_.reset();
        auto opened = log::open(settings, files, clock, random, nullptr);
        ASSERT_TRUE(opened) << opened.error().message;
        open_ = std::move(*opened);
        std::size_t written = 0;
        for (; written < 180; written += events) {
            ASSERT_TRUE(append("s", expected::any(), events_of(written + 1, events, 4000)));
        }
        set_metadata("s", R"({"$maxCount":1})");
        while (segments() < 2) {
            ASSERT_TRUE(append("t", expected::any(), events_of(++written * 100, 9, 4000)));
        }
        bool replaced = false;
        files.after_large_read = [&] {
            // The scavenge's own reads do not come here again.
            replaced = scavenge().events_removed > 0;
        };
        const auto slice = open_->read_all({0}, direction::forwards, 1'000);
        ASSERT_TRUE(slice) << slice.error().message;
        EXPECT_TRUE(replaced);
        EXPECT_GT(slice->events.size(), 1u);
        open_.reset();
    }
}

TEST_F(open_files_test, without_descriptors_the_next_segment_waits_and_writes_resume) {
    // At each call of the making of a segment that needs a descriptor.
    std::uint64_t refused = 0;
    for (std::uint64_t left = 0; left < 4; ++left) {
        SCOPED_TRACE(left);
        disk.fail_opens(true, left);
        for (int i = 0; i < 20; ++i) {
            new_event event = event_of(++written_, 400);
            const auto done = append("s", expected::any(), {event});
            if (!done) {
                ++refused;
                EXPECT_EQ(done.error().code, errc::unavailable);
                EXPECT_EQ(done.error().reason, "too_many_open_files") << done.error().message;
            }
        }
        EXPECT_EQ(open_->state(), log_state::writable);
        disk.fail_opens(false);
        write("s", 20);
    }
    EXPECT_GT(refused, 10u);
    const std::size_t there = stream("s").size();
    EXPECT_EQ(there, written_ - refused);
    expect_sound();
    EXPECT_EQ(stream("s").size(), there);
}

TEST_F(open_files_test, without_descriptors_reads_fail_for_a_while_and_nothing_is_written_twice) {
    write("s", 60);
    const auto repeated = event_of(7'000, 10);
    ASSERT_TRUE(append("r", expected::any(), {repeated}));
    write("t", 30); // it stands in a closed segment
    reopen();
    disk.fail_opens(true);
    const auto slice = open_->read_stream("s", {0}, direction::forwards, 1);
    ASSERT_FALSE(slice);
    EXPECT_EQ(slice.error().reason, "too_many_open_files");
    const auto again = append("r", expected::any(), {repeated});
    ASSERT_FALSE(again) << "whether it is there could not be found out";
    EXPECT_EQ(again.error().code, errc::unavailable);
    disk.fail_opens(false);
    EXPECT_TRUE(append("r", expected::any(), {repeated}));
    EXPECT_EQ(stream("r").size(), 1u);
    EXPECT_EQ(stream("s").size(), 60u);
    // How the stream stands is known now; only its older event cannot be looked at.
    ASSERT_TRUE(append("r", expected::any(), {event_of(7'001, 10)}));
    for (std::uint64_t i = 0; i < 50; i += 10) { // other segments are the open ones
        ASSERT_TRUE(open_->read_stream("s", {i}, direction::forwards, 1));
    }
    disk.fail_opens(true);
    const auto third = append("r", expected::any(), {repeated});
    ASSERT_FALSE(third) << "whether it is there could not be found out";
    EXPECT_EQ(third.error().code, errc::unavailable);
    disk.fail_opens(false);
    EXPECT_TRUE(append("r", expected::any(), {repeated}));
    EXPECT_EQ(stream("r").size(), 2u);
}

// Nobody accepts connections here, or asks for the reserve otherwise.
TEST_F(open_files_test, descriptors_lent_to_the_log_are_taken_back_by_its_writer) {
    constexpr std::size_t size = 3;
    base::descriptor_reserve reserve(size);
    base::posix_file_system files(reserve);
    const auto on_disk = std::filesystem::temp_directory_path() /
                         ("immortal-open-files-" + std::to_string(::getpid()));
    settings.folder = on_disk;
    auto opened = log::open(settings, files, clock, random, nullptr);
    ASSERT_TRUE(opened) << opened.error().message;
    ASSERT_TRUE(reserve.give_one() && reserve.give_one());
    ASSERT_TRUE(
        start_append(**opened, to_stream("s", expected::any(), {event_of(1)})).get().has_value());
    EXPECT_EQ(reserve.held(), size) << "before each group";
    ASSERT_TRUE(reserve.give_one());
    EXPECT_TRUE(base::comes_true([&] { return reserve.held() >= size; }))
        << "and while nothing is written";
    opened->reset();
    std::filesystem::remove_all(on_disk);
}

} // namespace
} // namespace immortal::eventlog
