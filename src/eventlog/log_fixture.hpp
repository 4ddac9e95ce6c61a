// A small language for tests of the log: append, read, corrupt, cut the power, reopen.
#pragma once

#include "base/memory_file_system.hpp"
#include "base/random.hpp"
#include "eventlog/format.hpp"
#include "eventlog/log.hpp"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

namespace immortal::eventlog {

inline base::uuid id_of(std::uint64_t number) {
    base::uuid id;
    for (std::size_t i = 0; i < 8; ++i) {
        id.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
    }
    id.bytes[0] = 1;
    return id;
}

inline new_event event_of(std::uint64_t number, std::size_t padding = 0) {
    return {id_of(number), "Happened",
            "{\"n\":" + std::to_string(number) + "}" + std::string(padding, ' '), "{}",
            content::json};
}

inline std::vector<new_event> events_of(std::uint64_t first, std::size_t count,
                                        std::size_t padding = 0) {
    std::vector<new_event> out;
    for (std::size_t i = 0; i < count; ++i) {
        out.push_back(event_of(first + i, padding));
    }
    return out;
}

inline std::vector<stream_write> to_stream(std::string stream, expected_revision expected,
                                           std::vector<new_event> events) {
    std::vector<stream_write> writes;
    writes.push_back({std::move(stream), expected, std::move(events)});
    return writes;
}

// A log in a file system in memory (`disk`).
class log_fixture : public testing::Test {
protected:
    static constexpr const char* folder = "/log";

    log_settings settings{.folder = folder,
                          .segment_size = 4096,
                          .free_space_min = 0,
                          .group_wait_max = std::chrono::microseconds(0)};
    base::memory_file_system disk{7};
    base::manual_clock clock{base::utc_time(std::chrono::hours(24 * 365 * 50))};
    base::seeded_random random{11};
    std::unique_ptr<log> open_;

    base::status try_open() {
        open_.reset();
        auto opened = log::open(settings, disk, clock, random, nullptr);
        if (!opened) {
            return base::fail(opened.error());
        }
        open_ = std::move(*opened);
        return {};
    }
    void reopen() {
        const auto opened = try_open();
        ASSERT_TRUE(opened) << opened.error().message;
    }
    static std::future<base::result<append_outcome>>
    start_append(log& to, std::vector<stream_write> writes) {
        auto promise = std::make_shared<std::promise<base::result<append_outcome>>>();
        auto future = promise->get_future();
        to.append(std::move(writes), [promise](base::result<append_outcome> outcome) {
            promise->set_value(std::move(outcome));
        });
        return future;
    }
    base::result<append_outcome> append(std::vector<stream_write> writes) {
        return start_append(*open_, std::move(writes)).get();
    }
    base::result<append_outcome> append(std::string stream, expected_revision expected,
                                        std::vector<new_event> events) {
        return append(to_stream(std::move(stream), expected, std::move(events)));
    }
    std::vector<recorded_event> everything() {
        std::vector<recorded_event> out;
        base::position from;
        for (;;) {
            auto slice = open_->read_all(from, direction::forwards, 100);
            EXPECT_TRUE(slice) << slice.error().message;
            if (!slice) {
                return out;
            }
            out.insert(out.end(), slice->events.begin(), slice->events.end());
            from = slice->next;
            if (slice->end) {
                return out;
            }
        }
    }
    std::vector<recorded_event> stream(std::string_view name) {
        auto slice = open_->read_stream(name, {0}, direction::forwards, 10'000);
        EXPECT_TRUE(slice) << slice.error().message;
        return slice ? slice->events : std::vector<recorded_event>{};
    }
    std::size_t segments() {
        std::size_t count = 0;
        for (const std::string& name : disk.list(folder).value()) {
            count += format::segment_number(name) ? 1 : 0;
        }
        return count;
    }
    static std::string segment_path(std::uint32_t number) {
        return std::string(folder) + "/" + format::segment_name(number);
    }
};

} // namespace immortal::eventlog
