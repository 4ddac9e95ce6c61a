#include "store/combinations.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace immortal::faults {

std::vector<std::vector<std::size_t>> combinations(std::uint64_t seed) {
    std::vector<std::vector<std::size_t>> out;
    for (std::size_t i = 0; i < operations().size(); ++i) {
        out.push_back({i});
    }
    for (std::size_t i = 0; i < combined; ++i) {
        for (std::size_t j = 0; j < combined; ++j) {
            out.push_back({i, j});
            for (std::size_t k = 0; k < combined; ++k) {
                out.push_back({i, j, k});
            }
        }
    }
    base::seeded_random random(seed);
    for (std::size_t left = out.size(); left > 1; --left) {
        std::swap(out[left - 1], out[random.next() % left]);
    }
    // Whatever the count: every operation alone.
    std::ranges::partition(out, [](const auto& each) { return each.size() == 1; });
    return out;
}

std::string text_of(const std::vector<std::size_t>& combination) {
    std::string out;
    for (const std::size_t which : combination) {
        out += (out.empty() ? "" : ",") + std::string(operations()[which].name);
    }
    return out;
}

std::vector<std::size_t> combination_of(const std::string& text) {
    std::vector<std::size_t> out;
    std::istringstream names(text.substr(0, text.find(':')));
    for (std::string name; std::getline(names, name, ',');) {
        const auto found = std::ranges::find(operations(), name, &operation::name);
        if (found != operations().end()) {
            out.push_back(static_cast<std::size_t>(found - operations().begin()));
        }
    }
    return out;
}

std::vector<std::uint64_t> fields_of(const std::string& text) {
    std::vector<std::uint64_t> out;
    std::istringstream fields(text);
    for (std::string field; std::getline(fields, field, ':');) {
        out.push_back(0);
        std::from_chars(field.data(), field.data() + field.size(), out.back());
    }
    return out;
}

} // namespace immortal::faults
