// The document, the catalogue of codes and the sources agree.
#include "api/problem.hpp"
#include "api/refusals.hpp"
#include "base/json.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <tuple>

namespace immortal::api {
namespace {

using base::errc;

const std::filesystem::path source_folder(IMMORTAL_SOURCE_DIR);

std::string content_of(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The rows "| 400 | `bad_host` | ...".
std::set<std::pair<unsigned, std::string>> documented() {
    std::set<std::pair<unsigned, std::string>> out;
    const std::string text = content_of(source_folder / "docs" / "http-api.md");
    const std::regex row("\\n\\| (\\d{3}) \\| `([a-z_]+)` \\| \\S");
    for (std::sregex_iterator it(text.begin(), text.end(), row), end; it != end; ++it) {
        out.emplace(static_cast<unsigned>(std::stoul((*it)[1])), (*it)[2]);
    }
    return out;
}

std::set<std::string> rules_of_the_game() {
    std::set<std::string> out;
    const std::string text = content_of(source_folder / "docs" / "rules.md");
    const std::regex row("\\n\\| `([a-z_]+)` \\|");
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(text.find("## Refusals"));
    for (std::sregex_iterator it(begin, text.end(), row), end; it != end; ++it) {
        out.insert((*it)[1]);
    }
    return out;
}

// A code of several parts in quotes, at the place of the first one; others may be anything.
std::string quoted_reason(std::string_view text) {
    const auto end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", 1);
    const bool is_whole = end != std::string_view::npos && text[end] == '"';
    const std::string_view word = is_whole ? text.substr(1, end - 1) : std::string_view();
    return word.contains('_') ? std::string(word) : std::string();
}

// Such words in statements that make an error.
std::set<std::string> reasons_in(const std::filesystem::path& folder) {
    std::set<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (!name.ends_with(".cpp") || name.ends_with("_test.cpp")) {
            continue;
        }
        const std::string text = content_of(entry.path());
        for (const std::string_view begin : {"fail(", "error{", "base::error ", "refuse(",
                                             "plain_problem(", "reject(", "return {"}) {
            for (auto place = text.find(begin); place != std::string::npos;
                 place = text.find(begin, place + 1)) {
                const std::size_t end = std::min(text.find(';', place), text.size());
                for (auto quote = text.find('"', place); quote < end;
                     quote = text.find('"', quote + 1)) {
                    out.insert(quoted_reason(std::string_view(text).substr(quote)));
                }
            }
        }
    }
    out.erase("");
    return out;
}

std::string code_of(const base::error& what) {
    const response answer = to_problem(what, "r");
    return std::string(base::parse_json(answer.body)->at("code").as_string());
}

TEST(refusals, the_document_lists_each_with_its_status) {
    std::set<std::pair<unsigned, std::string>> known;
    for (const refusal& one : refusals()) {
        known.emplace(one.status, one.code);
    }
    EXPECT_EQ(documented(), known);
    EXPECT_EQ(known.size(), refusals().size());
    EXPECT_TRUE(std::ranges::is_sorted(
        refusals(), {}, [](const refusal& one) { return std::pair(one.status, one.code); }));
}

TEST(refusals, no_source_knows_another_one) {
    const std::set<std::string> rules = rules_of_the_game();
    ASSERT_TRUE(rules.contains("name_taken"));
    // States of components for /readyz, refusals of a start, of operators' commands and of clients
    // of the event store's port, and what is settled before an answer.
    const std::set<std::string> untold{"append_session_missing",
                                       "append_too_large",
                                       "bad_config_file",
                                       "bad_config_value",
                                       "bad_expression",
                                       "damaged_backup",
                                       "event_too_large",
                                       "from_segment",
                                       "in_progress",
                                       "in_use",
                                       "lease_lost",
                                       "metadata_stream",
                                       "not_a_file",
                                       "soft_deleted",
                                       "system_view",
                                       "wrong_expected_revision",
                                       "beyond_head",
                                       "caught_up",
                                       "other_log",
                                       "users_email_key",
                                       "users_username_key"};
    std::set<std::string> found;
    for (const char* module : {"accounts", "api", "base", "cache", "commands", "eventlog",
                               "eventstore", "game", "readmodel"}) {
        found.merge(reasons_in(source_folder / "src" / module));
    }
    EXPECT_TRUE(found.contains("wrong_password") && found.contains("level_too_low"));
    for (const std::string& reason : found) {
        if (reason.starts_with("immortal_")) {
            continue; // a metric
        }
        EXPECT_TRUE(is_refusal(reason) || rules.contains(reason) || untold.contains(reason))
            << reason << " is neither in refusals.cpp nor in docs/rules.md";
    }
}

// Those of one word too.
TEST(refusals, each_is_answered_by_some_source) {
    std::string all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(source_folder / "src")) {
        const std::string name = entry.path().filename().string();
        if ((name.ends_with(".cpp") || name.ends_with(".hpp")) && !name.ends_with("_test.cpp") &&
            name != "refusals.cpp") {
            all += content_of(entry.path());
        }
    }
    for (const refusal& one : refusals()) {
        EXPECT_TRUE(all.contains('"' + std::string(one.code) + '"')) << one.code;
    }
}

// A statement that is no `reading` may answer unknown_outcome, which makes no sense for a query.
TEST(refusals, statements_that_read_are_declared_as_such) {
    const std::regex written("\\{\\s*\"(SELECT[^\"]*)");
    const std::set<std::string> writing{"pg_notify", "create_monthly_partition",
                                        "advance_checkpoints"};
    std::size_t seen = 0;
    for (const char* module : {"accounts", "app", "commands", "readmodel"}) {
        for (const auto& entry :
             std::filesystem::directory_iterator(source_folder / "src" / module)) {
            const std::string name = entry.path().filename().string();
            if (!name.ends_with(".cpp") || name.ends_with("_test.cpp")) {
                continue;
            }
            const std::string text = content_of(entry.path());
            for (std::sregex_iterator it(text.begin(), text.end(), written), end; it != end; ++it) {
                const std::string statement = (*it)[1];
                seen += 1;
                EXPECT_TRUE(std::ranges::any_of(
                    writing,
                    [&](const std::string& function) { return statement.contains(function); }))
                    << name << ": " << statement;
            }
        }
    }
    EXPECT_EQ(seen, writing.size());
}

TEST(refusals, kinds_and_reasons_become_codes_of_the_list) {
    for (int kind = 0; kind <= static_cast<int>(errc::internal); ++kind) {
        const errc code{static_cast<std::uint8_t>(kind)};
        if (code != errc::rejected) { // has a reason
            EXPECT_TRUE(is_refusal(code_of({code, "why"}))) << base::name_of(code);
            EXPECT_TRUE(is_refusal(code_of({code, "why", "a_reason_of_lower_modules"})));
        }
    }
    EXPECT_EQ(code_of({errc::unavailable, "why", "event_store_away"}), "event_store_away");
    EXPECT_EQ(code_of({errc::unavailable, "why", "database_right"}), "unavailable");
    EXPECT_EQ(code_of({errc::rejected, "why", "level_too_low"}), "level_too_low");
}

} // namespace
} // namespace immortal::api
