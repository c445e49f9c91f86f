# How a folder of src/ becomes a target, with its tests and what it may include.

# Flags of every target of ours.
add_library(jamsocket_flags INTERFACE)
target_compile_features(jamsocket_flags INTERFACE cxx_std_23)
target_compile_options(jamsocket_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-qual -Wundef -Wextra-semi
  -fstack-protector-strong $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-fcf-protection>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns of overlapping copies inside std::string's own operator+ (its bug 105651).
  target_compile_options(jamsocket_flags INTERFACE -Wno-restrict)
endif()
if(JAMSOCKET_WERROR)
  target_compile_options(jamsocket_flags INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_definitions(jamsocket_flags INTERFACE _GLIBCXX_ASSERTIONS)
  target_compile_options(jamsocket_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fno-plt)
  target_link_options(jamsocket_flags INTERFACE -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endif()
if(JAMSOCKET_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC's sanitizers make it lose sight of what is initialised; the release build warns of what really is not.
  target_compile_options(jamsocket_flags INTERFACE -Wno-maybe-uninitialized)
endif()
if(JAMSOCKET_SANITIZE)
  target_compile_options(jamsocket_flags INTERFACE -fsanitize=${JAMSOCKET_SANITIZE} -fno-omit-frame-pointer -O1)
  target_link_options(jamsocket_flags INTERFACE -fsanitize=${JAMSOCKET_SANITIZE})
endif()
if(JAMSOCKET_FUZZ)
  target_compile_options(jamsocket_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -O1)
  target_link_options(jamsocket_flags INTERFACE -fsanitize=address,undefined)
endif()

# jamsocket_folder(NAME DEPS folders... LIBRARIES targets... SOURCES files... TESTS files...)
#
# Declares src/NAME as the library jamsocket_NAME. DEPS are the folders whose headers it may include
# (and theirs, transitively): tools/check-structure.py holds the includes against these lines.
# LIBRARIES are third-party targets. TESTS become one test program, jamsocket_NAME_test.
function(jamsocket_folder name)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBRARIES;SOURCES;TESTS" ${ARGN})
  set(target jamsocket_${name})
  add_library(${target} STATIC ${ARG_SOURCES})
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>)
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:jamsocket_flags>)
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${target} PUBLIC jamsocket_${dep})
  endforeach()
  target_link_libraries(${target} PUBLIC ${ARG_LIBRARIES})
  if(JAMSOCKET_TESTS AND ARG_TESTS)
    add_executable(${target}_test ${ARG_TESTS})
    target_link_libraries(${target}_test PRIVATE ${target} jamsocket_flags GTest::gmock_main)
    # Alone, where a call spins on a thread that only runs when nobody else does.
    set(alone "")
    if(name STREQUAL "server")
      set(alone SERIAL)
    endif()
    jamsocket_test(unit.${name} ${alone} LABELS unit COMMAND ${target}_test)
  endif()
endfunction()
