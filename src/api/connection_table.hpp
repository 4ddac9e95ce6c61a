// Who is connected: bounds in total and per source, and one clock hand for all their timeouts.
#pragma once

#include "api/message.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace immortal::api {

// What the table needs to know of a connection. All functions are thread-safe and do not block.
class connection {
public:
    virtual ~connection() = default;
    // The deadline has passed (the connection checks that it still stands).
    virtual void expire() = 0;
    // Finish the running request, if any, then end.
    virtual void wind_down() = 0;
    // End now.
    virtual void drop() = 0;

    void set_deadline(std::chrono::steady_clock::time_point at) noexcept {
        deadline_.store(at.time_since_epoch().count(), std::memory_order_relaxed);
    }
    [[nodiscard]] bool overdue(std::chrono::steady_clock::time_point now) const noexcept {
        return deadline_.load(std::memory_order_relaxed) <= now.time_since_epoch().count();
    }

private:
    std::atomic<std::int64_t> deadline_{INT64_MAX};
};

// Thread-safe. A connection stands in the table from admit() to remove().
class connection_table {
public:
    struct limits {
        std::size_t total = 4'096;
        std::size_t per_source = 1'024;
        // Peers whose connections carry those of many clients: bounded by the total only, and not
        // counted among those of their network.
        std::vector<std::string> proxies = {};
    };
    explicit connection_table(limits given) : limits_(std::move(given)) {}

    enum class verdict : std::uint8_t { admitted, full, source_full, closed };
    verdict admit(const std::shared_ptr<connection>& one, const source_address& source);
    // `source` as it was admitted with.
    void remove(connection& one, const source_address& source);

    void expire_overdue(std::chrono::steady_clock::time_point now);
    void close(); // admits no more, winds down all
    void drop_all();
    [[nodiscard]] std::size_t size() const;

private:
    [[nodiscard]] bool is_proxy(const source_address& source) const;

    const limits limits_;
    mutable std::mutex mutex_;
    bool closed_ = false;
    std::unordered_map<connection*, std::weak_ptr<connection>> all_;
    std::unordered_map<std::string, std::size_t> per_source_;
};

} // namespace immortal::api
