#include "eventlog/index_files.hpp"

#include "base/log.hpp"

#include <algorithm>
#include <chrono>
#include <rocksdb/file_system.h>
#include <thread>

namespace immortal::eventlog {
namespace {

using base::file_error;
using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

constexpr std::chrono::milliseconds space_patience{100};
constexpr std::chrono::milliseconds repeat_patience{2}; // doubled each time
constexpr int attempts_max = 5;

IOStatus to_status(const file_error& problem) {
    switch (problem.what) {
    case file_error::kind::not_found:
        return IOStatus::PathNotFound(problem.text);
    case file_error::kind::no_space:
        return IOStatus::NoSpace(problem.text);
    case file_error::kind::too_many_open: // passes: nothing is damaged
        return IOStatus::Busy(problem.text);
    default:
        return IOStatus::IOError(problem.text);
    }
}

std::span<std::byte> space(char* scratch, std::size_t size) {
    return std::as_writable_bytes(std::span(scratch, size));
}

class sequential_file final : public rocksdb::FSSequentialFile {
public:
    explicit sequential_file(std::unique_ptr<base::file> opened) : file_(std::move(opened)) {}

    IOStatus Read(std::size_t size, const IOOptions&, Slice* result, char* scratch,
                  IODebugContext*) override {
        const auto got = file_->read_at(at_, space(scratch, size));
        if (!got) {
            return to_status(got.error());
        }
        at_ += *got;
        *result = Slice(scratch, *got);
        return IOStatus::OK();
    }
    IOStatus Skip(std::uint64_t size) override {
        at_ += size;
        return IOStatus::OK();
    }

private:
    std::unique_ptr<base::file> file_;
    std::uint64_t at_ = 0;
};

class random_file final : public rocksdb::FSRandomAccessFile {
public:
    explicit random_file(std::unique_ptr<base::file> opened) : file_(std::move(opened)) {}

    IOStatus Read(std::uint64_t offset, std::size_t size, const IOOptions&, Slice* result,
                  char* scratch, IODebugContext*) const override {
        const auto got = file_->read_at(offset, space(scratch, size));
        if (!got) {
            return to_status(got.error());
        }
        *result = Slice(scratch, *got);
        return IOStatus::OK();
    }

private:
    std::unique_ptr<base::file> file_;
};

class writable_file final : public rocksdb::FSWritableFile {
public:
    writable_file(index_files& on, std::unique_ptr<base::file> opened)
        : on_(on), file_(std::move(opened)) {}

    IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
        const auto bytes = std::as_bytes(std::span(data.data(), data.size()));
        on_.persist([&] { return file_->write_at(size_, bytes); });
        size_ += data.size();
        return IOStatus::OK();
    }
    using FSWritableFile::Append;
    IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
        on_.persist([&] { return file_->truncate(size); });
        size_ = size;
        return IOStatus::OK();
    }
    IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Sync(const IOOptions&, IODebugContext*) override {
        on_.persist([&] { return file_->sync(); }, index_files::repeat::no);
        return IOStatus::OK();
    }
    IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

private:
    index_files& on_;
    std::unique_ptr<base::file> file_; // null: it could not be made, and nothing is written
    std::uint64_t size_ = 0;
};

class folder_handle final : public rocksdb::FSDirectory {
public:
    explicit folder_handle(index_files& on) : on_(on) {}
    IOStatus Fsync(const IOOptions&, IODebugContext*) override {
        on_.persist([&] { return on_.files().sync_directory(on_.folder()); },
                    index_files::repeat::no);
        return IOStatus::OK();
    }

private:
    index_files& on_;
};

class held_lock final : public rocksdb::FileLock {};

class rocksdb_files final : public rocksdb::FileSystem {
public:
    explicit rocksdb_files(index_files& on) : on_(on) {}

    const char* Name() const override { return "immortal"; }

    IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSSequentialFile>* result,
                               IODebugContext*) override {
        return open<sequential_file>(path, *result);
    }
    IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                                 std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                 IODebugContext*) override {
        return open<random_file>(path, *result);
    }
    IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSWritableFile>* result,
                             IODebugContext*) override {
        std::unique_ptr<base::file> made;
        on_.persist([&]() -> base::file_status {
            if (auto removed = on_.files().remove(path);
                !removed && removed.error().what != file_error::kind::not_found) {
                return removed;
            }
            auto opened = on_.files().open(path, base::open_mode::create_new);
            if (!opened) {
                return std::unexpected(opened.error());
            }
            made = std::move(*opened);
            return {};
        });
        *result = std::make_unique<writable_file>(on_, std::move(made));
        return IOStatus::OK();
    }
    IOStatus NewDirectory(const std::string&, const IOOptions&,
                          std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
        *result = std::make_unique<folder_handle>(on_);
        return IOStatus::OK();
    }

    IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
        const auto opened = on_.files().open(path, base::open_mode::read);
        return opened ? IOStatus::OK() : to_status_of_look(opened.error());
    }
    IOStatus GetChildren(const std::string& folder, const IOOptions&,
                         std::vector<std::string>* result, IODebugContext*) override {
        auto names = on_.files().list(folder);
        if (!names) {
            return to_status(names.error());
        }
        *result = std::move(*names);
        return IOStatus::OK();
    }
    IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
        bool missing = false;
        on_.persist([&]() -> base::file_status {
            auto removed = on_.files().remove(path);
            missing = !removed && removed.error().what == file_error::kind::not_found;
            return missing ? base::file_status{} : removed;
        });
        return missing ? IOStatus::PathNotFound(path) : IOStatus::OK();
    }
    IOStatus CreateDir(const std::string&, const IOOptions&, IODebugContext*) override {
        return IOStatus::OK(); // there is one folder, and it is there
    }
    IOStatus CreateDirIfMissing(const std::string&, const IOOptions&, IODebugContext*) override {
        return IOStatus::OK();
    }
    IOStatus DeleteDir(const std::string&, const IOOptions&, IODebugContext*) override {
        return IOStatus::OK();
    }
    IOStatus GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* size,
                         IODebugContext*) override {
        const auto opened = on_.files().open(path, base::open_mode::read);
        const auto found = opened ? (*opened)->size() : std::unexpected(opened.error());
        if (!found) {
            return to_status(found.error());
        }
        *size = *found;
        return IOStatus::OK();
    }
    IOStatus GetFileModificationTime(const std::string&, const IOOptions&, std::uint64_t* time,
                                     IODebugContext*) override {
        *time = 0; // nothing here depends on it
        return IOStatus::OK();
    }
    IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                        IODebugContext*) override {
        on_.persist([&] { return on_.files().rename(from, to); });
        return IOStatus::OK();
    }
    // Only ingestion links: a new file to its place, and then it removes the old name.
    IOStatus LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* context) override {
        return RenameFile(from, to, options, context);
    }
    // The log's own lock covers the folder. A database that failed may still be read while it is
    // opened anew.
    IOStatus LockFile(const std::string&, const IOOptions&, rocksdb::FileLock** lock,
                      IODebugContext*) override {
        *lock = std::make_unique<held_lock>().release(); // until UnlockFile()
        return IOStatus::OK();
    }
    IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
        const std::unique_ptr<held_lock> held(static_cast<held_lock*>(lock));
        return IOStatus::OK();
    }
    IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
        return IOStatus::NotSupported("tests have other means");
    }
    IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result,
                             IODebugContext*) override {
        *result = path;
        return IOStatus::OK();
    }
    IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* is_folder,
                         IODebugContext*) override {
        *is_folder = path == on_.folder();
        return IOStatus::OK();
    }

private:
    static IOStatus to_status_of_look(const file_error& problem) {
        return problem.what == file_error::kind::not_found ? IOStatus::NotFound(problem.text)
                                                           : to_status(problem);
    }

    template <typename File, typename Result>
    IOStatus open(const std::string& path, Result& result) {
        auto opened = on_.files().open(path, base::open_mode::read);
        if (!opened) {
            return to_status(opened.error());
        }
        result = std::make_unique<File>(std::move(*opened));
        return IOStatus::OK();
    }

    index_files& on_;
};

} // namespace

std::string index_files::failure() const {
    const std::lock_guard lock(failure_mutex_);
    return failure_;
}

bool index_files::enter_failure(const std::string& cause) {
    const std::lock_guard lock(failure_mutex_);
    if (failed()) {
        return false;
    }
    failure_ = cause;
    failed_.store(true, std::memory_order_release);
    return true;
}

void index_files::fail(const std::string& cause) {
    if (enter_failure(cause) && !stopped_.load()) {
        base::log_warning("eventlog", "the index could not be written and is opened anew",
                          {{"cause", cause}});
    }
}

bool index_files::wait_after(const base::file_error& problem, repeat how, int attempt) {
    const want missing = problem.what == file_error::kind::no_space        ? want::space
                         : problem.what == file_error::kind::too_many_open ? want::descriptors
                                                                           : want::nothing;
    if (missing == want::nothing) {
        if (how == repeat::no || attempt == attempts_max) {
            return false;
        }
        // tidy-allow(banned): RocksDB's own thread waits here, and has no timer.
        std::this_thread::sleep_for(repeat_patience * (1 << attempt));
        return true;
    }
    if (!patient_.load()) {
        return false;
    }
    if (waiting_.exchange(missing) != missing) {
        base::log_warning("eventlog", "the index waits to be written", {{"cause", problem.text}});
    }
    // tidy-allow(banned): RocksDB's own thread waits here, and has no timer.
    std::this_thread::sleep_for(space_patience);
    return patient_.load();
}

std::shared_ptr<rocksdb::FileSystem> make_rocksdb_files(index_files& on) {
    return std::make_shared<rocksdb_files>(on);
}

} // namespace immortal::eventlog
