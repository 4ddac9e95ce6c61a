#include "eventlog/log.hpp"
#include "eventstore/embedded_store.hpp"
#include "eventstore/scenario_fixture.hpp"
#include "eventstore/system_events.hpp"

#include <filesystem>

namespace immortal::eventstore {
namespace {

// A log on the disk, with segments so small that every scenario crosses several.
class embedded_scenario_store final : public scenario_store {
public:
    // With the events that a log of the product begins with.
    explicit embedded_scenario_store(std::uint64_t segment_size) {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "immortal-store-XXXXXX").string();
        folder_ = mkdtemp(pattern.data());
        auto opened = eventlog::log::open(
            {.folder = folder_ + "/log", .segment_size = segment_size, .free_space_min = 0}, files_,
            clock_, random_, nullptr);
        EXPECT_TRUE(opened) << opened.error().message;
        log_ = std::move(*opened);
        const auto begun = write_system_events(*log_);
        EXPECT_TRUE(begun) << begun.error().message;
        const auto head = log_->head().last_event;
        EXPECT_TRUE(head && write_system_events(*log_)); // once only
        EXPECT_EQ(log_->head().last_event, head);
        store_ = make_embedded_store(*log_);
    }
    ~embedded_scenario_store() override {
        store_.reset();
        log_.reset();
        std::filesystem::remove_all(folder_);
    }
    event_store& store() override { return *store_; }

private:
    base::posix_file_system files_;
    base::system_clock clock_;
    base::system_random random_;
    std::string folder_;
    std::unique_ptr<eventlog::log> log_;
    std::unique_ptr<event_store> store_;
};

} // namespace

INSTANTIATE_TEST_SUITE_P(embedded, event_store_scenarios,
                         testing::Values(scenario_adapter{
                             "embedded", [] {
                                 return std::make_unique<embedded_scenario_store>(256u << 20u);
                             }}));
INSTANTIATE_TEST_SUITE_P(embedded_small_segments, event_store_scenarios,
                         testing::Values(scenario_adapter{
                             "embedded",
                             [] { return std::make_unique<embedded_scenario_store>(2048); }}));

} // namespace immortal::eventstore
