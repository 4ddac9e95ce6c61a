#include "esdb/method_table.hpp"

#include "base/assert.hpp"

#include <fmt/format.h>

#include <utility>

namespace immortal::esdb {

void method_table::add(std::string_view service, std::string_view name, method served) {
    IMMORTAL_ASSERT(served.access.what != access_rule::kind::unstated);
    IMMORTAL_ASSERT((served.access.what == access_rule::kind::streams) ==
                    (served.access.needs != nullptr));
    const bool added =
        methods_.emplace(fmt::format("/{}/{}", service, name), std::move(served)).second;
    IMMORTAL_ASSERT(added);
}

const method* method_table::find(std::string_view path) const {
    const auto found = methods_.find(path);
    return found == methods_.end() ? nullptr : &found->second;
}

} // namespace immortal::esdb
