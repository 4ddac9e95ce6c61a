// The OpenAPI 3.1 document, made from the route table.
#pragma once

#include "api/route.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace immortal::api {

[[nodiscard]] std::string openapi_document(const std::vector<route>& routes,
                                           std::string_view version);

} // namespace immortal::api
