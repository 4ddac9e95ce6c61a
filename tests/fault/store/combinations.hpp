// Which operations follow which, and the texts that name one injected fault.
#pragma once

#include "store/operations.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace immortal::faults {

// Every single operation, and all pairs and triples of the first `combined`; in an order given by
// the seed, so that a smaller count is a sample of all.
[[nodiscard]] std::vector<std::vector<std::size_t>> combinations(std::uint64_t seed);

// "one_event,reopened"
[[nodiscard]] std::string text_of(const std::vector<std::size_t>& combination);
// Of a text "combination:number:number:...": the first field, and all as numbers (the first as 0).
[[nodiscard]] std::vector<std::size_t> combination_of(const std::string& text);
[[nodiscard]] std::vector<std::uint64_t> fields_of(const std::string& text);

} // namespace immortal::faults
