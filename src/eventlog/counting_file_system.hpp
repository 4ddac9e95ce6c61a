// A file system that counts the bytes that are read, and damages one of them. For tests.
#pragma once

#include "base/forwarding_files_testing.hpp"

#include <atomic>
#include <utility>

namespace immortal::eventlog {

// Everything else is that of `inner`, which outlives it. Thread-safe.
class counting_file_system final : public base::forwarding_file_system {
public:
    explicit counting_file_system(base::file_system& inner) : forwarding_file_system(inner) {}

    [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_.load(); }
    // From now on a bit of the byte at this offset is read wrong, in every file.
    void damage(std::uint64_t offset) { damaged_ = offset; }

    base::file_result<std::unique_ptr<base::file>> open(const std::string& path,
                                                        base::open_mode mode) override {
        auto opened = forwarding_file_system::open(path, mode);
        if (!opened) {
            return opened;
        }
        return std::make_unique<counting_file>(*this, std::move(*opened));
    }

private:
    class counting_file final : public base::forwarding_file {
    public:
        counting_file(counting_file_system& owner, std::unique_ptr<base::file> inner)
            : forwarding_file(std::move(inner)), owner_(owner) {}
        base::file_result<std::size_t> read_at(std::uint64_t offset,
                                               std::span<std::byte> out) override {
            auto got = forwarding_file::read_at(offset, out);
            owner_.bytes_read_ += got.value_or(0);
            const std::uint64_t bad = owner_.damaged_;
            if (got && bad >= offset && bad < offset + *got) {
                out[bad - offset] ^= std::byte{8};
            }
            return got;
        }

    private:
        counting_file_system& owner_;
    };

    std::atomic<std::uint64_t> bytes_read_{0};
    std::atomic<std::uint64_t> damaged_{~std::uint64_t{0}};
};

} // namespace immortal::eventlog
