#include "base/descriptors.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace immortal::base {

descriptor_limits raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return {};
    }
    descriptor_limits out{limit.rlim_cur, limit.rlim_cur, limit.rlim_max};
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) {
        out.now = limit.rlim_cur;
    }
    return out;
}

descriptor_reserve::descriptor_reserve(std::size_t size) : size_(size) {
    held_.reserve(size);
    refill();
}

descriptor_reserve::~descriptor_reserve() {
    for (const int number : held_) {
        ::close(number);
    }
}

void descriptor_reserve::refill() {
    while (held_.size() < size_) {
        const int number = held_.empty() ? ::open("/dev/null", O_RDONLY | O_CLOEXEC)
                                         : ::fcntl(held_.front(), F_DUPFD_CLOEXEC, 0);
        if (number < 0) {
            return;
        }
        held_.push_back(number);
    }
}

bool descriptor_reserve::give_one() {
    const std::lock_guard lock(mutex_);
    if (held_.empty()) {
        return false;
    }
    ::close(held_.back());
    held_.pop_back();
    return true;
}

bool descriptor_reserve::is_whole() {
    const std::lock_guard lock(mutex_);
    refill();
    return held_.size() == size_;
}

std::size_t descriptor_reserve::held() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
}

} // namespace immortal::base
