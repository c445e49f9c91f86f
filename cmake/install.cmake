# What `cmake --install` puts in place: the command, the public headers, one static library with a
# native server in it (no module host, no engine), and what `find_package(jamsocket)` needs.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# The folders a native server consists of, as one archive.
set(bundled base config io auth http ws store service room session server)
list(TRANSFORM bundled REPLACE "(.+)" "$<TARGET_OBJECTS:jamsocket_\\1>" OUTPUT_VARIABLE bundled_objects)
add_library(jamsocket_bundle STATIC ${bundled_objects})
set_target_properties(jamsocket_bundle PROPERTIES OUTPUT_NAME jamsocket EXPORT_NAME server LINKER_LANGUAGE CXX)
target_compile_features(jamsocket_bundle PUBLIC cxx_std_23)
target_include_directories(jamsocket_bundle INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(jamsocket_bundle PRIVATE
  fmt::fmt spdlog::spdlog simdjson::simdjson OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB SQLite::SQLite3 zstd::libzstd_shared deflate
  prometheus-cpp::core Threads::Threads)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/jamsocket)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/jamsocketConfig.cmake.in
  ${PROJECT_BINARY_DIR}/jamsocketConfig.cmake INSTALL_DESTINATION ${package_dir})
# Before 1.0 a minor version may break what used the one before.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/jamsocketConfigVersion.cmake COMPATIBILITY SameMinorVersion)

install(TARGETS jamsocket_bundle EXPORT jamsocketTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT jamsocketTargets NAMESPACE jamsocket:: DESTINATION ${package_dir})
install(FILES ${PROJECT_BINARY_DIR}/jamsocketConfig.cmake ${PROJECT_BINARY_DIR}/jamsocketConfigVersion.cmake
  DESTINATION ${package_dir})
install(DIRECTORY include/jamsocket DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
if(TARGET jamsocket)
  install(TARGETS jamsocket RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY examples/ DESTINATION ${CMAKE_INSTALL_DATADIR}/jamsocket/examples
  PATTERN "CMakeLists.txt" EXCLUDE PATTERN ".jamsocket" EXCLUDE PATTERN "node_modules" EXCLUDE PATTERN "target" EXCLUDE)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/jamsocket/docs FILES_MATCHING PATTERN "*.md")
install(FILES README.md LICENSE LICENSE-APACHE LICENSE-MIT DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/jamsocket)
