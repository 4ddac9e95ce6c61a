// A closed store in real files, some of its segments scavenged, with backups and its earlier
// states; and what a start, a full read and a restore make of damage to them.
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
        refused,  // the start, or the restore of the newest backup, says what is wrong
        seen,     // it starts; `verify` and the reads that meet the damage say so. Or: the newest
                  // backup is whole, and the check of the backups names the damage
        harmless, // every answer is the same as before
        restart,  // a read says that the index is damaged; a later start answers right
        gone,     // one backup fewer is listed: nothing says that there was another
        silent,   // an answer differs and nobody said so
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
    [[nodiscard]] std::filesystem::path backups() const { return root_ / "backups"; }
    // Of the log, its index and its backups, without lock files.
    [[nodiscard]] std::vector<std::filesystem::path> files() const;
    // That file as one of the earlier states had it. Not a segment from before it was scavenged:
    // that is a whole segment too, in which what was hidden is still there.
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
    [[nodiscard]] static answers read_all_ways(const std::filesystem::path& folder);
    [[nodiscard]] bool log_is_changed() const;
    [[nodiscard]] bool is_scavenged(const std::filesystem::path& file) const;
    [[nodiscard]] damage_finding examine_log();
    [[nodiscard]] damage_finding examine_backups();

    std::filesystem::path root_;
    std::vector<std::filesystem::path> stages_; // copies, oldest first; the last one is the whole
    std::filesystem::path right_backups_;
    std::string right_;
};

} // namespace immortal::faults
