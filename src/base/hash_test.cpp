#include "base/hash.hpp"

#include <gtest/gtest.h>

namespace immortal::base {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(crc32c, known_answer) {
    EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283u);
}

TEST(crc32c, continues_from_an_earlier_value) {
    EXPECT_EQ(crc32c(bytes_of("6789"), crc32c(bytes_of("12345"))), crc32c(bytes_of("123456789")));
}

TEST(sha256, known_answer) {
    EXPECT_EQ(hex(sha256("abc")),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(blake2b, known_answer_and_streaming_agree) {
    const std::string_view expected =
        "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319";
    EXPECT_EQ(hex(blake2b(std::string_view("abc"))), expected);
    blake2b_hasher hasher;
    hasher.update("a");
    hasher.update("bc");
    EXPECT_EQ(hex(hasher.finish()), expected);
}

TEST(stable_hash, never_changes) {
    EXPECT_EQ(stable_hash("player"), stable_hash(std::string("play") + "er"));
}

} // namespace
} // namespace immortal::base
