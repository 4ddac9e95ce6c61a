#include "base/edit_distance.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace immortal::base {

std::size_t edit_distance(std::string_view word, std::string_view other) {
    std::vector<std::size_t> row(other.size() + 1); // of the table, as far as it is known
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= word.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t k = 1; k <= other.size(); ++k) {
            const std::size_t replaced = diagonal + (word[i - 1] == other[k - 1] ? 0 : 1);
            diagonal = row[k];
            row[k] = std::min({row[k] + 1, row[k - 1] + 1, replaced});
        }
    }
    return row.back();
}

} // namespace immortal::base
