# Third-party libraries, all from packages of Debian 12.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json system url)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Protobuf REQUIRED)
unset(re2_FOUND CACHE)
find_package(gRPC CONFIG REQUIRED)
find_package(RocksDB CONFIG REQUIRED)
pkg_check_modules(libsodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(prometheus REQUIRED IMPORTED_TARGET prometheus-cpp-core)
pkg_check_modules(jemalloc REQUIRED IMPORTED_TARGET jemalloc)
# Not named `re2`: gRPC's configuration would take re2_FOUND, which stays in the cache, for its own.
pkg_check_modules(libre2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(icu REQUIRED IMPORTED_TARGET icu-uc icu-i18n)

# Boost.Asio is compiled once, in the runtime module; every user sees the same switches.
add_compile_definitions(
    BOOST_ASIO_NO_DEPRECATED
    BOOST_ASIO_SEPARATE_COMPILATION
    BOOST_BEAST_SEPARATE_COMPILATION
    BOOST_ALLOW_DEPRECATED_HEADERS)

# The allocator of the programs that are measured and run (docs/adr/0007-allocator.md). The sanitizers bring their own.
add_library(immortal_allocator INTERFACE)
if(NOT IMMORTAL_SANITIZE)
    target_link_libraries(immortal_allocator INTERFACE -Wl,--no-as-needed PkgConfig::jemalloc -Wl,--as-needed)
endif()
