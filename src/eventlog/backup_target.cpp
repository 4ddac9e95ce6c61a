#include "eventlog/backup_target.hpp"

#include "base/assert.hpp"
#include "base/log.hpp"

#include <algorithm>

namespace immortal::eventlog {
namespace {

using base::fail;
using base::file_error;

constexpr std::string_view part_suffix = ".part"; // not whole yet
constexpr int parts_max = 1000;                   // of one blob, left by interrupted ones

std::unexpected<base::error> environment(const file_error& problem) {
    base::log_error("eventlog", "the backup folder", {{"cause", problem.text}});
    base::error out = base::to_error(problem);
    if (problem.what == file_error::kind::denied) {
        out.message = "the folder of the backups may not be read or written by this user";
    }
    out.message += " (" + problem.text + ")";
    return fail(std::move(out));
}

std::unexpected<base::error> no_blob(const std::string& name) {
    return fail(base::errc::corrupt, name + " is a folder or a loop of links, not a file",
                "not_a_file");
}

class folder_target final : public backup_target {
public:
    folder_target(base::file_system& files, std::string folder)
        : files_(files), folder_(std::move(folder)) {}

    base::status put(const std::string& name, std::span<const std::byte> bytes) override {
        const std::string path = folder_ + "/" + name;
        const std::string parent = parent_of(name);
        std::string part;
        auto done = files_.make_directory(parent);
        auto file =
            done ? open_part(path, part)
                 : base::file_result<std::unique_ptr<base::file>>(std::unexpected(done.error()));
        if (!file) {
            return environment(file.error());
        }
        done = (*file)->write_at(0, bytes);
        done = done ? (*file)->sync() : done;
        done = done ? files_.rename(part, path) : done;
        if (!done) {
            (void)files_.remove(part); // a disk that is full has room for something else then
            return done.error().what == file_error::kind::not_a_file ? in_the_way(path)
                                                                     : environment(done.error());
        }
        done = files_.sync_directory(parent);
        return done ? base::status{} : environment(done.error());
    }

    base::status create(const std::string& name, std::span<const std::byte> bytes) override {
        const std::string parent = parent_of(name);
        auto done = files_.make_directory(parent);
        auto file =
            done ? files_.open(folder_ + "/" + name, base::open_mode::create_new)
                 : base::file_result<std::unique_ptr<base::file>>(std::unexpected(done.error()));
        if (!file && file.error().what == file_error::kind::exists) {
            return fail(base::errc::already_exists, name + " is there");
        }
        if (!file) {
            return environment(file.error());
        }
        done = (*file)->write_at(0, bytes);
        done = done ? (*file)->sync() : done;
        done = done ? files_.sync_directory(parent) : done;
        if (!done) {
            (void)files_.remove(folder_ + "/" + name);
            return environment(done.error());
        }
        return {};
    }

    base::result<std::vector<std::byte>> get(const std::string& name) override {
        auto file = files_.open(folder_ + "/" + name, base::open_mode::read);
        const auto size = file ? (*file)->size() : base::file_result<std::uint64_t>(0);
        if (!file && file.error().what == file_error::kind::not_found) {
            return fail(base::errc::not_found, name + " is missing");
        }
        if (!file || !size) {
            const file_error& problem = file ? size.error() : file.error();
            return is_no_file(problem) ? no_blob(name) : environment(problem);
        }
        std::vector<std::byte> bytes(*size);
        const auto got = (*file)->read_at(0, bytes);
        if (!got) {
            return environment(got.error());
        }
        bytes.resize(*got);
        return bytes;
    }

    base::result<std::vector<blob>> list(const std::string& folder) override {
        const auto names = files_.list(folder_ + "/" + folder);
        if (!names && names.error().what == file_error::kind::not_found) {
            return std::vector<blob>{};
        }
        if (!names) {
            return environment(names.error());
        }
        std::vector<blob> out;
        for (const std::string& name : *names) {
            if (name.ends_with(part_suffix)) {
                continue;
            }
            auto file = files_.open(folder_ + "/" + folder + "/" + name, base::open_mode::read);
            const auto size = file ? (*file)->size() : base::file_result<std::uint64_t>(0);
            if (!file && file.error().what == file_error::kind::not_found) {
                continue; // removed meanwhile
            }
            if (!file || !size) {
                const file_error& problem = file ? size.error() : file.error();
                if (!is_no_file(problem)) {
                    return environment(problem);
                }
            }
            out.push_back({folder + "/" + name, size && file ? *size : 0});
        }
        return out;
    }

    base::status remove(const std::string& name) override {
        const auto done = remove_file(folder_ + "/" + name);
        if (!done) {
            return is_no_file(done.error()) ? no_blob(name) : environment(done.error());
        }
        return {};
    }

    base::status remove_unfinished(const std::string& folder) override {
        const std::string path = folder_ + "/" + folder;
        const auto names = files_.list(path);
        if (!names) {
            return names.error().what == file_error::kind::not_found ? base::status{}
                                                                     : environment(names.error());
        }
        for (const std::string& name : *names) {
            if (!name.ends_with(part_suffix)) {
                continue;
            }
            if (auto done = remove_file(path + "/" + name); !done && !is_no_file(done.error())) {
                return environment(done.error());
            }
        }
        return {};
    }

private:
    static bool is_no_file(const file_error& problem) {
        return problem.what == file_error::kind::not_a_file;
    }
    static std::unexpected<base::error> in_the_way(const std::string& path) {
        return fail(base::errc::unavailable,
                    path + " is a folder, in the place of a file of the backups: move it away",
                    "io_error");
    }
    [[nodiscard]] std::string parent_of(const std::string& name) const {
        IMMORTAL_ASSERT(std::ranges::count(name, '/') == 1);
        return folder_ + "/" + name.substr(0, name.find('/'));
    }

    // A name of its own, so that two processes that put the same blob never write into one file.
    base::file_result<std::unique_ptr<base::file>> open_part(const std::string& path,
                                                             std::string& part) {
        for (int number = 0;; ++number) {
            part = path + "." + std::to_string(number) + std::string(part_suffix);
            auto file = files_.open(part, base::open_mode::create_new);
            if (file || file.error().what != file_error::kind::exists || number == parts_max) {
                return file;
            }
        }
    }

    base::file_status remove_file(const std::string& path) {
        auto removed = files_.remove(path);
        return removed || removed.error().what == file_error::kind::not_found ? base::file_status{}
                                                                              : removed;
    }

    base::file_system& files_;
    std::string folder_;
};

} // namespace

std::unique_ptr<backup_target> make_folder_target(base::file_system& files, std::string folder) {
    return std::make_unique<folder_target>(files, std::move(folder));
}

} // namespace immortal::eventlog
