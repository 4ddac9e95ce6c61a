// A small language for tests of an index that is damaged, wrong or cannot be written.
#pragma once

#include "eventlog/index_store.hpp"
#include "eventlog/log_fixture.hpp"
#include "eventlog/stream_metadata.hpp"

#include <algorithm>
#include <map>
#include <thread>

namespace immortal::eventlog {

inline constexpr const char* index_folder = "/log/index";

class index_damage_test : public log_fixture {
protected:
    using expected = expected_revision;
    using errc = base::errc;
    using positions = std::vector<base::position>;

    void SetUp() override {
        settings.index = {.folder = index_folder,
                          .part_events_max = 64, // few files: RocksDB merges none of them
                          .cache_bytes = 1,      // each look reads the files
                          .place_spacing = 8,
                          .log_scan_max = 0, // the log itself is not read instead
                          .retry_pause = std::chrono::milliseconds(1)};
        settings.remembered_ids = 16;
        settings.segment_size = 16384;
    }

    // Streams of several kinds, a reservation among the oldest, and much after it.
    void write_log(std::uint64_t appends) {
        reopen();
        write_some(0, 4);
        ASSERT_TRUE(append("reserved-name", expected::no_stream(), {event_of(900'001)}));
        ASSERT_TRUE(append("repeated-1", expected::no_stream(), events_of(900'010, 3)));
        set_metadata("limited-1", R"({"$maxCount":2,"$acl":{"$r":"nobody"}})");
        ASSERT_TRUE(append("limited-1", expected::any(), events_of(900'020, 5)));
        write_some(4, appends);
        open_.reset();
    }
    void write_some(std::uint64_t first, std::uint64_t count) {
        for (std::uint64_t i = first; i < first + count; ++i) {
            auto events = events_of(i * 10 + 1, 1 + i % 3);
            events[0].type = "T" + std::to_string(i % 2);
            events[0].metadata = R"({"$correlationId":"c)" + std::to_string(i % 5) + "\"}";
            ASSERT_TRUE(
                append({{"s-" + std::to_string(i % 7), expected::any(), events},
                        {"t-" + std::to_string(i), expected::any(), events_of(i * 10 + 7, 1)}}));
        }
    }
    void set_metadata(const std::string& stream, const std::string& json) {
        ASSERT_TRUE(append(metadata_stream_of(stream), expected::any(),
                           {{id_of(990'000), metadata_type, json, "", content::json}}));
    }
    std::vector<std::string> index_files() {
        std::vector<std::string> out;
        const std::string first = index_folder;
        for (const std::string& in : {first, first + "/" + second_store_name}) {
            for (const std::string& name : disk.list(in).value()) {
                out.push_back(in + "/" + name);
            }
        }
        return out;
    }
    // A bit in each block of every table.
    void damage_tables() {
        std::size_t flipped = 0;
        for (const std::string& path : index_files()) {
            const std::size_t size = disk.contents(path).size();
            for (std::size_t at = 20; path.ends_with(".sst") && at < size; at += 40, ++flipped) {
                disk.flip_bit(path, at, at % 8);
            }
        }
        ASSERT_GT(flipped, 100u);
    }
    static bool is_delay(const base::error& problem) {
        return problem.code == errc::unavailable &&
               (problem.reason == "index_damaged" || problem.reason == "index_failed") &&
               problem.retry_after_ms > 0;
    }
    // The answer when the index is whole again; each one before it is a delay.
    template <typename Ask>
    auto answer_at_last(Ask ask, std::size_t& delays) {
        for (delays = 0;; ++delays) {
            auto answer = ask();
            if (answer || !is_delay(answer.error()) || delays == 100'000) {
                return answer;
            }
            std::this_thread::yield();
        }
    }
    template <typename Ask>
    auto answer_at_last(Ask ask) {
        std::size_t delays = 0;
        return answer_at_last(ask, delays);
    }

    // What there is, by the log alone.
    struct truth {
        std::map<std::string, positions> streams;
        std::map<std::string, positions> types;
        std::map<std::string, positions> correlations;
    };
    truth find_truth() {
        truth out;
        for (const recorded_event& event : everything()) {
            out.streams[event.stream].push_back(event.position);
            out.types[event.type].push_back(event.position);
            if (event.metadata.starts_with(R"({"$correlationId":"c)")) {
                out.correlations[event.metadata.substr(19, 2)].push_back(event.position);
            }
        }
        return out;
    }
    // Every answer is right or a delay; how many are delays.
    std::size_t ask_everything(const truth& whole) {
        std::size_t delays = 0;
        const auto check = [&](const auto& found, const auto& wanted, const std::string& what) {
            if (found) {
                EXPECT_EQ(*found, wanted) << what;
            } else {
                EXPECT_TRUE(is_delay(found.error())) << what << ": " << found.error().message;
                ++delays;
            }
        };
        for (const auto& [name, wanted] : whole.streams) {
            check(open_->stream_head(name), std::optional(base::revision{wanted.size() - 1}), name);
        }
        check(open_->stream_head("none-1"), std::optional<base::revision>(), "none-1");
        const auto view = [&](index_view kind, const auto& lists) {
            for (const auto& [name, wanted] : lists) {
                check(open_->view_size(kind, name), wanted.size(), name);
                const auto slice = open_->read_view(kind, name, 0, direction::forwards, 1'000);
                positions found;
                for (const auto& entry : slice ? slice->entries : decltype(slice->entries)()) {
                    EXPECT_EQ(entry.number, found.size());
                    found.push_back(entry.event.position);
                }
                check(slice ? base::result<positions>(found)
                            : base::result<positions>(base::fail(slice.error())),
                      wanted, name);
            }
        };
        view(index_view::type, whole.types);
        view(index_view::correlation, whole.correlations);
        const auto limited = open_->read_stream("limited-1", {0}, direction::forwards, 10);
        check(limited ? base::result<std::size_t>(limited->events.size())
                      : base::result<std::size_t>(base::fail(limited.error())),
              std::size_t{2}, "$maxCount");
        const auto info = open_->info("limited-1");
        check(info ? base::result<bool>(info->metadata.has_value())
                   : base::result<bool>(base::fail(info.error())),
              true, "$acl");
        return delays;
    }
    void expect_right_at_last(const truth& whole) {
        for (int attempt = 0; attempt < 100'000; ++attempt) {
            if (ask_everything(whole) == 0) {
                return;
            }
            std::this_thread::yield();
        }
        FAIL() << "the index was not made anew";
    }
    std::map<std::string, std::string> image() {
        std::map<std::string, std::string> out;
        for (const std::string& name : disk.list(folder).value()) {
            out[std::string(folder) + "/" + name] = disk.contents(std::string(folder) + "/" + name);
        }
        for (const std::string& path : index_files()) {
            out[path] = disk.contents(path);
        }
        return out;
    }
    void restore(const std::map<std::string, std::string>& from) {
        open_.reset();
        disk = base::memory_file_system(3);
        for (const auto& [path, bytes] : from) {
            disk.set_contents(path, bytes);
        }
    }
    // A second reservation, a repeated append, and the metadata, at a damaged index.
    void expect_nothing_is_absent() {
        std::size_t delays = 0;
        const auto second = answer_at_last(
            [&] { return append("reserved-name", expected::no_stream(), {event_of(900'002)}); },
            delays);
        EXPECT_GT(delays, 0u) << "the damage was not met";
        ASSERT_FALSE(second) << "a second reservation";
        EXPECT_EQ(second.error().code, errc::conflict) << second.error().message;
        EXPECT_EQ(open_->stream_head("reserved-name").value(), base::revision{0});
        const auto repeated = answer_at_last(
            [&] { return append("repeated-1", expected::no_stream(), events_of(900'010, 3)); });
        ASSERT_TRUE(repeated) << repeated.error().message;
        EXPECT_EQ(stream("repeated-1").size(), 3u) << "written twice";
    }
};

} // namespace immortal::eventlog
