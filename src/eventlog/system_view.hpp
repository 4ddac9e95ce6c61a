// Streams that are views: their events are links, computed from the index, and never stand in the
// log.
//
//   $ce-<category>        original events of the streams `<category>-...`
//   $et-<type>            events of a type
//   $bc-<correlation>     events of a correlation id
//   $streams              event 0 of every stream
//   $category-<category>  event 0 of every stream of a category
//
// A name that only begins like one, `$ce-` alone or `$et`, is an ordinary stream.
#pragma once

#include "eventlog/index.hpp"

#include <optional>
#include <string_view>

namespace immortal::eventlog {

struct system_view {
    index_view view = index_view::category;
    std::string_view name; // a part of the stream's name
};

// Empty: an ordinary stream.
[[nodiscard]] constexpr std::optional<system_view> view_of(std::string_view stream) {
    if (!stream.starts_with('$')) {
        return std::nullopt;
    }
    if (stream == "$streams") {
        return system_view{index_view::streams, {}};
    }
    struct family {
        std::string_view prefix;
        index_view view;
    };
    constexpr family families[] = {{"$ce-", index_view::category},
                                   {"$et-", index_view::type},
                                   {"$bc-", index_view::correlation},
                                   {"$category-", index_view::category_streams}};
    for (const family& one : families) {
        if (stream.starts_with(one.prefix) && stream.size() > one.prefix.size()) {
            return system_view{one.view, stream.substr(one.prefix.size())};
        }
    }
    return std::nullopt;
}

} // namespace immortal::eventlog
