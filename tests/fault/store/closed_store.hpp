// A closed store in real files, its earlier states, and what a start and a full read make of damage
// to it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::faults {

struct damage_finding {
    enum class kind : std::uint8_t {
        refused,     // the start says what is wrong
        seen,        // it starts; `verify` and the reads that meet the damage say so
        harmless,    // every answer is the same as before
        silent,      // an answer differs and nobody said so
        unexplained, // noticed without a clear reason, or damage to the log that verify misses
    };
    kind what = kind::harmless;
    std::string detail;
};
[[nodiscard]] std::string_view name_of(damage_finding::kind what);

[[nodiscard]] std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, const std::string& bytes);

class closed_store {
public:
    closed_store(); // fills a new temporary folder
    ~closed_store();
    closed_store(const closed_store&) = delete;
    closed_store& operator=(const closed_store&) = delete;

    [[nodiscard]] std::filesystem::path folder() const { return root_ / "now"; }
    [[nodiscard]] std::vector<std::filesystem::path> files() const; // without lock files
    // That file as one of the earlier states had it.
    [[nodiscard]] std::optional<std::string> older_copy(const std::filesystem::path& file,
                                                        std::uint64_t choice) const;
    void put_back();
    [[nodiscard]] damage_finding examine();

private:
    // Every answer that the store gives about its events, as one text; or why there is none.
    struct answers {
        bool started = false;
        std::string error;
        std::string text;
    };
    [[nodiscard]] answers read_all_ways() const;
    [[nodiscard]] bool log_is_changed() const;

    std::filesystem::path root_;
    std::vector<std::filesystem::path> stages_; // copies, oldest first; the last one is the whole
    std::string right_;
};

} // namespace immortal::faults
