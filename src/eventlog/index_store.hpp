// The part of the index on disk: a RocksDB filled by sorted bulk ingestion only. index_keys.hpp
// says how it looks inside. A checkpoint's entries and the record of how far they reach are
// ingested as one file, so that either both are there after a crash or neither.
#pragma once

#include "base/file.hpp"
#include "eventlog/index_reading.hpp"

#include <memory>
#include <string>

namespace immortal::eventlog {

struct index_store_settings {
    std::string folder;
    bool correlations = true;
    std::size_t cache_bytes = 64u << 20; // of blocks, their indexes and filters
    std::size_t open_files_max = 256;
    std::uint64_t place_spacing = 1u << 16; // events between the known places
};

// Reads: any thread. The others: one thread at a time. Errors: corrupt (and the next start makes
// the index anew), unavailable.
class index_store final : public older_lists {
public:
    // Opens what stands in the folder, or makes a new store: if there is none, or it is of another
    // log, another format or other settings, or it cannot be read.
    [[nodiscard]] static base::result<std::unique_ptr<index_store>>
    open(index_store_settings settings, base::file_system& files, const base::log_identity& log);
    ~index_store() override;

    // What it holds, up to the last of them.
    [[nodiscard]] const std::vector<log_place>& places() const { return places_; }
    // Adds a part that begins where the store ends and reaches up to `end`.
    [[nodiscard]] base::status add(const index_part& part, const log_place& end);
    // Empties it.
    [[nodiscard]] base::status clear();
    // Waits for space end; what is under way fails.
    void give_up();
    [[nodiscard]] bool failed() const;
    [[nodiscard]] bool waiting_for_space() const;

    [[nodiscard]] base::result<std::optional<std::uint64_t>>
    last_number(const list_name& list, base::position limit) const override;
    [[nodiscard]] base::result<std::vector<base::position>>
    descend(const list_name& list, std::uint64_t highest, std::uint64_t lowest,
            std::size_t count_max, base::position limit) const override;
    // The last marked frame at or before `at`; {0}: none.
    [[nodiscard]] base::result<base::position> frame_before(base::position at) const;

private:
    struct database;
    index_store(index_store_settings settings, base::file_system& files, base::log_identity log);
    [[nodiscard]] base::status open_once(bool& usable);
    [[nodiscard]] base::file_status wipe();
    [[nodiscard]] base::status write_part(const index_part& part, const std::string& path,
                                          const std::string& checkpoint) const;

    index_store_settings settings_;
    base::file_system& files_;
    base::log_identity log_;
    std::vector<log_place> places_;
    std::unique_ptr<database> database_;
};

} // namespace immortal::eventlog
