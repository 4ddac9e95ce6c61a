#include "eventlog/index_store.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/index_files.hpp"
#include "eventlog/index_keys.hpp"

#include <algorithm>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;
using rocksdb::Slice;

constexpr std::size_t places_max = 16;
constexpr int cache_shard_bits = 2; // few threads look

class warnings final : public rocksdb::Logger {
public:
    warnings() : Logger(rocksdb::WARN_LEVEL) {}
    using Logger::Logv;
    void Logv(const char* format, va_list arguments) override {
        std::string text(512, '\0');
        // tidy-allow(banned): RocksDB gives a format and its arguments.
        const int size = std::vsnprintf(text.data(), text.size(), format, arguments);
        text.resize(std::min(text.size() - 1, static_cast<std::size_t>(std::max(size, 0))));
        base::log_debug("eventlog", "rocksdb", {{"text", text}});
    }
};

std::unexpected<base::error> unreadable(const std::string& cause) {
    base::log_error("eventlog", "the index cannot be used", {{"cause", cause}});
    return fail(errc::unavailable, "the event log's index cannot be read or written",
                "index_failed");
}

rocksdb::Options make_options(const index_store_settings& settings, rocksdb::Env* env) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(settings.cache_bytes, cache_shard_bits);
    table.cache_index_and_filter_blocks = true; // so that the cache bounds them
    // In pieces: those of a merged file are larger than a shard of the cache, which then would keep
    // none of them, and read megabytes for each look.
    table.index_type = rocksdb::BlockBasedTableOptions::kTwoLevelIndexSearch;
    table.partition_filters = true;
    table.metadata_block_size = 16u << 10u;
    table.pin_top_level_index_and_filter = true;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.whole_key_filtering = false; // of prefixes only
    table.block_size = 8u << 10u;
    table.format_version = 5;
    table.checksum = rocksdb::kXXH3;
    rocksdb::Options options;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(index_keys::prefix_size));
    options.env = env;
    options.info_log = std::make_shared<warnings>();
    options.create_if_missing = true;
    options.paranoid_checks = true;
    options.verify_sst_unique_id_in_manifest = true;
    options.compression = rocksdb::kNoCompression; // positions are distances already
    // Checkpoints are merged by size, each event a few times only; nothing is ever overwritten, so
    // there is no space to win by merging everything.
    options.compaction_style = rocksdb::kCompactionStyleUniversal;
    options.compaction_options_universal.size_ratio = 20;
    options.compaction_options_universal.max_size_amplification_percent = 1u << 20u;
    options.level0_file_num_compaction_trigger = 6;
    options.level0_slowdown_writes_trigger = 1 << 20;
    options.level0_stop_writes_trigger = 1 << 20;
    options.target_file_size_base = 64u << 20u;
    options.max_background_jobs = 2;
    options.max_open_files = static_cast<int>(settings.open_files_max);
    options.write_buffer_size = 64u << 10u; // nothing is ever put
    options.max_manifest_file_size = 4u << 20u;
    options.skip_stats_update_on_db_open = true;
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    return options;
}

bool same_list(const Slice& key, std::string_view beginning) {
    return key.size() == beginning.size() + 8 &&
           std::string_view(key.data(), beginning.size()) == beginning;
}

std::string_view text(const Slice& slice) {
    return {slice.data(), slice.size()};
}

} // namespace

struct index_store::database {
    index_files files;
    std::shared_ptr<rocksdb::FileSystem> file_system = make_rocksdb_files(files);
    std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(file_system);
    rocksdb::Options options;
    std::unique_ptr<rocksdb::DB> open;

    database(base::file_system& on, const index_store_settings& settings)
        : files(on, settings.folder), options(make_options(settings, env.get())) {}

    [[nodiscard]] std::unique_ptr<rocksdb::Iterator> iterate() const {
        rocksdb::ReadOptions read;
        read.prefix_same_as_start = true;
        return std::unique_ptr<rocksdb::Iterator>(open->NewIterator(read));
    }

    // What is damaged is not looked at again by the next start.
    std::unexpected<base::error> damaged(const std::string& cause) {
        files.fail(cause);
        return fail(errc::corrupt,
                    "the event log's index is damaged: restart, and it is made anew from the log",
                    "index_damaged");
    }
    base::status check(const rocksdb::Status& status) {
        if (status.ok()) {
            return {};
        }
        if (status.IsCorruption() || status.IsPathNotFound() || status.IsNotFound()) {
            return damaged(status.ToString());
        }
        return unreadable(status.ToString());
    }

