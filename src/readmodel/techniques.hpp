// The table `techniques` follows the catalogue.
#pragma once

#include "base/result.hpp"
#include "postgres/database.hpp"

#include <boost/asio/awaitable.hpp>

namespace immortal::game {
class catalog;
}

namespace immortal::readmodel {

using boost::asio::awaitable;

// Makes the rows those of the catalogue; writes nothing where they are already.
awaitable<base::status> write_techniques(postgres::database& database,
                                         const game::catalog& catalog);

} // namespace immortal::readmodel
