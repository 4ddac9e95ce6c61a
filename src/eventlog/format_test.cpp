// The on-disk format: round trips, and the committed logs of every released version.
#include "eventlog/chain.hpp"
#include "eventlog/frame_reader.hpp"
#include "eventlog/frame_writer.hpp"
#include "eventlog/log_fixture.hpp"
#include "eventlog/verify.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace immortal::eventlog {
namespace {

using expected = expected_revision;

std::string read_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class format_test : public log_fixture {
protected:
    static std::filesystem::path fixture() {
        return std::filesystem::path(IMMORTAL_EVENTLOG_FIXTURES) / "v1";
    }

    // What the committed log of version 1 holds, made anew.
    void write_version_1() {
        settings.segment_size = 2048;
        reopen();
        for (std::uint64_t i = 0; i < 9; ++i) {
            std::vector<stream_write> writes;
            writes.push_back({"player-" + std::to_string(i % 2), expected::any(),
                              events_of(i * 10 + 1, 1 + i % 3, 100)});
            if (i % 4 == 0) {
                new_event binary = event_of(i * 10 + 9);
                binary.format = content::binary;
                binary.type = "修炼";
                binary.data = std::string("\0\xff\x80", 3);
                binary.metadata.clear();
                writes.push_back({"cultivation-1", expected::any(), {binary}});
            }
            ASSERT_TRUE(append(std::move(writes)));
            clock.advance(std::chrono::milliseconds(1234));
        }
        open_->close();
    }
};

TEST_F(format_test, a_log_of_version_1_opens) {
    write_version_1();
    const auto expected_names = disk.list(folder).value();
    if (std::getenv("IMMORTAL_WRITE_FIXTURES") != nullptr) {
        std::filesystem::create_directories(fixture());
        for (const std::string& name : expected_names) {
            std::ofstream(fixture() / name, std::ios::binary)
                << disk.contents(std::string(folder) + "/" + name);
        }
    }
    // Today's program writes the same bytes,
    base::memory_file_system committed;
    for (const std::string& name : expected_names) {
        const std::string path = std::string(folder) + "/" + name;
        const std::string bytes = read_file(fixture() / name);
        EXPECT_EQ(bytes, disk.contents(path)) << name;
        committed.set_contents(path, bytes);
    }
    // and reads them.
    open_.reset();
    disk = std::move(committed);
    const auto report = verify(folder, disk);
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->findings.empty());
    EXPECT_EQ(report->events, 21u);
    reopen();
    const auto events = everything();
    ASSERT_EQ(events.size(), 21u);
    EXPECT_EQ(events[1].type, "修炼");
    EXPECT_EQ(events[1].data, std::string("\0\xff\x80", 3));
    EXPECT_EQ(events[1].format, content::binary);
    EXPECT_EQ(stream("player-1").size(), 8u);
    EXPECT_TRUE(append("player-0", expected::any(), events_of(500, 1)));
}

TEST_F(format_test, frames_round_trip) {
    for (std::uint64_t round = 0; round < 200; ++round) {
        std::vector<stream_write> writes;
        std::vector<base::revision> first;
        std::size_t count = 0;
        for (std::uint64_t w = 0; w <= random.next() % 3; ++w) {
            writes.push_back({"s-" + std::to_string(w), {}, {}});
            first.push_back({random.next() % 1000});
            for (std::uint64_t e = 0; e <= random.next() % 4; ++e, ++count) {
                writes.back().events.push_back(event_of(random.next(), random.next() % 700));
            }
        }
        const base::position at{random.next() % (1ull << 50u)};
        base::digest256 chain{};
        chain[3] = 7;
        byte_buffer buffer;
        const auto last = write_frame(buffer, at, writes, first, clock.now(), chain);
        ASSERT_EQ(buffer.size(), frame_size(writes));

        const std::string bytes(reinterpret_cast<const char*>(buffer.bytes().data()),
                                buffer.size());
        disk.set_contents("/frame", bytes);
        auto file = disk.open("/frame", base::open_mode::read).value();
        frame_reader reader(*file, at, at, {at.value + bytes.size()}, 100);
        frame_view frame;
        ASSERT_EQ(reader.next(frame).value(), frame_reader::outcome::frame);
        EXPECT_EQ(frame.header.previous_chain, chain);
        record_walk walk(frame);
        record_view record;
        for (std::size_t w = 0; w < writes.size(); ++w) {
            for (std::size_t e = 0; e < writes[w].events.size(); ++e, --count) {
                ASSERT_TRUE(walk.next(record));
                EXPECT_EQ(record.stream, writes[w].stream);
                EXPECT_EQ(record.revision.value, first[w].value + e);
                EXPECT_EQ(record.data, writes[w].events[e].data);
                EXPECT_EQ(record.created, clock.now());
                EXPECT_EQ(record.last_in_batch(), count == 1);
            }
        }
        EXPECT_EQ(record.position, last);
        EXPECT_FALSE(walk.next(record));
        EXPECT_FALSE(walk.damaged());
        EXPECT_EQ(reader.next(frame).value(), frame_reader::outcome::end);
    }
}

TEST_F(format_test, the_chain_is_sha256_over_the_whole_frame) {
    chain_hasher hasher;
    const std::string text = "abc";
    EXPECT_EQ(base::hex(hasher.after(std::as_bytes(std::span(text)))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(format_test, segment_names) {
    EXPECT_EQ(format::segment_name(12), "segment-00000012.log");
    EXPECT_EQ(format::segment_number("segment-00000012.log"), 12u);
    for (const char* other : {"segment-12.log", "segment-00000012.log.at-000000000001.torn",
                              "segment-.log", "anchor", "segment-0000001x.log"}) {
        EXPECT_FALSE(format::segment_number(other)) << other;
    }
}

} // namespace
} // namespace immortal::eventlog
