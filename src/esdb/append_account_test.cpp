#include "esdb/append_account.hpp"

#include <gtest/gtest.h>

namespace immortal::esdb {
namespace {

shared_charge charge_of(const std::shared_ptr<byte_account>& account) {
    return std::make_shared<byte_charge>(byte_accounts{account});
}

eventlog::new_event event_of(std::size_t bytes) {
    return {.id = {}, .type = "t", .data = std::string(bytes, 'x'), .metadata = {}};
}

TEST(append_account, a_stream_is_charged_what_it_takes_beside_its_events) {
    const auto whole = std::make_shared<byte_account>(1u << 20);
    {
        append_account account(charge_of(whole), {});
        std::size_t streams = 0;
        while (account.take_stream(std::string(1'000, 's'))) {
            ++streams;
        }
        EXPECT_GT(streams, 100u);
        EXPECT_LT(streams, (1u << 20) / 3'000);
    }
    EXPECT_EQ(whole->left(), 1u << 20);
}

TEST(append_account, names_the_limit_that_was_hit) {
    const auto whole = std::make_shared<byte_account>(std::size_t{1} << 30);
    append_account contents(charge_of(whole), {.contents = 1'000});
    EXPECT_EQ(contents.take("s", event_of(900)), append_account::outcome::taken);
    EXPECT_EQ(contents.take("s", event_of(200)), append_account::outcome::append_too_large);
    EXPECT_NE(contents.excess().find("1000 bytes of contents"), std::string::npos);

    append_account events(charge_of(whole), {});
    for (std::size_t i = 0; i < eventlog::append_events_max; ++i) {
        ASSERT_EQ(events.take("s", event_of(1)), append_account::outcome::taken);
    }
    EXPECT_EQ(events.take("s", event_of(1)), append_account::outcome::append_too_large);
    EXPECT_NE(events.excess().find("131072 events"), std::string::npos);

    append_account encoded(charge_of(whole), {});
    auto outcome = append_account::outcome::taken;
    while (outcome == append_account::outcome::taken) {
        outcome = encoded.take(std::string(1'000, 's'), event_of(1));
    }
    EXPECT_EQ(outcome, append_account::outcome::append_too_large);
    EXPECT_NE(encoded.excess().find("75497472 bytes with the header"), std::string::npos);
    EXPECT_EQ(encoded.bytes_max(), eventlog::append_frame_size_max);
    EXPECT_GT(encoded.size(), encoded.bytes_max());
}

} // namespace
} // namespace immortal::esdb
