# Third-party libraries: Debian's packages, by pinned release of the distribution; the WebAssembly
# engine from its Cargo.lock (tools/build-wasmtime.sh).

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(simdjson REQUIRED)
find_package(SQLite3 3.40 REQUIRED)
find_package(zstd REQUIRED)

# Boost.Beast's HTTP parser, headers only; the package puts them on the system's include path.
find_path(JAMSOCKET_BOOST_INCLUDE boost/beast/http.hpp REQUIRED)
find_path(JAMSOCKET_TOMLPP_INCLUDE toml++/toml.h REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(prometheus-cpp REQUIRED)

# Debian's package of it has no configuration for CMake.
find_path(JAMSOCKET_LIBDEFLATE_INCLUDE libdeflate.h REQUIRED)
find_library(JAMSOCKET_LIBDEFLATE_LIBRARY deflate REQUIRED)
find_path(JAMSOCKET_SECCOMP_INCLUDE seccomp.h REQUIRED)
find_library(JAMSOCKET_SECCOMP_LIBRARY seccomp REQUIRED)

if(JAMSOCKET_TESTS)
  find_package(GTest REQUIRED)
endif()

if(JAMSOCKET_WASM)
  execute_process(
    COMMAND ${PROJECT_SOURCE_DIR}/tools/build-wasmtime.sh
    OUTPUT_VARIABLE JAMSOCKET_WASMTIME_DIR OUTPUT_STRIP_TRAILING_WHITESPACE
    COMMAND_ERROR_IS_FATAL ANY)
  add_library(wasmtime STATIC IMPORTED)
  set_target_properties(wasmtime PROPERTIES
    IMPORTED_LOCATION ${JAMSOCKET_WASMTIME_DIR}/lib/libjamsocket_wasmtime.a
    INTERFACE_INCLUDE_DIRECTORIES ${JAMSOCKET_WASMTIME_DIR}/include
    INTERFACE_LINK_LIBRARIES "Threads::Threads;dl;m")
endif()
