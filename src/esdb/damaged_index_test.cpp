// What clients are told while a damaged index is made anew.
#include "esdb/store_fixture.hpp"

#include <fstream>

namespace immortal::esdb {
namespace {

class damaged_index_test : public store_fixture {
protected:
    void SetUp() override {
        engine_.start();
        std::string pattern =
            (std::filesystem::temp_directory_path() / "immortal-esdb-XXXXXX").string();
        folder_ = mkdtemp(pattern.data());
        serve();
    }
    void serve() {
        auto opened = eventlog::log::open({.folder = folder_ + "/log",
                                           .free_space_min = 0,
                                           .index = {.folder = folder_ + "/index",
                                                     .part_events_max = 64,
                                                     .cache_bytes = 1,
                                                     .log_scan_max = 0}},
                                          files_, clock_, random_, nullptr);
        ASSERT_TRUE(opened) << opened.error().message;
        log_ = std::move(*opened);
        store_ = eventstore::make_embedded_store(*log_);
        protocol_settings settings;
        settings.server.port = 0;
        server_ = std::make_unique<protocol_server>(engine_, *store_, clock_, random_, settings);
        const auto started = server_->start();
        ASSERT_TRUE(started) << started.error().message;
        channel_ = make_channel();
        streams_ = ::event_store::client::streams::Streams::NewStub(channel_);
    }
    void serve_again() {
        server_->stop(std::chrono::milliseconds(500));
        server_.reset();
        store_.reset();
        log_.reset();
        serve();
    }
    // A bit in each block of every table.
    void damage_tables() {
        std::size_t flipped = 0;
        for (const auto& file : std::filesystem::recursive_directory_iterator(folder_ + "/index")) {
            if (file.path().extension() != ".sst") {
                continue;
            }
            std::fstream table(file.path(), std::ios::in | std::ios::out | std::ios::binary);
            for (std::uintmax_t at = 20; at < file.file_size(); at += 40, ++flipped) {
                table.seekg(static_cast<std::streamoff>(at));
                const char byte = static_cast<char>(table.get() ^ 1);
                table.seekp(static_cast<std::streamoff>(at));
                table.put(byte);
            }
        }
        ASSERT_GT(flipped, 100u);
    }
};

TEST_P(damaged_index_test, whoever_asks_for_what_was_in_it_is_told_when_to_come_back) {
    write("reserved", {1});
    for (std::uint64_t i = 0; i < 200; ++i) {
        write("s-" + std::to_string(i), {i + 2});
    }
    serve_again();
    damage_tables();
    const auto until = std::chrono::steady_clock::now() + patience;
    std::size_t delays = 0;
    auto second = append("reserved", no_stream, {1'000});
    for (; second.status.error_code() == grpc::StatusCode::UNAVAILABLE; ++delays) {
        EXPECT_EQ(trailer(*second.context, "retry-after-ms"), "1000");
        ASSERT_LT(std::chrono::steady_clock::now(), until);
        second = append("reserved", no_stream, {1'000});
    }
    EXPECT_GT(delays, 0u);
    EXPECT_FALSE(second.status.ok() && second.response.has_success()) << "it is reserved";
}

INSTANTIATE_TEST_SUITE_P(stores, damaged_index_test, testing::Values(adapter::embedded),
                         adapter_name);

} // namespace
} // namespace immortal::esdb
