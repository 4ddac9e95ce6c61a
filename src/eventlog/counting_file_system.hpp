// A file system that counts the bytes that are read, and damages one of them. For tests.
#pragma once

#include "base/file.hpp"

#include <atomic>
#include <utility>

namespace immortal::eventlog {

// Everything else is that of `inner`, which outlives it. Thread-safe.
class counting_file_system final : public base::file_system {
public:
    explicit counting_file_system(base::file_system& inner) : inner_(inner) {}

    [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_.load(); }
    // From now on a bit of the byte at this offset is read wrong, in every file.
    void damage(std::uint64_t offset) { damaged_ = offset; }

    base::file_result<std::unique_ptr<base::file>> open(const std::string& path,
                                                        base::open_mode mode) override {
        auto opened = inner_.open(path, mode);
        if (!opened) {
            return opened;
        }
        return std::make_unique<counting_file>(*this, std::move(*opened));
    }
    base::file_status rename(const std::string& from, const std::string& to) override {
        return inner_.rename(from, to);
    }
    base::file_status remove(const std::string& path) override { return inner_.remove(path); }
    base::file_result<std::vector<std::string>> list(const std::string& folder) override {
        return inner_.list(folder);
    }
    base::file_status make_directory(const std::string& folder) override {
        return inner_.make_directory(folder);
    }
    base::file_status sync_directory(const std::string& folder) override {
        return inner_.sync_directory(folder);
    }
    base::file_result<std::uint64_t> free_space(const std::string& folder) override {
        return inner_.free_space(folder);
    }
    base::file_result<std::unique_ptr<base::file_lock>> lock(const std::string& path) override {
        return inner_.lock(path);
    }

private:
    class counting_file final : public base::file {
    public:
        counting_file(counting_file_system& owner, std::unique_ptr<base::file> inner)
            : owner_(owner), inner_(std::move(inner)) {}
        base::file_result<std::size_t> read_at(std::uint64_t offset,
                                               std::span<std::byte> out) override {
            auto got = inner_->read_at(offset, out);
            owner_.bytes_read_ += got.value_or(0);
            const std::uint64_t bad = owner_.damaged_;
            if (got && bad >= offset && bad < offset + *got) {
                out[bad - offset] ^= std::byte{8};
            }
            return got;
        }
        base::file_status write_at(std::uint64_t offset,
                                   std::span<const std::byte> bytes) override {
            return inner_->write_at(offset, bytes);
        }
        base::file_status sync() override { return inner_->sync(); }
        base::file_status truncate(std::uint64_t size) override { return inner_->truncate(size); }
        base::file_result<std::uint64_t> size() override { return inner_->size(); }

    private:
        counting_file_system& owner_;
        std::unique_ptr<base::file> inner_;
    };

    base::file_system& inner_;
    std::atomic<std::uint64_t> bytes_read_{0};
    std::atomic<std::uint64_t> damaged_{~std::uint64_t{0}};
};

} // namespace immortal::eventlog
