#include "accounts/failure_guard.hpp"
#include "accounts/input_rules.hpp"
#include "accounts/password_hasher.hpp"
#include "accounts/rate_limiter.hpp"
#include "accounts/session_table.hpp"
#include "base/unicode.hpp"
#include "runtime/engine.hpp"

#include <gtest/gtest.h>

namespace immortal::accounts {

using base::errc;
using namespace std::chrono_literals;

namespace {

const base::steady_time start{1h};

bool good_password(std::string_view text) {
    return check_password(text, "Lingfeng", "li.xia@example.org", "password").has_value();
}

TEST(input_rules, user_names) {
    for (const auto* name :
         {"abc", "Li_Xiao-Yao.1", "凌风子", "李逍遥99", "さくら", "홍길동", "佐々木", "ユーザー",
          "佐々木ユーザー", "ünal", "иван", "韩立_李花", "नमस्ते"}) {
        EXPECT_TRUE(check_username(name)) << name;
    }
    EXPECT_TRUE(check_username(std::string(50, 'a')));
    for (const auto* name : {"",
                             "ab",
                             "李逍",
                             "a b",
                             "a@b",
                             "<script>",
                             "Ünal",
                             "a\nb",
                             "😀😀😀",
                             "\xff\xfe\xfd",
                             "ａｂｃ",
                             "erased-1",
                             "Иван",
                             "aab\xE3\x85\xA4",
                             "ab\xE2\x80\x8B"
                             "c",
                             "\xCC\x81"
                             "abc",
                             "a・b",
                             "①②③",
                             "ae\xCC\x81",
                             "ab\xEE\x80\x80",
                             "abc\xEF\xB8\x8F"}) {
        const auto got = check_username(name);
        ASSERT_FALSE(got) << name;
        EXPECT_EQ(got.error().field, "username");
    }
    EXPECT_FALSE(check_username(std::string(51, 'a')));
    EXPECT_FALSE(check_username(std::string("ab\0c", 4)));
}

// The ranges that were accepted before properties decided.
TEST(input_rules, user_names_of_before_are_still_accepted) {
    const auto utf8 = [](char32_t c) {
        std::string out;
        if (c < 0x10000) {
            out = {static_cast<char>(0xe0 | (c >> 12))};
        } else {
            out = {static_cast<char>(0xf0 | (c >> 18)), static_cast<char>(0x80 | ((c >> 12) & 63))};
        }
        return out + static_cast<char>(0x80 | ((c >> 6) & 63)) + static_cast<char>(0x80 | (c & 63));
    };
    for (const auto& [first, last] :
         std::vector<std::pair<char32_t, char32_t>>{{0x3041, 0x3096},
                                                    {0x30a1, 0x30fa},
                                                    {0x3400, 0x4dbf},
                                                    {0x4e00, 0x9fff},
                                                    {0xac00, 0xd7a3},
                                                    {0x20000, 0x323af}}) {
        for (char32_t c = first; c <= last; ++c) {
            if (base::kind_of(c) != base::character_kind::invisible) { // assigned
                ASSERT_TRUE(check_username(utf8(c) + "Xx")) << static_cast<std::uint32_t>(c);
            }
        }
    }
}

TEST(input_rules, e_mail_addresses) {
    for (const auto* email : {"a@b.cd", "Li.Xia+game%1_x-y@mail.example.ORG"}) {
        EXPECT_TRUE(check_email(email)) << email;
    }
    for (const auto* email : {"", "a", "@b.cd", "a@b", "a@b.c", "a@.cd", "a@b.c1", "a b@c.de",
                              "a@b@c.de", "李@例.中国", "a@b.cd\n"}) {
        const auto got = check_email(email);
        ASSERT_FALSE(got) << email;
        EXPECT_EQ(got.error().field, "email");
    }
    EXPECT_FALSE(check_email(std::string(250, 'a') + "@b.cde"));
}

TEST(input_rules, passwords_that_are_guessed_first_are_refused) {
    for (const auto* text :
         {"password", "PASSWORD1", "Dragon2024!", "!!sunshine!!", "12345678", "87654321",
          "qwertyui", "abcd1234", "aaaaaaaa", "abcabcabc", "Lingfeng", "lingfeng1",
          "li.xia@example.org", "woaini1314", "woaini520"}) {
        EXPECT_FALSE(good_password(text)) << text;
    }
    for (const auto* text :
         {"correct horse", "剑气纵横三万里外", "x7Kp!vRq", "moonlit-sword-peak"}) {
        EXPECT_TRUE(good_password(text)) << text;
    }
    EXPECT_FALSE(good_password("x7Kp!vR"));
    EXPECT_FALSE(good_password("剑气纵横三万里")); // 7, though 21 bytes
    EXPECT_TRUE(good_password(std::string(60, 'x') + "yz" + std::string(66, 'q')));
    EXPECT_FALSE(good_password(std::string(60, 'x') + "yz" + std::string(67, 'q')));
    EXPECT_FALSE(good_password("\xff\xff\xff\xff\xff\xff\xff\xff"));
    EXPECT_EQ(check_password("short", "n", "e", "newPassword").error().field, "newPassword");
}

TEST(rate_limiter, lets_through_the_count_and_no_more) {
    rate_limiter limiter(20, 1min, 10);
    for (int i = 0; i < 20; ++i) {
        EXPECT_FALSE(limiter.admit("a", start)) << i;
    }
    const auto wait = limiter.admit("a", start);
    ASSERT_TRUE(wait);
    EXPECT_EQ(*wait, 3s); // one in twenty of a minute
    EXPECT_FALSE(limiter.admit("b", start));
    EXPECT_TRUE(limiter.admit("a", start + 2999ms));
    EXPECT_FALSE(limiter.admit("a", start + 3s));
    EXPECT_TRUE(limiter.admit("a", start + 3s));
    int more = 0;
    for (auto now = start + 3s; now < start + 63s; now += 10ms) {
        more += limiter.admit("a", now) ? 0 : 1;
    }
    EXPECT_NEAR(more, 20, 1);
}

TEST(rate_limiter, zero_is_no_limit_and_the_table_is_bounded) {
    rate_limiter none(0, 1min, 1);
    rate_limiter one(1, 1min, 2);
    for (int i = 0; i < 100; ++i) {
        EXPECT_FALSE(none.admit("a", start));
        EXPECT_FALSE(one.admit(std::to_string(i), start));
    }
    EXPECT_TRUE(one.admit("99", start)); // still known
    EXPECT_FALSE(one.admit("0", start)); // forgotten long ago
}

TEST(failure_guard, doubles_the_wait) {
    failure_guard guard(5, 15min, 10);
    for (int i = 0; i < 4; ++i) {
        guard.failed("a", start);
        EXPECT_FALSE(guard.wait("a", start));
    }
    auto now = start;
    for (auto expected = 1000ms; expected <= 900s; expected *= 2) {
        guard.failed("a", now);
        EXPECT_EQ(guard.wait("a", now), std::min(expected, milliseconds(900s)));
        now += expected;
        EXPECT_FALSE(guard.wait("a", now));
    }
    for (int i = 0; i < 30; ++i) {
        guard.failed("a", now);
    }
    EXPECT_EQ(guard.wait("a", now), milliseconds(15min));
    EXPECT_FALSE(guard.wait("b", now));
    guard.failed("a", now + 31min); // a quiet window after the wait
    EXPECT_FALSE(guard.wait("a", now + 31min));
}

TEST(failure_guard, a_success_forgets) {
    failure_guard guard(1, 15min, 10);
    guard.failed("a", start);
    EXPECT_TRUE(guard.wait("a", start));
    guard.succeeded("a");
    EXPECT_FALSE(guard.wait("a", start));
}

TEST(session_table, believes_for_a_second_and_refreshes_once_before) {
    session_table table(1000ms, 2);
    principal who;
    who.user_id = base::uuid::make_derived("u", "1");
    table.put("t", who, start);
    EXPECT_TRUE(table.find("t", start + 500ms)->fresh);
    EXPECT_FALSE(table.find("t", start + 500ms)->refresh_due);
    EXPECT_TRUE(table.find("t", start + 800ms)->refresh_due);
    EXPECT_FALSE(table.find("t", start + 800ms)->refresh_due); // somebody does it
    EXPECT_FALSE(table.find("t", start + 1000ms)->fresh);
    table.put("t", who, start + 900ms);
    table.revoke(who.user_id, start + 950ms);
    EXPECT_FALSE(table.find("t", start + 960ms)->fresh);
    table.put("t", who, start + 940ms); // read before the revocation, arrives after it
    EXPECT_FALSE(table.find("t", start + 960ms)->fresh);
    table.put("t", who, start + 960ms);
    EXPECT_TRUE(table.find("t", start + 970ms)->fresh);
    table.revoke_all(start + 980ms);
    EXPECT_FALSE(table.find("t", start + 990ms)->fresh);
}

TEST(password_hasher, hashes_match_their_passwords_only) {
    runtime::engine engine;
    engine.start();
    password_hasher hasher({8192 * 8, 1, 1, 64});
    const auto hash = engine.run(hasher.hash("correct horse")).value();
    EXPECT_TRUE(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$")) << hash;
    EXPECT_NE(hash, engine.run(hasher.hash("correct horse")).value()); // own salt
    EXPECT_TRUE(engine.run(hasher.matches(hash, "correct horse")).value());
    EXPECT_FALSE(engine.run(hasher.matches(hash, "correct horsf")).value());
    EXPECT_FALSE(engine.run(hasher.matches(hash, "")).value());
    EXPECT_FALSE(engine.run(hasher.matches("!", "!")).value());
    EXPECT_FALSE(engine.run(hasher.matches(hasher.nobodys(), "")).value());
    EXPECT_FALSE(hasher.outdated(hash));
    EXPECT_TRUE(password_hasher({8192 * 8, 2, 1, 64}).outdated(hash));
}

TEST(password_hasher, the_owasp_parameters_are_the_default) {
    const settings defaults;
    password_hasher hasher({defaults.hash_memory_bytes, defaults.hash_passes, 1, 1});
    EXPECT_TRUE(hasher.nobodys().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
}

TEST(password_hasher, too_many_at_once_are_told_to_come_back) {
    runtime::engine engine;
    engine.start();
    password_hasher hasher({4u << 20, 20, 1, 2});
    std::vector<std::future<base::result<std::string>>> calls;
    for (int i = 0; i < 20; ++i) {
        calls.push_back(
            boost::asio::co_spawn(engine.executor(), hasher.hash("x"), boost::asio::use_future));
    }
    int refused = 0;
    for (auto& call : calls) {
        const auto got = call.get();
        if (!got) {
            EXPECT_EQ(got.error().code, errc::rate_limited);
            EXPECT_GT(got.error().retry_after_ms, 0u);
            ++refused;
        }
    }
    EXPECT_GT(refused, 0);
    EXPECT_LT(refused, 20);
}

} // namespace
} // namespace immortal::accounts
