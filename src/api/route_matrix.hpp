// For tests: for each route of the table, a call that succeeds. What must fail is made from it.
#pragma once

#include "api/full_stack.hpp"

#include <functional>
#include <string>
#include <vector>

namespace immortal::api::testing {

struct matrix_row {
    method verb;
    std::string pattern;
    // A fresh call by `by` that succeeds; it may come with another account's token.
    std::function<http_call(full_stack& stack, const account& by)> prepare;
    // What another account gets for the same call; 0: nobody owns the thing.
    unsigned for_others = 0;
    // Two calls with one key and different requests are told apart by the key's account.
    bool key_of_account = true;
};

[[nodiscard]] const std::vector<matrix_row>& route_matrix();

} // namespace immortal::api::testing
