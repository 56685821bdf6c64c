# Every third-party library, from Debian 12's packages. Their headers are system headers, so that
# our warnings judge our code only.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq>=4.3.4)
pkg_check_modules(CZMQ REQUIRED IMPORTED_TARGET libczmq>=4.2.1)
pkg_check_modules(PQ REQUIRED IMPORTED_TARGET libpq>=15)
# Debian 12 calls it msgpack; releases from 6 on call it msgpack-c.
pkg_search_module(MSGPACK REQUIRED IMPORTED_TARGET msgpack-c msgpack)
pkg_check_modules(LWS REQUIRED IMPORTED_TARGET libwebsockets>=4.1.6)
pkg_check_modules(JWT REQUIRED IMPORTED_TARGET libjwt>=1.10.2)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.14)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib>=1.2.13)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1>=0.2.5)

# libev ships no pkg-config file.
find_path(LIBEV_INCLUDE_DIR ev.h REQUIRED)
find_library(LIBEV_LIBRARY ev REQUIRED)
add_library(pgtide_libev INTERFACE)
target_include_directories(pgtide_libev SYSTEM INTERFACE ${LIBEV_INCLUDE_DIR})
target_link_libraries(pgtide_libev INTERFACE ${LIBEV_LIBRARY})

if(PGTIDE_TESTS)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1.5)
endif()
