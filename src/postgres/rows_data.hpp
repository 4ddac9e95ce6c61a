// Inside the module: the owner of a libpq result.
#pragma once

#include "postgres/database.hpp"

#include <libpq-fe.h>

#include <memory>

namespace immortal::postgres {

struct result_deleter {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using result_handle = std::unique_ptr<PGresult, result_deleter>;

struct rows::data {
    result_handle result;
};

} // namespace immortal::postgres
