#include "base/small_file.hpp"

#include "base/open_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <system_error>
#include <unistd.h>

namespace immortal::base {
namespace {

class descriptor {
public:
    explicit descriptor(int number) : number_(number) {}
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor() {
        if (number_ >= 0)
            ::close(number_);
    }
    [[nodiscard]] int get() const { return number_; }

private:
    int number_;
};

std::unexpected<error> unreadable(const std::filesystem::path& path, int number) {
    errc code = errc::unavailable;
    if (number == ENOENT || number == ENOTDIR)
        code = errc::not_found;
    if (number == EACCES || number == EPERM)
        code = errc::forbidden;
    return fail(code, fmt::format("{} cannot be read: {}", path.string(),
                                  std::generic_category().message(number)));
}

std::unexpected<error> irregular(const std::filesystem::path& path, bool folder) {
    return fail(errc::invalid_argument,
                path.string() + (folder ? " is a folder" : " is not a regular file"));
}

std::unexpected<error> too_large(const std::filesystem::path& path, std::size_t size_max) {
    constexpr std::size_t mebibyte = 1u << 20;
    return fail(errc::too_large,
                size_max >= mebibyte && size_max % mebibyte == 0
                    ? fmt::format("{} is larger than {} MiB", path.string(), size_max / mebibyte)
                    : fmt::format("{} is larger than {} bytes", path.string(), size_max));
}

} // namespace

result<std::string> read_small_file(const std::filesystem::path& path, std::size_t size_max) {
    const descriptor file(open_file(path.c_str(), O_RDONLY));
    if (file.get() < 0) {
        // ENXIO: a socket, or a device without its hardware.
        return errno == ENXIO ? irregular(path, false) : unreadable(path, errno);
    }
    struct stat facts{};
    if (::fstat(file.get(), &facts) != 0)
        return unreadable(path, errno);
    if (!S_ISREG(facts.st_mode))
        return irregular(path, S_ISDIR(facts.st_mode));
    if (facts.st_size > static_cast<off_t>(size_max))
        return too_large(path, size_max);
    // The size may change while it is read, and says nothing in file systems such as /proc: the end
    // of the file counts, looked for with one byte more than there may be.
    std::string content;
    for (;;) {
        constexpr std::size_t step = 16u << 10;
        const std::size_t begin = content.size();
        content.resize(std::min(begin + step, size_max + 1));
        const ssize_t count = ::read(file.get(), content.data() + begin, content.size() - begin);
        const int failure = errno;
        content.resize(begin + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        if (count < 0 && failure != EINTR)
            return unreadable(path, failure);
        if (count == 0)
            return content;
        if (content.size() > size_max)
            return too_large(path, size_max);
    }
}

} // namespace immortal::base
