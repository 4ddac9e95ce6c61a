#include "eventlog/index_store.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"
#include "eventlog/index_files.hpp"
#include "eventlog/index_keys.hpp"
#include "eventlog/index_options.hpp"

#include <algorithm>
#include <atomic>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/sst_file_writer.h>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;
using rocksdb::Slice;

constexpr std::size_t places_max = 16;

constexpr const char* damaged_marker = "damaged";
constexpr const char* distrusted_marker = "distrusted";

std::unexpected<base::error> unreadable(const std::string& cause) {
    base::log_warning("eventlog", "the index cannot be used now", {{"cause", cause}});
    return fail(
        index_delay("the event log's index cannot be read or written now: try again a little later",
                    "index_failed"));
}

std::unexpected<base::error> being_remade() {
    return fail(index_delay(
        "a part of the event log's index is damaged and is being made anew from the log: try "
        "again a little later"));
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
    std::atomic<bool> damaged{false};
    std::atomic<bool> distrusted{false};

    database(base::file_system& on, const index_store_settings& settings)
        : files(on, settings.folder),
          options(make_index_options(settings.cache_bytes, settings.open_files_max, env.get())) {}

    [[nodiscard]] std::unique_ptr<rocksdb::Iterator> iterate() const {
        rocksdb::ReadOptions read;
        read.prefix_same_as_start = true;
        return std::unique_ptr<rocksdb::Iterator>(open->NewIterator(read));
    }

    // Of a database that failed, nothing can be said: what it thinks it wrote may not be there.
    [[nodiscard]] std::unexpected<base::error> report_damage(const std::string& cause) {
        if (files.failed()) {
            return unreadable(cause);
        }
        if (!damaged.exchange(true)) {
            base::log_error("eventlog", "a part of the index is damaged", {{"cause", cause}});
        }
        return being_remade();
    }
    base::status check(const rocksdb::Status& status) {
        if (status.ok()) {
            return {};
        }
        // Of reads that fail it is not known whether they ever succeed again.
        const bool passes = status.IsBusy() || status.IsNoSpace() || status.IsShutdownInProgress();
        return passes ? unreadable(status.ToString()) : report_damage(status.ToString());
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
        if (distrusted.load(std::memory_order_acquire)) {
            return being_remade();
        }
        const std::string from = index_keys::key_of(list, highest);
        const std::string_view beginning = std::string_view(from).substr(0, from.size() - 8);
        std::vector<base::position> block;
        std::optional<std::uint64_t> after; // the number after this block
        bool more = true;
        for (at.Seek(from); at.Valid() && same_list(at.key(), beginning); at.Next()) {
            const std::uint64_t first = index_keys::first_of(text(at.key()));
            if (!index_keys::read_block(text(at.value()), block)) {
                return report_damage("a block of the index is none");
            }
            // Numbers have no gaps, but before a tombstone; frames are numbered otherwise.
            if (after && *after != tombstone_revision.value && list.kind != list_kind::frames &&
                first + block.size() != *after) {
                return report_damage("numbers are missing in the index");
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
            return report_damage("the beginning of a list is missing in the index");
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
    close();
}

void index_store::close() {
    if (database_ && database_->open) {
        database_->files.stop(); // else a merging that waits for space would be waited for
        static_cast<void>(database_->open->Close());
        database_->open.reset();
    }
}

base::result<std::unique_ptr<index_store>>
index_store::open_existing(index_store_settings settings, base::file_system& files,
                           const base::log_identity& log) {
    const auto names = files.list(settings.folder);
    if (!names && names.error().what == base::file_error::kind::too_many_open) {
        return fail(base::to_error(names.error()));
    }
    // Without this file, RocksDB would begin anew among the remains.
    if (!names || std::ranges::find(*names, "CURRENT") == names->end()) {
        return nullptr;
    }
    std::unique_ptr<index_store> made(new index_store(std::move(settings), files, log));
    auto opened = made->open_once(access::write);
    if (opened && !*opened && made->failed()) {
        opened = made->open_once(access::read_only);
    }
    if (!opened) {
        return fail(std::move(opened.error()));
    }
    if (!*opened || !made->read_places() || made->places_.empty()) {
        return nullptr;
    }
    if (std::ranges::find(*names, damaged_marker) != names->end()) {
        made->database_->damaged.store(true);
    }
    if (std::ranges::find(*names, distrusted_marker) != names->end()) {
        base::log_warning("eventlog", "the index was found not to agree with the log");
        made->database_->damaged.store(true);
        made->database_->distrusted.store(true);
    }
    return made;
}

base::result<std::unique_ptr<index_store>> index_store::make(index_store_settings settings,
                                                             base::file_system& files,
                                                             const base::log_identity& log) {
    std::unique_ptr<index_store> made(new index_store(std::move(settings), files, log));
    if (auto folder = files.make_directory(made->settings_.folder); !folder) {
        return unreadable(folder.error().text);
    }
    if (auto wiped = wipe(files, made->settings_.folder); !wiped) {
        return unreadable(wiped.error().text);
    }
    const auto opened = made->open_once(access::write);
    if (!opened || !*opened || !made->read_places() || !made->places_.empty()) {
        return unreadable("a new index cannot be opened");
    }
    return made;
}

base::result<bool> index_store::open_once(access how) {
    places_.clear();
    database_ = std::make_unique<database>(files_, settings_);
    rocksdb::DB* opened = nullptr;
    const auto status =
        how == access::write
            ? rocksdb::DB::Open(database_->options, settings_.folder, &opened)
            : rocksdb::DB::OpenForReadOnly(database_->options, settings_.folder, &opened);
    database_->open.reset(opened);
    if (!status.ok() || database_->files.failed()) {
        const std::string cause = status.ok() ? database_->files.failure() : status.ToString();
        base::log_warning("eventlog", "the index cannot be opened",
                          {{"folder", settings_.folder}, {"cause", cause}});
        return status.IsBusy() ? base::result<bool>(unreadable(status.ToString())) : false;
    }
    if (how == access::read_only) {
        database_->files.fail("it is open for reading only");
    }
    database_->files.may_wait();
    return true;
}

// False: it is none of this log, version and settings, or it is damaged.
bool index_store::read_places() {
    std::string bytes;
    const auto found = database_->open->Get({}, index_keys::checkpoint_key(), &bytes);
    if (found.IsNotFound()) {
        std::vector<rocksdb::LiveFileMetaData> live;
        database_->open->GetLiveFilesMetaData(&live);
        return live.empty();
    }
    const auto read = found.ok() ? index_keys::read_checkpoint(bytes) : std::nullopt;
    const std::uint32_t flags = settings_.correlations ? index_keys::flag_correlations : 0;
    if (!read || read->log != log_ || read->flags != flags || read->places.empty()) {
        base::log_warning("eventlog", "the index is not one of this log, version and settings");
        return false;
    }
    places_ = read->places;
    return true;
}

base::file_status index_store::wipe(base::file_system& files, const std::string& folder) {
    const auto names = files.list(folder);
    if (!names) {
        return std::unexpected(names.error());
    }
    // CURRENT first: what is left after a crash is then not taken for an index.
    for (const bool current : {true, false}) {
        for (const std::string& name : *names) {
            if ((name == "CURRENT") == current && name != second_store_name) {
                if (auto removed = files.remove(folder + "/" + name); !removed) {
                    return removed;
                }
            }
        }
        if (auto synced = files.sync_directory(folder); !synced) {
            return synced;
        }
    }
    return {};
}

bool index_store::leaves_files(base::file_system& files, const std::string& folder) {
    const auto names = files.list(folder);
    return names &&
           std::ranges::any_of(*names, [](const auto& name) { return name != second_store_name; });
}

void index_store::give_up() {
    database_->files.stop();
}

bool index_store::failed() const {
    return database_->files.failed();
}

bool index_store::damaged() const {
    return database_->damaged.load(std::memory_order_acquire);
}

void index_store::mark_damaged() {
    const bool distrusted = database_->distrusted.load(std::memory_order_acquire);
    const std::string marker = distrusted ? distrusted_marker : damaged_marker;
    const auto made = files_.open(settings_.folder + "/" + marker, base::open_mode::create_new);
    if (made || made.error().what == base::file_error::kind::exists) {
        static_cast<void>(files_.sync_directory(settings_.folder));
    }
}

bool index_store::distrust(std::string_view cause) {
    const bool first = !database_->distrusted.exchange(true);
    if (first) {
        base::log_error("eventlog", "the index does not agree with the log", {{"cause", cause}});
    }
    database_->damaged.store(true, std::memory_order_release);
    return first;
}

void index_store::take_over_faults(const index_store& earlier) {
    if (earlier.damaged()) {
        database_->damaged.store(true, std::memory_order_release);
    }
    if (earlier.database_->distrusted.load(std::memory_order_acquire)) {
        database_->distrusted.store(true, std::memory_order_release);
    }
}

index_files::want index_store::waits_for() const {
    return database_->files.waits_for();
}

base::status index_store::add(const index_part& part, const log_place& end) {
    if (failed()) {
        return unreadable("it is to be opened anew");
    }
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
        return refused(taken);
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
    return status.ok() ? base::status{} : refused(status);
}

// Damage stays when it is opened anew; everything else may be gone then.
std::unexpected<base::error> index_store::refused(const rocksdb::Status& status) const {
    if (status.IsCorruption() && !failed()) {
        return database_->report_damage(status.ToString());
    }
    database_->files.fail(status.ToString());
    return unreadable(status.ToString());
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