    // Calls `use` with the blocks of a list, descending from the one that holds `highest` (or the
    // last one before it), until it says false: the block's first number and its positions.
    template <typename Use>
    base::status descend(const list_name& list, std::uint64_t highest, Use use) {
        const auto at = iterate();
        return descend(*at, list, highest, use);
    }
    template <typename Use>
    base::status descend(rocksdb::Iterator& at, const list_name& list, std::uint64_t highest,
                         Use use) {
        const std::string from = index_keys::key_of(list, highest);
        const std::string_view beginning = std::string_view(from).substr(0, from.size() - 8);
        std::vector<base::position> block;
        std::optional<std::uint64_t> after; // the number after this block
        bool more = true;
        for (at.Seek(from); at.Valid() && same_list(at.key(), beginning); at.Next()) {
            const std::uint64_t first = index_keys::first_of(text(at.key()));
            if (!index_keys::read_block(text(at.value()), block)) {
                return damaged("a block of the index is none");
            }
            // Numbers have no gaps, but before a tombstone; frames are numbered otherwise.
            if (after && *after != tombstone_revision.value && list.kind != list_kind::frames &&
                first + block.size() != *after) {
                return damaged("numbers are missing in the index");
            }
            after = first;
            more = use(first, block);
            if (!more) {
                break;
            }
        }
        if (!at.status().ok()) {
            return check(at.status());
        }
        if (more && after && *after != 0 && *after != tombstone_revision.value &&
            list.kind != list_kind::frames) {
            return damaged("the beginning of a list is missing in the index");
        }
        return {};
    }

    // Of the list's entries before `limit`; empty: there are none.
    base::result<std::optional<std::uint64_t>>
    last_number(rocksdb::Iterator& at, const list_name& list, base::position limit) {
        std::optional<std::uint64_t> last;
        const auto done = descend(
            at, list, ~0ull, [&](std::uint64_t first, std::span<const base::position> block) {
                const auto before = std::ranges::lower_bound(block, limit) - block.begin();
                if (before > 0) {
                    last = first + static_cast<std::uint64_t>(before) - 1;
                }
                return !last;
            });
        if (!done) {
            return fail(done.error());
        }
        return last;
    }
};

index_store::index_store(index_store_settings settings, base::file_system& files,
                         base::log_identity log)
    : settings_(std::move(settings)), files_(files), log_(log) {}

index_store::~index_store() {
    if (database_ && database_->open) {
        static_cast<void>(database_->open->Close());
    }
}

base::result<std::unique_ptr<index_store>> index_store::open(index_store_settings settings,
                                                             base::file_system& files,
                                                             const base::log_identity& log) {
    std::unique_ptr<index_store> made(new index_store(std::move(settings), files, log));
    if (auto folder = files.make_directory(made->settings_.folder); !folder) {
        return unreadable(folder.error().text);
    }
    bool usable = false;
    if (auto opened = made->open_once(usable); !opened) {
        return fail(std::move(opened.error()));
    }
    if (!usable) {
        if (auto cleared = made->clear(); !cleared) {
            return fail(std::move(cleared.error()));
        }
    }
    return made;
}

// `usable` false: what stands there is to be thrown away.
base::status index_store::open_once(bool& usable) {
    usable = false;
    places_.clear();
    const auto names = files_.list(settings_.folder);
    if (!names) {
        return unreadable(names.error().text);
    }
    // Without this file, RocksDB would begin anew among the remains.
    if (!names->empty() && std::ranges::find(*names, "CURRENT") == names->end()) {
        return {};
    }
    database_ = std::make_unique<database>(files_, settings_);
    rocksdb::DB* opened = nullptr;
    const auto status = rocksdb::DB::Open(database_->options, settings_.folder, &opened);
    database_->open.reset(opened);
    if (!status.ok() || database_->files.failed()) {
        base::log_warning("eventlog", "the index cannot be opened", {{"cause", status.ToString()}});
        return {};
    }
    database_->files.may_wait();
    std::string bytes;
    const auto found = database_->open->Get({}, index_keys::checkpoint_key(), &bytes);
    if (found.IsNotFound()) {
        std::vector<rocksdb::LiveFileMetaData> live;
        database_->open->GetLiveFilesMetaData(&live);
        usable = live.empty();
        return {};
    }
    const auto read = found.ok() ? index_keys::read_checkpoint(bytes) : std::nullopt;
    const std::uint32_t flags = settings_.correlations ? index_keys::flag_correlations : 0;
    if (!read || read->log != log_ || read->flags != flags || read->places.empty()) {
        base::log_warning("eventlog", "the index is not one of this log, version and settings");
        return {};
    }
    places_ = read->places;
    usable = true;
    return {};
}

base::file_status index_store::wipe() {
    const auto names = files_.list(settings_.folder);
    if (!names) {
        return std::unexpected(names.error());
    }
    // CURRENT first: what is left after a crash is then not taken for an index.
    for (const bool current : {true, false}) {
        for (const std::string& name : *names) {
            if ((name == "CURRENT") == current) {
                if (auto removed = files_.remove(settings_.folder + "/" + name); !removed) {
                    return removed;
                }
            }
        }
        if (auto synced = files_.sync_directory(settings_.folder); !synced) {
            return synced;
        }
    }
    return {};
}

base::status index_store::clear() {
    if (database_ && database_->open) {
        static_cast<void>(database_->open->Close());
    }
    database_.reset();
    places_.clear();
    base::log_info("eventlog", "the index is made anew");
    if (auto wiped = wipe(); !wiped) {
        return unreadable(wiped.error().text);
    }
    bool usable = false;
    if (auto opened = open_once(usable); !opened) {
        return opened;
    }
    return usable ? base::status{} : unreadable("a new index cannot be opened");
}

