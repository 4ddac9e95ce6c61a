// A small language for tests of scavenging.
#pragma once

#include "eventlog/log_fixture.hpp"
#include "eventlog/scavenger.hpp"
#include "eventlog/stream_metadata.hpp"
#include "eventlog/verify.hpp"

#include <map>

namespace immortal::eventlog {

class scavenge_fixture : public log_fixture {
protected:
    void SetUp() override { reopen(); }

    void set_metadata(const std::string& stream, const std::string& json) {
        new_event event{id_of(++metadata_written_ + 1'000'000), metadata_type, json, "",
                        content::json};
        ASSERT_TRUE(append(metadata_stream_of(stream), expected_revision::any(), {event}));
    }
    // So many events, an append each, so that several segments get full.
    void write(const std::string& stream, std::size_t count, std::size_t padding = 400) {
        for (std::size_t i = 0; i < count; ++i) {
            new_event event = event_of(++written_, padding);
            event.metadata = R"({"$correlationId":"c1","and":"more"})";
            ASSERT_TRUE(append(stream, expected_revision::any(), {event}));
        }
    }
    scavenge_status scavenge(scavenge_options options = {}) {
        const auto id = open_->scavenges().start(options);
        EXPECT_TRUE(id) << id.error().message;
        open_->scavenges().wait(scavenger::wait_how::to_the_end);
        return open_->scavenges().status();
    }
    std::uint64_t stored_bytes() {
        std::uint64_t sum = 0;
        for (const std::string& name : disk.list(folder).value()) {
            sum += format::segment_number(name)
                       ? disk.contents(std::string(folder) + "/" + name).size()
                       : 0;
        }
        return sum;
    }
    // What readers see: the events of $all by position.
    std::map<std::uint64_t, recorded_event> all_events() {
        std::map<std::uint64_t, recorded_event> out;
        for (recorded_event& event : everything()) {
            const std::uint64_t at = event.position.value;
            out.emplace(at, std::move(event));
        }
        return out;
    }
    void expect_sound() {
        open_.reset();
        const auto found = verify(folder, disk);
        ASSERT_TRUE(found) << found.error().message;
        for (const verify_finding& finding : found->findings) {
            ADD_FAILURE() << finding.file << " at " << finding.offset << ": " << finding.what;
        }
        reopen();
    }

    std::uint64_t written_ = 0;
    std::uint64_t metadata_written_ = 0;
};

} // namespace immortal::eventlog
