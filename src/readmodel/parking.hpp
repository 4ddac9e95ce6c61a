// Whose events the projector leaves out, and why.
#pragma once

#include "base/ids.hpp"
#include "base/uuid.hpp"

#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace immortal::readmodel {

// Which owners' events to leave out.
struct parking {
    std::unordered_set<base::uuid> owners;                    // parked
    std::set<std::pair<base::uuid, base::position>> skipped;  // (owner, event) left out for ever
    std::unordered_map<base::uuid, std::string> refused = {}; // to be parked at their next event
    std::optional<base::uuid> only = {};                      // nobody else (replay of one owner)
};

} // namespace immortal::readmodel
