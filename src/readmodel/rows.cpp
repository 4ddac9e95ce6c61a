#include "readmodel/rows.hpp"

namespace immortal::readmodel {

std::optional<board> parse_board(std::string_view name) noexcept {
    for (const board which : {board::cultivation, board::level, board::wealth}) {
        if (name_of(which) == name) {
            return which;
        }
    }
    return std::nullopt;
}

std::string_view name_of(board which) noexcept {
    switch (which) {
    case board::cultivation:
        return "cultivation";
    case board::level:
        return "level";
    case board::wealth:
        return "wealth";
    }
    return "";
}

} // namespace immortal::readmodel
