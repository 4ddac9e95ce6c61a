#include "postgres/connection_string.hpp"

#include <libpq-fe.h>

#include <memory>

namespace immortal::postgres {

bool is_connection_string(const std::string& text) {
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
        PQconninfoParse(text.c_str(), nullptr), &PQconninfoFree);
    return parsed != nullptr;
}

} // namespace immortal::postgres
