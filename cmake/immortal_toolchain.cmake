# Compiler, language level, warnings and sanitizers: one place for all targets.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
    message(FATAL_ERROR "Immortality is built with clang 19 or newer (see docs/adr/0001-toolchain.md); "
                        "use a preset: cmake --preset dev")
endif()

set(IMMORTAL_SANITIZE "" CACHE STRING "Sanitizers for every target, for example address,undefined")
option(IMMORTAL_COVERAGE "Instrument for llvm-cov" OFF)
option(IMMORTAL_FUZZ "Instrument for libFuzzer, and let it drive the targets in tests/fuzz" OFF)

add_compile_options(-fno-omit-frame-pointer -fstack-protector-strong)
add_compile_definitions(_GLIBCXX_ASSERTIONS)
add_link_options(-fuse-ld=lld -Wl,-z,relro,-z,now)
# Debug information of every object would cost more link time than it helps; line tables are enough.
add_compile_options($<$<CONFIG:Debug,RelWithDebInfo>:-gline-tables-only>)

if(IMMORTAL_SANITIZE)
    add_compile_options(-fsanitize=${IMMORTAL_SANITIZE} -fno-sanitize-recover=all)
    add_link_options(-fsanitize=${IMMORTAL_SANITIZE})
    add_compile_definitions(IMMORTAL_SANITIZED)
    if(IMMORTAL_SANITIZE MATCHES "thread")
        # ThreadSanitizer does not understand the stand-alone fences in Asio's reference counts; without std::atomic
        # Asio counts with acquire-release operations, which it does.
        add_compile_definitions(BOOST_ASIO_DISABLE_STD_ATOMIC)
    endif()
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    add_compile_definitions(_FORTIFY_SOURCE=2)
endif()
if(IMMORTAL_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(IMMORTAL_COVERAGE)
    add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
    add_link_options(-fprofile-instr-generate)
endif()

find_program(CCACHE ccache)
if(CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()

# Warnings for our own targets only; third-party headers are system headers.
add_library(immortal_warnings INTERFACE)
target_compile_options(immortal_warnings INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Wunused-result -Werror)

# For sources of test programs: to optimise them takes half of their compile time, and what is slow is what they test.
add_library(immortal_test_flags INTERFACE)
target_compile_options(immortal_test_flags INTERFACE $<$<CONFIG:Debug>:-O0>)
