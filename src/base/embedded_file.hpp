// A file that is built into the program (cmake/embed_files.cmake).
#pragma once

#include <string_view>

namespace immortal::base {

struct embedded_file {
    std::string_view name; // without the folder
    std::string_view text; // lives as long as the program
};

} // namespace immortal::base
