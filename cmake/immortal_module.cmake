# immortal_module(<name> FLOOR <n> SOURCES ... [DEPENDS ...] [LIBRARIES ...] [TESTS ...] [TEST_DEPENDS ...]
#                 [TEST_RESOURCES postgres redis])
#
# Makes the library immortal::<name> from SOURCES (none: header-only), which may use the modules in DEPENDS (all on
# lower floors, checked here) and the third-party targets in LIBRARIES; and, from TESTS, the program <name>_test,
# registered with ctest. Every .cpp file of the folder must be listed: a forgotten one stops the configure step.
# TEST_RESOURCES names services that tests/with_services starts around the program.

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

    if(arg_TESTS)
        add_executable(${name}_test ${arg_TESTS})
        target_link_libraries(${name}_test PRIVATE immortal::${name} immortal_warnings GTest::gmock GTest::gtest_main)
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
        set(arg_TIMEOUT 300)
    endif()
    set(command $<TARGET_FILE:${arg_TARGET}> ${arg_ARGS})
    if(arg_RESOURCES)
        list(PREPEND command "${CMAKE_SOURCE_DIR}/tests/with_services" ${arg_RESOURCES} --)
    endif()
    add_test(NAME ${name} COMMAND ${command})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()
