// The limit: a Beast server on keep-alive connections whose handler does nothing.
#pragma once

#include "runtime/engine.hpp"

#include <cstdint>
#include <memory>

namespace immortal::bench {

class empty_server {
public:
    explicit empty_server(std::size_t threads);
    ~empty_server();
    [[nodiscard]] std::uint16_t port() const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::bench
