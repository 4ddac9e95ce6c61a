// An all_filter made ready: expressions are compiled once.
#pragma once

#include "base/result.hpp"
#include "eventstore/event_store.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace immortal::eventstore {

// Cheap to copy; thread-safe.
class event_filter {
public:
    // Errors: invalid_argument (an expression that RE2 does not take).
    [[nodiscard]] static base::result<event_filter> compile(const all_filter& filter);

    [[nodiscard]] bool wants(std::string_view stream, std::string_view type) const;
    // Equal for filters that say the same in the same words.
    [[nodiscard]] const std::string& key() const;
    [[nodiscard]] static std::string key_of(const all_filter& filter);

private:
    struct compiled;
    explicit event_filter(std::shared_ptr<const compiled> from) : compiled_(std::move(from)) {}
    std::shared_ptr<const compiled> compiled_;
};

// Keeps filters that were compiled lately: clients ask for the same ones again. Thread-safe.
class filter_cache {
public:
    static constexpr std::size_t filters_max = 64;
    // As event_filter::compile.
    [[nodiscard]] base::result<event_filter> get(const all_filter& filter);

private:
    std::mutex mutex_;
    std::map<std::string, event_filter> kept_;
};

} // namespace immortal::eventstore
