// Which route a request means. Made once, then read by all threads.
#pragma once

#include "api/route.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace immortal::api {

// Where a path leads.
struct match {
    const route* found = nullptr; // empty: no such path, or not with this method
    std::size_t index = 0;        // of `found`
    std::string_view allowed;     // the path's methods ("GET, HEAD, OPTIONS"); empty: no such path
    std::vector<base::uuid> ids;
    std::vector<std::string> names;
    bool malformed = false; // the path holds a broken percent escape, or a control character
};

// Thread-safe after construction.
class router {
public:
    // Asserts that patterns are well-formed and that no two routes share method and path.
    explicit router(std::vector<route> routes);

    // A segment that is not of its pattern's kind leads nowhere: an id that is no UUID is unknown.
    // Segments are matched percent-decoded (RFC 3986, 2.3), after the path was split: an escaped
    // slash is a character of its segment. HEAD leads where GET does.
    [[nodiscard]] match find(method verb, std::string_view path) const;
    [[nodiscard]] const std::vector<route>& routes() const noexcept { return routes_; }

private:
    enum class kind : std::uint8_t { uuid, name };
    struct node {
        std::vector<std::pair<std::string, std::size_t>> literals;
        std::size_t parameter = 0; // index of the node below, 0: none
        kind parameter_kind = kind::uuid;
        std::array<std::size_t, method_count> routes{}; // index + 1, 0: none
        std::string allowed;
    };
    void insert(std::size_t index);
    std::size_t child(std::size_t at, std::string_view segment);

    std::vector<route> routes_;
    std::vector<node> nodes_;
};

} // namespace immortal::api
