// What a damaged or unwritable index does to the log: nothing but a delay.
#include "base/forwarding_files_testing.hpp"
#include "base/patience_testing.hpp"
#include "eventlog/index_damage_fixture.hpp"

#include <atomic>
#include <cstdlib>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::file_error;

TEST_F(index_damage_test, a_second_reservation_never_succeeds_when_it_is_damaged_while_open) {
    write_log(80);
    reopen();
    damage_tables();
    expect_nothing_is_absent();
    expect_right_at_last(find_truth());
    reopen();
    EXPECT_EQ(ask_everything(find_truth()), 0u) << "it was made anew for good";
}

TEST_F(index_damage_test, a_second_reservation_never_succeeds_when_it_is_damaged_before_the_start) {
    write_log(80);
    // The newest block of the list of checkpoints stays: else the start itself makes it anew.
    const auto sound = image();
    std::size_t met = 0;
    for (const std::string& path : index_files()) {
        const std::size_t size = disk.contents(path).size();
        for (std::size_t at = 10; path.ends_with(".sst") && at < size; at += 200) {
            restore(sound);
            for (std::size_t near = at; near < std::min(at + 200, size); near += 20) {
                disk.flip_bit(path, near, near % 8);
            }
            reopen();
            std::size_t delays = 0;
            const auto second = answer_at_last(
                [&] { return append("reserved-name", expected::no_stream(), {event_of(900'002)}); },
                delays);
            ASSERT_FALSE(second) << path << " at " << at;
            EXPECT_EQ(second.error().code, errc::conflict) << second.error().message;
            met += delays > 0 ? 1 : 0;
            expect_right_at_last(find_truth());
        }
    }
    EXPECT_GT(met, 0u) << "the block of the reservation was never damaged";
}

TEST_F(index_damage_test, a_small_log_is_read_instead_at_once) {
    settings.index.log_scan_max = 4u << 20u;
    write_log(80);
    reopen();
    damage_tables();
    EXPECT_EQ(ask_everything(find_truth()), 0u);
    const auto second = append("reserved-name", expected::no_stream(), {event_of(900'002)});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, errc::conflict);
}

TEST_F(index_damage_test, random_bits_of_an_open_and_of_a_closed_index_give_right_answers_or_none) {
    const int rounds = std::getenv("IMMORTAL_LONG") != nullptr ? 1'500 : 25;
    write_log(80);
    reopen();
    const truth whole = find_truth();
    open_.reset();
    const auto sound = image();
    std::size_t met = 0;
    for (int round = 0; round < rounds; ++round) {
        SCOPED_TRACE(round);
        const bool while_open = round % 2 == 0;
        restore(sound);
        if (while_open) {
            reopen();
        }
        const auto files = index_files();
        for (std::uint64_t flips = 1 + random.next() % 12; flips > 0; --flips) {
            const std::string& path = files[random.next() % files.size()];
            const std::size_t size = disk.contents(path).size();
            if (size > 0) {
                disk.flip_bit(path, random.next() % size, static_cast<unsigned>(random.next() % 8));
            }
        }
        if (!while_open) {
            reopen();
        }
        met += ask_everything(whole) > 0 ? 1 : 0;
        (void)append("s-1", expected::any(), events_of(800'000, 1)); // or a delay
        if (round % 3 == 0) {                                        // a start in the middle of it
            reopen();
        }
        expect_right_at_last(find_truth());
        if (HasFailure()) {
            return;
        }
    }
    EXPECT_GT(met, 0u) << "no damage was met";
}

TEST_F(index_damage_test, writes_go_on_while_it_is_made_anew) {
    write_log(80);
    reopen();
    damage_tables();
    EXPECT_FALSE(open_->stream_head("reserved-name"));
    std::size_t written = 0;
    for (std::uint64_t i = 0; i < 200; ++i) { // new streams cannot be told from damaged ones
        const auto done = answer_at_last([&] {
            return append("new-" + std::to_string(i), expected::no_stream(),
                          events_of(1'000'000 + i * 10, 2));
        });
        ASSERT_TRUE(done) << done.error().message;
        written += 2;
    }
    expect_right_at_last(find_truth());
    EXPECT_EQ(open_->view_size(index_view::streams, "").value(), find_truth().streams.size());
    reopen();
    EXPECT_EQ(ask_everything(find_truth()), 0u);
    EXPECT_EQ(written, 400u);
}

// As an interrupted making anew, or a disk that gave back something else, may leave it.
TEST_F(index_damage_test, a_folder_that_cannot_be_used_does_not_stay) {
    write_log(80);
    const std::string first = index_folder;
    const std::string second = first + "/" + second_store_name;
    const auto await_empty = [&](const std::string& of) {
        EXPECT_TRUE(base::comes_true([&] { return disk.list(of).value().empty(); }));
    };
    disk.set_contents(second + "/CURRENT", "MANIFEST-000009\n");
    disk.set_contents(second + "/000010.sst", "nothing");
    reopen();
    await_empty(second);
    EXPECT_EQ(ask_everything(find_truth()), 0u);
    open_.reset();
    // The one in the second folder is the good one.
    for (const std::string& name : disk.list(first).value()) {
        disk.set_contents(second + "/" + name, disk.contents(first + "/" + name));
    }
    disk.set_contents(first + "/CURRENT", "MANIFEST-999999\n");
    reopen();
    await_empty(first);
    EXPECT_EQ(ask_everything(find_truth()), 0u);
    reopen();
    EXPECT_EQ(ask_everything(find_truth()), 0u);
    EXPECT_TRUE(disk.list(first).value().empty()) << "it was made anew";
}

// The files of the index fail, those of the log do not.
class failing_index final : public base::forwarding_file_system {
public:
    explicit failing_index(base::file_system& disk) : forwarding_file_system(disk) {}

    std::atomic<bool> failing{false};
    std::atomic<std::uint64_t> passing{0}; // so many go on before
    std::atomic<file_error::kind> kind{file_error::kind::io};
    std::atomic<std::uint64_t> failures{0};

    base::file_result<std::unique_ptr<base::file>> open(const std::string& path,
                                                        base::open_mode mode) override {
        const bool written = of_index(path) && mode == base::open_mode::create_new;
        if (written && fails()) {
            return std::unexpected(fault());
        }
        auto opened = forwarding_file_system::open(path, mode);
        return opened && written ? std::make_unique<watched>(*this, std::move(*opened))
                                 : std::move(opened);
    }
    base::file_status rename(const std::string& from, const std::string& to) override {
        return of_index(from) && fails() ? std::unexpected(fault())
                                         : forwarding_file_system::rename(from, to);
    }
    base::file_status sync_directory(const std::string& folder) override {
        return of_index(folder) && fails() ? std::unexpected(fault())
                                           : forwarding_file_system::sync_directory(folder);
    }

private:
    class watched final : public base::forwarding_file {
    public:
        watched(failing_index& owner, std::unique_ptr<base::file> file)
            : forwarding_file(std::move(file)), owner_(owner) {}
        base::file_status write_at(std::uint64_t offset,
                                   std::span<const std::byte> bytes) override {
            if (owner_.fails()) { // a full disk takes a part
                static_cast<void>(forwarding_file::write_at(offset, bytes.first(bytes.size() / 2)));
                return std::unexpected(owner_.fault());
            }
            return forwarding_file::write_at(offset, bytes);
        }
        base::file_status sync() override {
            return owner_.fails() ? std::unexpected(owner_.fault()) : forwarding_file::sync();
        }

    private:
        failing_index& owner_;
    };

    static bool of_index(const std::string& path) { return path.starts_with(index_folder); }
    bool fails() {
        if (!failing || (passing > 0 && passing-- > 0)) {
            return false;
        }
        ++failures;
        return true;
    }
    file_error fault() const { return {kind, "a planted fault of the index"}; }
};

class unwritable_index_test : public index_damage_test {
protected:
    void open_failing() {
        open_.reset();
        auto opened = log::open(settings, files_, clock, random, nullptr);
        ASSERT_TRUE(opened) << opened.error().message;
        open_ = std::move(*opened);
    }
    void TearDown() override { open_.reset(); }
    void expect_views_right() {
        const truth whole = find_truth();
        for (const auto& [name, wanted] : whole.streams) {
            EXPECT_EQ(open_->stream_head(name).value(), base::revision{wanted.size() - 1}) << name;
        }
        for (const auto& [name, wanted] : whole.types) {
            EXPECT_EQ(open_->view_size(index_view::type, name).value(), wanted.size()) << name;
        }
    }

    failing_index files_{disk};
};

TEST_F(unwritable_index_test, appends_are_refused_at_the_bound_and_resume_by_themselves) {
    settings.index.part_events_max = 8;
    settings.index.tail_bytes_max = 4096;
    settings.segment_size = 1u << 20u;
    for (const auto kind : {file_error::kind::io, file_error::kind::too_many_open,
                            file_error::kind::no_space, file_error::kind::denied}) {
        SCOPED_TRACE(static_cast<int>(kind));
        disk = base::memory_file_system(5);
        open_failing();
        write_some(0, 20);
        open_failing(); // with nothing in the tail
        files_.kind = kind;
        files_.failing = true;
        std::uint64_t next = 100;
        std::size_t taken = 0;
        for (; taken < 10'000; ++taken, ++next) {
            const auto done = append("s-1", expected::any(), events_of(next * 10, 2));
            if (!done) {
                const bool full = done.error().code == errc::exhausted;
                EXPECT_TRUE(full || done.error().code == errc::unavailable) << done.error().message;
                EXPECT_EQ(done.error().reason, full ? "disk_full"
                                               : kind == file_error::kind::too_many_open
                                                   ? "too_many_open_files"
                                                   : "index_behind");
                break;
            }
        }
        EXPECT_GT(taken, 4u) << "the tail takes some";
        EXPECT_LT(taken, 10'000u) << "the tail has no bound";
        EXPECT_GT(files_.failures, 0u);
        const std::size_t there = everything().size();
        files_.failing = false;
        base::result<append_outcome> done = base::fail(errc::unavailable, "");
        for (int attempt = 0; !done && attempt < 100'000; ++attempt) {
            done = append("s-1", expected::any(), events_of(next * 10, 2));
        }
        ASSERT_TRUE(done) << done.error().message;
        EXPECT_EQ(everything().size(), there + 2);
        EXPECT_FALSE(disk.contents(std::string(index_folder) + "/CURRENT").empty())
            << "the index was thrown away";
        write_some(50, 30);
        expect_views_right();
        open_failing();
        expect_views_right();
        open_.reset();
    }
}

TEST_F(unwritable_index_test, a_start_needs_no_write) {
    write_log(80);
    files_.failing = true;
    for (const auto kind : {file_error::kind::no_space, file_error::kind::io,
                            file_error::kind::too_many_open, file_error::kind::denied}) {
        files_.kind = kind;
        const std::size_t before = files_.failures;
        open_failing();
        EXPECT_GT(files_.failures, before) << "nothing was tried";
        expect_views_right();
        EXPECT_TRUE(append("later-1", expected::any(),
                           events_of(2'000'000 + static_cast<std::uint64_t>(kind) * 10, 1)));
        expect_views_right();
        open_.reset();
    }
    files_.failing = false;
    open_failing();
    expect_views_right();
}

TEST_F(unwritable_index_test, a_start_reads_all_of_the_log_when_nothing_is_indexed) {
    const std::string index = settings.index.folder;
    settings.index.folder.clear();
    write_log(80);
    settings.index.folder = index;
    settings.index.part_events_max = 8;
    settings.index.tail_bytes_max = 1;
    for (const auto kind : {file_error::kind::no_space, file_error::kind::io,
                            file_error::kind::too_many_open, file_error::kind::denied}) {
        SCOPED_TRACE(static_cast<int>(kind));
        files_.kind = kind;
        files_.failing = true;
        open_failing();
        if (HasFatalFailure()) {
            return;
        }
        expect_views_right();
        const std::uint64_t number = 2'000'000 + static_cast<std::uint64_t>(kind) * 10;
        const auto refused = append("later-1", expected::any(), events_of(number, 1));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().reason, "index_behind");
        EXPECT_GT(refused.error().retry_after_ms, 0u);
        files_.failing = false;
        base::result<append_outcome> done = base::fail(errc::unavailable, "");
        for (int attempt = 0; !done && attempt < 100'000; ++attempt) {
            done = append("later-1", expected::any(), events_of(number, 1));
        }
        ASSERT_TRUE(done) << done.error().message;
        expect_views_right();
        open_.reset();
        for (const std::string& path : index_files()) {
            static_cast<void>(disk.remove(path));
        }
    }
}

// Whatever the step at which the space ends: what was on disk before is gone on from.
TEST_F(unwritable_index_test, a_stop_does_not_wait_for_space_and_the_next_start_catches_up) {
    settings.index.part_events_max = 8;
    settings.index.patience = std::chrono::hours(1); // nobody waits for that
    settings.index.close_patience = std::chrono::hours(1);
    settings.remembered_ids = 0;
    settings.segment_size = 1u << 20u;
    files_.kind = file_error::kind::no_space;
    std::uint64_t failed = 0;
    const std::uint64_t step = std::getenv("IMMORTAL_LONG") != nullptr ? 1 : 4;
    for (std::uint64_t passing = 0; passing < 30; passing += step) {
        SCOPED_TRACE(passing);
        disk = base::memory_file_system(5);
        files_.failing = false;
        open_failing();
        write_some(0, 40);
        open_failing(); // all of it is indexed on disk
        files_.failures = 0;
        files_.passing = passing;
        files_.failing = true;
        write_some(40, 6);
        open_.reset();
        failed += files_.failures > 0 ? 1 : 0;
        // Who reads the whole log to make the index anew meets this.
        const auto flipped = sizeof(format::segment_header) + sizeof(format::frame_header) + 80;
        disk.flip_bit(segment_path(0), flipped, 1);
        files_.passing = 0;
        for (const bool still_full : {true, false}) {
            files_.failing = still_full;
            open_failing();
            ASSERT_TRUE(open_ != nullptr);
            EXPECT_EQ(open_->stream_head("t-45").value(), base::revision{0});
            EXPECT_EQ(open_->stream_head("t-1").value(), base::revision{0});
            open_.reset();
        }
        disk.flip_bit(segment_path(0), flipped, 1);
        open_failing();
        expect_views_right();
        open_.reset();
    }
    EXPECT_GT(failed, 2u);
}

TEST_F(unwritable_index_test, a_stop_does_not_wait_for_the_space_of_an_index_made_anew) {
    write_log(80);
    const auto whole = image();
    files_.kind = file_error::kind::no_space;
    std::uint64_t failed = 0;
    for (std::uint64_t passing = 0; passing < 60; passing += 6) {
        SCOPED_TRACE(passing);
        restore(whole);
        files_.failing = false;
        open_failing();
        damage_tables();
        files_.failures = 0;
        files_.passing = passing;
        files_.failing = true;
        for (int i = 0; files_.failures == 0 && i < 100'000; ++i) {
            static_cast<void>(open_->stream_head("reserved-name"));
            std::this_thread::yield();
        }
        failed += files_.failures > 0 ? 1 : 0;
        open_.reset();
    }
    EXPECT_GT(failed, 2u);
}

TEST_F(unwritable_index_test, a_start_waits_for_a_slow_index) {
    const std::string index = settings.index.folder;
    settings.index.folder.clear();
    write_log(80);
    settings.index.folder = index;
    settings.index.part_events_max = 8;
    settings.index.tail_bytes_max = 1;
    settings.index.patience = std::chrono::milliseconds(0);
    open_failing();
    if (!HasFatalFailure()) {
        expect_views_right();
    }
}

} // namespace
} // namespace immortal::eventlog
