// The part of the index on disk: a RocksDB filled by sorted bulk ingestion only. index_keys.hpp
// says how it looks inside. A checkpoint's entries and the record of how far they reach are
// ingested as one file, so that either both are there after a crash or neither.
#pragma once

#include "base/file.hpp"
#include "eventlog/index_files.hpp"
#include "eventlog/index_reading.hpp"

#include <memory>
#include <string>

namespace rocksdb {
class Status;
}

namespace immortal::eventlog {

struct index_store_settings {
    std::string folder;
    bool correlations = true;
    std::size_t cache_bytes = 64u << 20; // of blocks, their indexes and filters
    std::size_t open_files_max = 256;
    std::uint64_t place_spacing = 1u << 16; // events between the known places
};

// Reads, distrust() and mark_damaged(): any thread. The others: one thread at a time. Errors of
// reads: unavailable with reason "index_damaged" (a part of it cannot be read; what can be is still
// right), or "index_failed" (not now).
class index_store final : public older_lists {
public:
    // Opens what stands in the folder; null: nothing that can be used, because there is nothing, or
    // it is of another log, another format or other settings, or it is damaged. Changes nothing
    // that is not its own. What cannot be written now is opened for reading only: see failed().
    // Errors: unavailable (no descriptor is left to look at it).
    [[nodiscard]] static base::result<std::unique_ptr<index_store>>
    open_existing(index_store_settings settings, base::file_system& files,
                  const base::log_identity& log);
    // Empties the folder and makes a new one. Errors: unavailable.
    [[nodiscard]] static base::result<std::unique_ptr<index_store>>
    make(index_store_settings settings, base::file_system& files, const base::log_identity& log);
    // Removes the files of a store that nobody has open.
    [[nodiscard]] static base::file_status wipe(base::file_system& files,
                                                const std::string& folder);
    // Whether the folder holds any file of a store.
    [[nodiscard]] static bool leaves_files(base::file_system& files, const std::string& folder);
    ~index_store() override;

    [[nodiscard]] const std::string& folder() const { return settings_.folder; }
    // What it holds, up to the last of them.
    [[nodiscard]] const std::vector<log_place>& places() const { return places_; }
    [[nodiscard]] base::position end() const {
        return places_.empty() ? base::position{} : places_.back().end;
    }
    // Adds a part that begins where the store ends and reaches up to `end`. Errors: unavailable;
    // then it is to be opened anew (failed()), or made anew (damaged()).
    [[nodiscard]] base::status add(const index_part& part, const log_place& end);
    // Waits for space end, and nothing is written any more: what is under way fails, and what
    // stood on disk before is there when the folder is opened again. Any thread.
    void give_up();
    // Nothing may be asked or added afterwards.
    void close();
    // It takes no more parts, and some of its answers may fail, until it is opened anew.
    [[nodiscard]] bool failed() const;
    // It was found damaged, now or by an earlier process.
    [[nodiscard]] bool damaged() const;
    // Remembers in the folder that it is damaged, or distrusted, if that can be written: the next
    // one that opens it knows. Blocks on the file system.
    void mark_damaged();
    // Nothing in it counts any more, whatever can be read. True: it did until now, and is to be
    // marked.
    bool distrust(std::string_view cause);
    // Is damaged and distrusted as `earlier` was, whose folder was opened anew.
    void take_over_faults(const index_store& earlier);
    // What its writing waits for now.
    [[nodiscard]] index_files::want waits_for() const;

    [[nodiscard]] base::result<std::optional<std::uint64_t>>
    last_number(const list_name& list, base::position limit) const override;
    [[nodiscard]] base::result<std::vector<base::position>>
    descend(const list_name& list, std::uint64_t highest, std::uint64_t lowest,
            std::size_t count_max, base::position limit) const override;
    [[nodiscard]] base::result<base::position> frame_before(base::position at) const override;

private:
    struct database;
    enum class access : std::uint8_t { write, read_only };
    index_store(index_store_settings settings, base::file_system& files, base::log_identity log);
    [[nodiscard]] base::result<bool> open_once(access how);
    [[nodiscard]] bool read_places();
    [[nodiscard]] std::unexpected<base::error> refused(const rocksdb::Status& status) const;
    [[nodiscard]] base::status write_part(const index_part& part, const std::string& path,
                                          const std::string& checkpoint) const;

    index_store_settings settings_;
    base::file_system& files_;
    base::log_identity log_;
    std::vector<log_place> places_;
    std::unique_ptr<database> database_;
};

// Where the next store is made while this one is in use; within it, so that it goes with it.
constexpr const char* second_store_name = "second";

} // namespace immortal::eventlog