void index_store::give_up() {
    database_->files.stop();
}

bool index_store::failed() const {
    return database_->files.failed();
}

bool index_store::waiting_for_space() const {
    return database_->files.waiting_for_space();
}

base::status index_store::add(const index_part& part, const log_place& end) {
    IMMORTAL_ASSERT(places_.empty() || end.end > places_.back().end);
    std::vector<log_place> places = places_;
    // The last but one is known well enough if it is near.
    if (places.size() > 1 &&
        end.events - places[places.size() - 2].events < settings_.place_spacing) {
        places.pop_back();
    }
    places.push_back(end);
    if (places.size() > places_max) {
        places.erase(places.begin());
    }
    const std::string checkpoint = index_keys::to_bytes(
        {log_, settings_.correlations ? index_keys::flag_correlations : 0, places});
    const std::string path = settings_.folder + "/next.sst";
    if (auto written = write_part(part, path, checkpoint); !written) {
        return written;
    }
    rocksdb::IngestExternalFileOptions how;
    how.move_files = true;
    how.write_global_seqno = false;
    const auto taken = database_->open->IngestExternalFile({path}, how);
    if (!taken.ok() || failed()) {
        database_->files.fail(taken.ToString());
        return unreadable(taken.ToString());
    }
    places_ = std::move(places);
    return {};
}

base::status index_store::write_part(const index_part& part, const std::string& path,
                                     const std::string& checkpoint) const {
    rocksdb::SstFileWriter writer({}, database_->options);
    rocksdb::Status status = writer.Open(path);
    std::string value;
    const auto put = [&](const list_name& name, std::uint64_t first) {
        status = status.ok() ? writer.Put(index_keys::key_of(name, first), value) : status;
        value.clear();
    };
    // Blocks of a list are written from its end to its beginning.
    const auto put_list = [&](const indexed_list& list, std::uint64_t first) {
        std::uint64_t left = list.positions.size();
        if (list.ended) {
            --left;
            index_keys::put_block(list.positions, left, 1, value);
            put(list.name, tombstone_revision.value);
        }
        while (left > 0) {
            const std::uint64_t from =
                (left - 1) / index_keys::block_size_max * index_keys::block_size_max;
            index_keys::put_block(list.positions, from, left - from, value);
            put(list.name, first + from);
            left = from;
        }
    };
    const list_name frames_name = make_list_name(list_kind::frames, {});
    const auto frames = part.frames();
    const auto put_frames = [&] {
        for (std::size_t left = frames.size(); left > 0;) {
            const std::size_t from =
                (left - 1) / index_keys::block_size_max * index_keys::block_size_max;
            index_keys::put_block(frames.subspan(from, left - from), value);
            put(frames_name, frames[from].value);
            left = from;
        }
    };
    const auto older = database_->iterate(); // one for all lists: making it costs as much as a look
    bool frames_put = false;
    for (const indexed_list* list : part.sorted()) {
        if (!frames_put && frames_name < list->name) {
            put_frames();
            frames_put = true;
        }
        std::uint64_t first = list->first;
        if (list->name.kind != list_kind::stream) {
            const auto last = database_->last_number(*older, list->name, {~0ull});
            if (!last) {
                return fail(last.error());
            }
            first = *last ? **last + 1 : 0;
        }
        put_list(*list, first);
    }
    if (!frames_put) {
        put_frames();
    }
    status = status.ok() ? writer.Put(index_keys::checkpoint_key(), checkpoint) : status;
    status = status.ok() ? writer.Finish() : status;
    if (!status.ok()) {
        database_->files.fail(status.ToString());
        return unreadable(status.ToString());
    }
    return {};
}

base::result<std::optional<std::uint64_t>> index_store::last_number(const list_name& list,
                                                                    base::position limit) const {
    const auto at = database_->iterate();
    return database_->last_number(*at, list, limit);
}

base::result<std::vector<base::position>>
index_store::descend(const list_name& list, std::uint64_t highest, std::uint64_t lowest,
                     std::size_t count_max, base::position limit) const {
    std::vector<base::position> out;
    if (count_max == 0) {
        return out;
    }
    const auto done = database_->descend(
        list, highest, [&](std::uint64_t first, std::span<const base::position> block) {
            for (std::size_t i = block.size(); i > 0 && out.size() < count_max; --i) {
                const std::uint64_t number = first + i - 1;
                if (number <= highest && number >= lowest && block[i - 1] < limit) {
                    out.push_back(block[i - 1]);
                }
            }
            return out.size() < count_max && first > lowest;
        });
    if (!done) {
        return fail(done.error());
    }
    return out;
}

base::result<base::position> index_store::frame_before(base::position at) const {
    base::position found;
    const auto done = database_->descend(make_list_name(list_kind::frames, {}), at.value,
                                         [&](std::uint64_t, std::span<const base::position> block) {
                                             const auto after = std::ranges::upper_bound(block, at);
                                             found = after == block.begin() ? base::position{}
                                                                            : *std::prev(after);
                                             return false;
                                         });
    if (!done) {
        return fail(done.error());
    }
    return found;
}

} // namespace immortal::eventlog
