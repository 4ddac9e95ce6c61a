#include "runtime/resource_check.hpp"

#include "base/descriptors.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <sys/resource.h>
#include <system_error>
#include <thread>
#include <vector>

namespace immortal::runtime {

namespace {

base::status too_few(const std::string& what) {
    return base::fail(base::errc::unavailable, what);
}

// How many of `wanted` threads run at the same time.
std::size_t threads_possible(std::size_t wanted) {
    std::mutex mutex;
    std::condition_variable ended;
    bool over = false;
    std::vector<std::thread> threads;
    threads.reserve(wanted);
    bool refused = false;
    try {
        while (!refused && threads.size() < wanted) {
            threads.emplace_back([&] {
                std::unique_lock lock(mutex);
                ended.wait(lock, [&] { return over; });
            });
        }
    } catch (const std::system_error&) {
        refused = true; // that is the answer
    }
    {
        const std::lock_guard lock(mutex);
        over = true;
        ended.notify_all();
    }
    for (std::thread& one : threads) {
        one.join();
    }
    return threads.size();
}

base::status check_threads(std::size_t needed) {
    const std::size_t possible = threads_possible(needed);
    return possible >= needed
               ? base::status()
               : too_few("The system allows only " + std::to_string(possible) + " of the about " +
                         std::to_string(needed) +
                         " threads and processes that are needed. Raise the limit (ulimit -u, "
                         "TasksMax= of the service, memory).");
}

base::status check_descriptors(std::uint64_t needed) {
    const std::uint64_t allowed = base::raise_descriptor_limit().now;
    return allowed == 0 || allowed >= needed
               ? base::status()
               : too_few("The system allows only " + std::to_string(allowed) +
                         " open files, at least " + std::to_string(needed) +
                         " are needed. Raise the limit (ulimit -n, LimitNOFILE= of the service).");
}

base::status check_bytes(int resource, std::uint64_t needed, const std::string& what,
                         const std::string& remedy) {
    rlimit limit{};
    if (getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0 ||
        limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= needed) {
        return {};
    }
    return too_few("The system allows only " + std::to_string(limit.rlim_cur) + " bytes of " +
                   what + ", at least " + std::to_string(needed) + " are needed. " + remedy);
}

} // namespace

base::status check_resources(const resource_needs& needs) {
    // Before the threads, whose stacks need address space too.
    if (auto good = check_bytes(RLIMIT_AS, needs.address_space, "address space",
                                "Raise the limit (ulimit -v, LimitAS= of the service).");
        !good) {
        return good;
    }
    if (auto good = check_bytes(RLIMIT_FSIZE, needs.file_size, "one file",
                                "Raise the limit (ulimit -f, LimitFSIZE= of the service), or make "
                                "event_log.segment_bytes smaller.");
        !good) {
        return good;
    }
    if (needs.descriptors != 0) {
        if (auto good = check_descriptors(needs.descriptors); !good) {
            return good;
        }
    }
    return check_threads(needs.threads);
}

} // namespace immortal::runtime
