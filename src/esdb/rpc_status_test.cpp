#include "esdb/batch_answers.hpp"
#include "esdb/group_refusals.hpp"
#include "esdb/rpc_status.hpp"

#include <gtest/gtest.h>

namespace immortal::esdb {
namespace {

using base::errc;
using grpc::StatusCode;

std::vector<errc> every_code() {
    std::vector<errc> all;
    for (int i = 0; i <= static_cast<int>(errc::internal); ++i) {
        all.push_back(static_cast<errc>(i));
    }
    return all;
}

TEST(rpc_status, no_error_is_told_as_ok_or_unknown) {
    for (const errc code : every_code()) {
        const base::error error{code, "What was wrong."};
        for (const rpc_status& told : {to_status(error, "s"), to_group_status(error, {"s", "g"})}) {
            EXPECT_NE(told.code, StatusCode::OK) << base::name_of(code);
            EXPECT_NE(told.code, StatusCode::UNKNOWN) << base::name_of(code);
            EXPECT_FALSE(told.message.empty()) << base::name_of(code);
        }
    }
}

TEST(rpc_status, every_error_has_an_answer_inside_of_a_batch) {
    for (const errc code : every_code()) {
        const auto told = batch_answers::failure({code, "What was wrong."}, "s", 1);
        EXPECT_NE(told.code(), ::google::rpc::UNKNOWN) << base::name_of(code);
        EXPECT_FALSE(told.message().empty()) << base::name_of(code);
        EXPECT_FALSE(told.details().type_url().empty()) << base::name_of(code);
    }
}

TEST(rpc_status, what_may_be_tried_again_is_unavailable) {
    for (const errc code :
         {errc::unavailable, errc::exhausted, errc::rate_limited, errc::cancelled, errc::behind}) {
        EXPECT_EQ(to_status({code, ""}, "").code, StatusCode::UNAVAILABLE) << base::name_of(code);
    }
    base::error rebuilding{errc::unavailable, "The index is being rebuilt."};
    rebuilding.retry_after_ms = 2'000;
    const rpc_status told = to_status(rebuilding, "");
    EXPECT_EQ(told.message, "Server Is Not Ready: The index is being rebuilt.");
    ASSERT_EQ(told.trailers.size(), 1u);
    EXPECT_EQ(told.trailers.front().second, "2000");
}

} // namespace
} // namespace immortal::esdb
