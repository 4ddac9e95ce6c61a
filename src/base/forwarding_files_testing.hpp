// For tests: a file system, and files, that pass everything on. What a test changes it overrides.
#pragma once

#include "base/file.hpp"

#include <memory>
#include <utility>

namespace immortal::base {

// `inner` outlives it. Thread-safe as `inner` is.
class forwarding_file_system : public file_system {
public:
    explicit forwarding_file_system(file_system& inner) : inner_(inner) {}

    file_result<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override {
        return inner_.open(path, mode);
    }
    file_status rename(const std::string& from, const std::string& to) override {
        return inner_.rename(from, to);
    }
    file_status remove(const std::string& path) override { return inner_.remove(path); }
    file_result<std::vector<std::string>> list(const std::string& folder) override {
        return inner_.list(folder);
    }
    file_status make_directory(const std::string& folder) override {
        return inner_.make_directory(folder);
    }
    file_status sync_directory(const std::string& folder) override {
        return inner_.sync_directory(folder);
    }
    file_result<std::uint64_t> free_space(const std::string& folder) override {
        return inner_.free_space(folder);
    }
    file_result<std::unique_ptr<file_lock>> lock(const std::string& path) override {
        return inner_.lock(path);
    }
    void restore_reserve() override { inner_.restore_reserve(); }

private:
    file_system& inner_;
};

class forwarding_file : public file {
public:
    explicit forwarding_file(std::unique_ptr<file> inner) : inner_(std::move(inner)) {}

    file_result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
        return inner_->read_at(offset, out);
    }
    file_status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
        return inner_->write_at(offset, bytes);
    }
    file_status sync() override { return inner_->sync(); }
    file_status truncate(std::uint64_t size) override { return inner_->truncate(size); }
    file_result<std::uint64_t> size() override { return inner_->size(); }

private:
    std::unique_ptr<file> inner_;
};

} // namespace immortal::base
