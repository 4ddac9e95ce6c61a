// For tests: texts that a released version wrote, kept in files of the repository and compared byte
// for byte. Such a file changes only where a format is meant to change, in a commit of its own.
#pragma once

#include "base/json.hpp"

#include <boost/describe.hpp>
#include <boost/mp11.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace immortal::base::testing {

// The lines of a text file without their ends. Fails the test if it cannot be read.
inline std::vector<std::string> read_lines(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.is_open()) << path << " cannot be read";
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
        lines.push_back(std::move(line));
    }
    return lines;
}

// Fails the test unless `lines` are those of the file. With IMMORTAL_TEST_UPDATE in the
// environment the file is written instead.
inline void expect_golden(const std::filesystem::path& path,
                          const std::vector<std::string>& lines) {
    if (std::getenv("IMMORTAL_TEST_UPDATE") != nullptr) {
        std::ofstream file(path, std::ios::binary | std::ios::trunc);
        for (const std::string& line : lines) {
            file << line << '\n';
        }
        ASSERT_TRUE(file.flush()) << path << " cannot be written";
        return;
    }
    const std::vector<std::string> released = read_lines(path);
    const std::size_t common = std::min(released.size(), lines.size());
    for (std::size_t i = 0; i < common; ++i) {
        ASSERT_EQ(lines[i], released[i]) << path << ", line " << i + 1;
    }
    ASSERT_EQ(lines.size(), released.size())
        << path << ": the first line that differs is "
        << (lines.size() > common ? lines[common] : released[common]);
}

// Makes values of described structures in which every member is set, and differs from the others.
class sample_maker {
public:
    template <typename T>
    [[nodiscard]] T make() {
        T out{};
        fill(out);
        return out;
    }

private:
    template <typename T>
    void fill(T& value) {
        if constexpr (boost::describe::has_describe_enumerators<T>::value) {
            boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>(
                [&](auto enumerator) { value = enumerator.value; });
        } else if constexpr (std::is_same_v<T, bool>) {
            value = true;
        } else if constexpr (std::is_floating_point_v<T>) {
            value = static_cast<T>(++count_) + static_cast<T>(0.25);
        } else if constexpr (std::is_integral_v<T>) {
            value = static_cast<T>(++count_);
        } else if constexpr (std::is_same_v<T, position> || std::is_same_v<T, revision>) {
            value.value = static_cast<std::uint64_t>(++count_);
        } else {
            using members =
                boost::describe::describe_members<T, boost::describe::mod_public |
                                                         boost::describe::mod_inherited>;
            boost::mp11::mp_for_each<members>([&](auto member) { fill(value.*member.pointer); });
        }
    }
    void fill(std::string& value) { value = "文\"" + std::to_string(++count_); }
    void fill(uuid& value) { value = uuid::make_derived("sample", std::to_string(++count_)); }
    void fill(utc_time& value) {
        value = *parse_iso("2026-01-01T12:00:00.000Z") + std::chrono::milliseconds(++count_);
    }
    void fill(json::value& value) { value = json::object{{"key", ++count_}}; }
    void fill(json::object& value) { value = json::object{{"key", ++count_}}; }
    template <typename T>
    void fill(std::optional<T>& value) {
        fill(value.emplace());
    }
    template <typename T>
    void fill(std::vector<T>& value) {
        value.resize(2);
        fill(value[0]);
        fill(value[1]);
    }

    std::int64_t count_ = 0;
};

// A sample of each of `Types` as JSON text after its name, and the same with all that may be absent
// absent.
template <typename... Types>
class samples {
public:
    explicit samples(std::vector<std::string_view> names) : names_(std::move(names)) {}

    [[nodiscard]] std::vector<std::string> lines() const {
        std::vector<std::string> out;
        boost::mp11::mp_for_each<boost::mp11::mp_list<boost::mp11::mp_identity<Types>...>>(
            [&](auto which) {
                using type = typename decltype(which)::type;
                const std::string name(names_.at(out.size() / 2));
                out.push_back(name + " " + encode_text(sample_maker{}.make<type>()));
                out.push_back(name + " " + encode_text(type{}));
            });
        return out;
    }

    // What the file holds is decoded, and encoded to the same text.
    void expect_readable(const std::filesystem::path& path) const {
        const std::vector<std::string> released = read_lines(path);
        ASSERT_GE(released.size(), 2 * sizeof...(Types)) << path;
        std::size_t line = 0;
        boost::mp11::mp_for_each<boost::mp11::mp_list<boost::mp11::mp_identity<Types>...>>(
            [&](auto which) {
                for (int i = 0; i < 2; ++i) {
                    expect_readable<typename decltype(which)::type>(released[line++]);
                }
            });
    }

private:
    template <typename T>
    static void expect_readable(const std::string& line) {
        const std::string text = line.substr(line.find(' ') + 1);
        const auto value = parse_json(text);
        ASSERT_TRUE(value.has_value()) << line;
        const auto decoded = decode<T>(*value);
        ASSERT_TRUE(decoded.has_value()) << line << ": " << decoded.error().message;
        EXPECT_EQ(encode_text(*decoded), text);
    }

    std::vector<std::string_view> names_;
};

} // namespace immortal::base::testing
