// A disk that says "synced" and does nothing: the control of every test that cuts the power.
#pragma once

#include "base/file.hpp"

#include <utility>

namespace immortal::faults {

// Everything else is the machine's own.
class lying_file_system final : public base::file_system {
public:
    base::file_result<std::unique_ptr<base::file>> open(const std::string& path,
                                                        base::open_mode mode) override {
        auto opened = real_.open(path, mode);
        if (!opened) {
            return opened;
        }
        return std::make_unique<lying_file>(std::move(*opened));
    }
    base::file_status rename(const std::string& from, const std::string& to) override {
        return real_.rename(from, to);
    }
    base::file_status remove(const std::string& path) override { return real_.remove(path); }
    base::file_result<std::vector<std::string>> list(const std::string& folder) override {
        return real_.list(folder);
    }
    base::file_status make_directory(const std::string& folder) override {
        return real_.make_directory(folder);
    }
    base::file_status sync_directory(const std::string&) override { return {}; }
    base::file_result<std::uint64_t> free_space(const std::string& folder) override {
        return real_.free_space(folder);
    }
    base::file_result<std::unique_ptr<base::file_lock>> lock(const std::string& path) override {
        return real_.lock(path);
    }

private:
    class lying_file final : public base::file {
    public:
        explicit lying_file(std::unique_ptr<base::file> real) : real_(std::move(real)) {}
        base::file_result<std::size_t> read_at(std::uint64_t offset,
                                               std::span<std::byte> out) override {
            return real_->read_at(offset, out);
        }
        base::file_status write_at(std::uint64_t offset,
                                   std::span<const std::byte> bytes) override {
            return real_->write_at(offset, bytes);
        }
        base::file_status sync() override { return {}; }
        base::file_status truncate(std::uint64_t size) override { return real_->truncate(size); }
        base::file_result<std::uint64_t> size() override { return real_->size(); }

    private:
        std::unique_ptr<base::file> real_;
    };
    base::posix_file_system real_;
};

} // namespace immortal::faults
