// What all fuzz targets share. A target defines LLVMFuzzerTestOneInput; built with libFuzzer it is
// driven by that, else corpus_main.cpp runs it over its committed corpus.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace immortal::fuzz {

// What must hold for every input.
inline void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
    return {reinterpret_cast<const char*>(data), size};
}

} // namespace immortal::fuzz
