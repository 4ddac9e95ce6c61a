# immortal_module(<name> FLOOR <n> SOURCES ... [DEPENDS ...] [LIBRARIES ...] [TESTS ...] [TEST_DEPENDS ...]
#                 [TEST_RESOURCES postgres redis])
#
# Makes the library immortal::<name> from SOURCES (none: header-only), which may use the modules in DEPENDS (all on
# lower floors, checked here) and the third-party targets in LIBRARIES; and, from TESTS, the program <name>_test,
# registered with ctest. Every .cpp file of the folder must be listed: a forgotten one stops the configure step.
# TEST_RESOURCES names services that tests/with_services starts around the program.

# Precompiled headers are for whole builds from nothing, where most of the time goes into the same few headers. A source that
# uses them is not found in the compiler cache from another checkout, so daily work does without.
#
# Four of them: libraries are position-independent code, programs position-independent executables, and a precompiled header
# serves only one of the two; and Asio's headers need the runtime module at link time.
option(IMMORTAL_PCH "Parse the common headers once" OFF)
function(_immortal_make_pch name)
    cmake_parse_arguments(arg "PROGRAM" "" "HEADERS" ${ARGN})
    add_library(immortal_pch_${name} OBJECT "${CMAKE_BINARY_DIR}/immortal_pch.cpp")
    target_precompile_headers(immortal_pch_${name} PRIVATE ${arg_HEADERS})
    # The flags and definitions must be those of the users.
    target_link_libraries(immortal_pch_${name} PRIVATE immortal_warnings Threads::Threads
        Boost::headers Boost::json fmt::fmt spdlog::spdlog)
    target_compile_options(immortal_pch_${name} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
    set_target_properties(immortal_pch_${name} PROPERTIES CXX_COMPILER_LAUNCHER "")
    if(arg_PROGRAM)
        target_link_libraries(immortal_pch_${name} PRIVATE GTest::gmock immortal_test_flags)
        target_compile_options(immortal_pch_${name} PRIVATE -fPIE)
        set_target_properties(immortal_pch_${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    endif()
endfunction()

if(IMMORTAL_PCH)
    # gRPC brings this flag to some sources; a precompiled header must have been made with the same.
    add_compile_options(-pthread)
    file(WRITE "${CMAKE_BINARY_DIR}/immortal_pch.cpp" "")
    set(common "${CMAKE_CURRENT_LIST_DIR}/pch_common.hpp")
    set(asio "${CMAKE_CURRENT_LIST_DIR}/pch_asio.hpp")
    _immortal_make_pch(plain HEADERS "${common}")
    _immortal_make_pch(asio HEADERS "${common}" "${asio}")
    _immortal_make_pch(plain_test PROGRAM HEADERS "${common}" <gtest/gtest.h>)
    _immortal_make_pch(asio_test PROGRAM HEADERS "${common}" "${asio}" <gtest/gtest.h>)
endif()

# _immortal_precompile(<target> "" | "_test" <dependencies>)
function(_immortal_precompile target suffix)
    if(NOT IMMORTAL_PCH)
        return()
    endif()
    if("runtime" IN_LIST ARGN OR target MATCHES "runtime")
        target_precompile_headers(${target} REUSE_FROM immortal_pch_asio${suffix})
    else()
        target_precompile_headers(${target} REUSE_FROM immortal_pch_plain${suffix})
    endif()
endfunction()

function(_immortal_check_listed folder)
    file(GLOB present RELATIVE "${folder}" CONFIGURE_DEPENDS "${folder}/*.cpp")
    list(REMOVE_ITEM present ${ARGN})
    if(present)
        message(FATAL_ERROR "${folder}: not registered in CMakeLists.txt: ${present}")
    endif()
endfunction()

function(_immortal_check_floor name floor)
    foreach(dependency IN LISTS ARGN)
        get_target_property(other immortal_${dependency} IMMORTAL_FLOOR)
        if(NOT other LESS floor)
            message(FATAL_ERROR "${name} (floor ${floor}) may not depend on ${dependency} (floor ${other})")
        endif()
    endforeach()
endfunction()

function(immortal_module name)
    cmake_parse_arguments(arg "" "FLOOR" "SOURCES;DEPENDS;LIBRARIES;TESTS;TEST_DEPENDS;TEST_RESOURCES;MAIN" ${ARGN})
    _immortal_check_listed("${CMAKE_CURRENT_SOURCE_DIR}" ${arg_SOURCES} ${arg_TESTS} ${arg_MAIN})
    _immortal_check_floor(${name} ${arg_FLOOR} ${arg_DEPENDS})

    add_library(immortal_${name} STATIC ${arg_SOURCES})
    add_library(immortal::${name} ALIAS immortal_${name})
    set_target_properties(immortal_${name} PROPERTIES IMMORTAL_FLOOR ${arg_FLOOR} LINKER_LANGUAGE CXX)
    target_include_directories(immortal_${name} PUBLIC "${CMAKE_SOURCE_DIR}/src")
    target_link_libraries(immortal_${name} PRIVATE immortal_warnings PUBLIC ${arg_LIBRARIES} Threads::Threads)
    foreach(dependency IN LISTS arg_DEPENDS)
        target_link_libraries(immortal_${name} PUBLIC immortal::${dependency})
    endforeach()
    _immortal_precompile(immortal_${name} "" ${arg_DEPENDS})

    if(arg_TESTS)
        add_executable(${name}_test ${arg_TESTS})
        target_link_libraries(${name}_test PRIVATE immortal::${name} immortal_warnings immortal_test_flags
            GTest::gmock GTest::gtest_main)
        _immortal_precompile(${name}_test "_test" ${arg_DEPENDS} ${arg_TEST_DEPENDS})
        foreach(dependency IN LISTS arg_TEST_DEPENDS)
            target_link_libraries(${name}_test PRIVATE immortal::${dependency})
        endforeach()
        immortal_test(${name} TARGET ${name}_test RESOURCES ${arg_TEST_RESOURCES})
    endif()
endfunction()

# immortal_test(<name> TARGET <program> [ARGS ...] [RESOURCES postgres redis] [TIMEOUT seconds] [LABELS ...])
# registers a test program with ctest.
function(immortal_test name)
    cmake_parse_arguments(arg "" "TARGET;TIMEOUT" "ARGS;RESOURCES;LABELS" ${ARGN})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 1200) # with IMMORTAL_LONG, beside others
    endif()
    set(command $<TARGET_FILE:${arg_TARGET}> ${arg_ARGS})
    if(arg_RESOURCES)
        list(PREPEND command "${CMAKE_SOURCE_DIR}/tests/with_services" ${arg_RESOURCES} --)
    endif()
    add_test(NAME ${name} COMMAND ${command})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
    if(redis IN_LIST arg_RESOURCES)
        # The suites share one Redis, and each empties it: one at a time.
        set_tests_properties(${name} PROPERTIES RESOURCE_LOCK redis)
    endif()
endfunction()
