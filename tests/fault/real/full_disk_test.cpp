// Fills a small disk under the event log until it refuses, frees space, and goes on (ladder A6).
//
// usage: full_disk_test [--all]     --all, or IMMORTAL_LONG: 16, 64 and 256 MiB; else 16 MiB
//
// Each on ext4 and tmpfs, once with the log's floor and once with none, so that writes meet ENOSPC.
// Nothing may abort; what was acknowledged stays readable all the time, also after a start on the
// full disk; writes come back by themselves. Needs root and loop devices; exit code 77: not
// available here.
#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "eventlog/log.hpp"
#include "eventlog/verify.hpp"
#include "real/loop_disk.hpp"
#include "store/promise_book.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

namespace {

using namespace immortal; // NOLINT: a test program of one file
using eventlog::log_state;
using faults::loop_disk;

constexpr std::uint64_t mib = 1u << 20u;

class full_disk {
public:
    full_disk(const loop_disk& disk, std::uint64_t size, std::uint64_t floor)
        : folder_(disk.folder() + "/log"), ballast_(disk.folder() + "/ballast"), size_(size),
          floor_(floor) {}

    // Empty: every promise held.
    std::string run() {
        std::ofstream(ballast_) << std::string(size_ / 3, 'x');
        if (std::string problem = open(); !problem.empty()) {
            return problem;
        }
        const std::uint64_t filled = fill();
        if (log_->state() != log_state::disk_full) {
            return "the full disk is not told as disk_full";
        }
        std::string problem = refuses();
        problem = problem.empty() ? book_.violation(*log_) : problem;
        problem = problem.empty() ? open_again() : problem;
        problem = problem.empty() ? refuses() : problem;
        problem = problem.empty() ? recovers() : problem;
        if (!problem.empty()) {
            return problem;
        }
        std::cout << "  refused after " << filled << " appends, went on by itself\n";
        return verified();
    }

private:
    std::string open() {
        log_.reset();
        auto opened =
            eventlog::log::open({.folder = folder_,
                                 .segment_size = 4 * mib,
                                 .free_space_min = floor_,
                                 .uncached_bytes_min = 4096,
                                 .remembered_ids = 1024,
                                 .index = {.folder = folder_ + "/index", .part_events_max = 40}},
                                files_, clock_, random_, nullptr);
        if (!opened) {
            return "it does not open: " + opened.error().message;
        }
        log_ = std::move(*opened);
        return {};
    }
    std::string open_again() {
        std::string problem = open();
        return problem.empty() ? book_.violation(*log_) : "on the full disk " + problem;
    }
    base::result<eventlog::append_outcome> append(std::size_t padding) {
        return faults::ask(
            *log_, book_,
            book_.begin({{"s-1", eventlog::expected_revision::any(), {}, {}}}, {3}, padding));
    }
    std::uint64_t fill() {
        std::uint64_t appends = 0;
        while (append(64u << 10u)) {
            ++appends;
        }
        return appends;
    }
    // A dozen appends, large ones: none is taken, and each is told why.
    std::string refuses() {
        for (int i = 0; i < 12; ++i) {
            const auto refused = append(8 * mib);
            if (refused || refused.error().code != base::errc::exhausted) {
                return refused ? "a large append is taken on the full disk"
                               : "refused for another reason: " + refused.error().message;
            }
        }
        return {};
    }
    std::string recovers() {
        std::filesystem::remove(ballast_);
        const auto until = clock_.steady_now() + std::chrono::seconds(60);
        while (log_->state() != log_state::writable && clock_.steady_now() < until) {
            std::this_thread::yield();
        }
        for (int i = 0; i < 20; ++i) {
            if (const auto done = append(1000); !done) {
                return "with space again it does not go on: " + done.error().message;
            }
        }
        return book_.violation(*log_);
    }
    std::string verified() {
        if (std::string problem = open_again(); !problem.empty()) {
            return problem;
        }
        log_.reset();
        const auto report = eventlog::verify(folder_, files_);
        return report && report->sound() ? "" : "verify finds damage";
    }

    base::posix_file_system files_;
    base::system_clock clock_;
    base::system_random random_;
    std::string folder_;
    std::string ballast_;
    std::uint64_t size_;
    std::uint64_t floor_;
    faults::promise_book book_;
    std::unique_ptr<eventlog::log> log_;
};

} // namespace

int main(int argc, char** argv) {
    base::configure_log(base::log_level::off, base::log_format::text);
    const bool all = std::getenv("IMMORTAL_LONG") != nullptr ||
                     (argc > 1 && std::string_view(argv[1]) == "--all");
    for (const std::uint64_t size : {16 * mib, 64 * mib, 256 * mib}) {
        if (size > 16 * mib && !all) {
            break;
        }
        for (const auto kind : {loop_disk::kind::ext4, loop_disk::kind::tmpfs}) {
            for (const std::uint64_t floor : {size / 8, std::uint64_t{0}}) {
                const auto disk = loop_disk::make(kind, size);
                if (!disk) {
                    std::cout << "SKIPPED, NOT TESTED HERE: full disks: " << disk.error()
                              << std::endl;
                    return 77;
                }
                std::cout << "full disk of " << size / mib << " MiB, " << name_of(kind)
                          << ", floor " << floor / mib << " MiB" << std::endl;
                if (const std::string problem = full_disk(**disk, size, floor).run();
                    !problem.empty()) {
                    std::cout << "FAILED: " << problem << "\n";
                    return 1;
                }
            }
        }
    }
    return 0;
}
