# What makes building, testing and linting quick and thorough: nothing here changes what is built.

# A compiler cache, where there is one.
find_program(JAMSOCKET_CCACHE ccache)
if(JAMSOCKET_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${JAMSOCKET_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${JAMSOCKET_CCACHE})
endif()

# A quick linker, where there is one, for what is built to be tested and not to be shipped.
find_program(JAMSOCKET_MOLD mold)
if(JAMSOCKET_MOLD AND NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  add_link_options(-fuse-ld=mold)
endif()

# `make test` runs the tests of several builds as one ctest: each says in its name which build it is of.
if(JAMSOCKET_SANITIZE MATCHES address)
  set(JAMSOCKET_TEST_PREFIX asan.)
elseif(JAMSOCKET_SANITIZE MATCHES thread)
  set(JAMSOCKET_TEST_PREFIX tsan.)
else()
  set(JAMSOCKET_TEST_PREFIX "")
endif()

# The engine turns faults inside modules into traps by its own signal handlers, on stacks of its own: the sanitizers leave
# both to it (see src/wasm/engine.cpp).
set(JAMSOCKET_TEST_ENVIRONMENT
  "ASAN_OPTIONS=handle_segv=0:allow_user_segv_handler=1:handle_sigill=0:handle_sigfpe=0:use_sigaltstack=0:detect_stack_use_after_return=1"
  "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
  "TSAN_OPTIONS=halt_on_error=1:handle_segv=0:handle_sigill=0:handle_sigfpe=0:second_deadlock_stack=1:suppressions=${PROJECT_SOURCE_DIR}/tools/tsan.supp")

# jamsocket_test(NAME COMMAND command... [LABELS labels...] [TIMEOUT seconds] [ENVIRONMENT NAME=value...] [SERIAL])
#
# Adds a test, with the sanitizers' options and the build's prefix before its name. SERIAL: nothing else
# runs meanwhile, for tests of time and of whole-machine limits. Exit code 77 means: skipped.
function(jamsocket_test name)
  cmake_parse_arguments(ARG "SERIAL" "TIMEOUT" "COMMAND;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set(test ${JAMSOCKET_TEST_PREFIX}${name})
  add_test(NAME ${test} COMMAND ${ARG_COMMAND})
  set_tests_properties(${test} PROPERTIES
    LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} SKIP_RETURN_CODE 77
    RUN_SERIAL ${ARG_SERIAL} ENVIRONMENT "${JAMSOCKET_TEST_ENVIRONMENT};${ARG_ENVIRONMENT}")
endfunction()

# jamsocket_fuzzer(NAME SOURCES files... LIBRARIES targets... [CORPUS folder] [OPTIONS options...])
#
# Adds the fuzzer fuzz_NAME and a test that runs it for FUZZ_SECONDS of the environment (20) over the
# corpus, from a seed that it prints. What it finds stays in the build folder, to be run again.
# The target `fuzzers` builds all of them and nothing else.
if(JAMSOCKET_FUZZ)
  add_custom_target(fuzzers)
endif()
function(jamsocket_fuzzer name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;LIBRARIES;OPTIONS" ${ARGN})
  add_executable(fuzz_${name} ${ARG_SOURCES})
  target_link_libraries(fuzz_${name} PRIVATE jamsocket_flags ${ARG_LIBRARIES})
  target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers fuzz_${name})
  set(corpus "")
  if(ARG_CORPUS)
    cmake_path(ABSOLUTE_PATH ARG_CORPUS BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} OUTPUT_VARIABLE corpus)
  endif()
  jamsocket_test(fuzz.${name} LABELS fuzz TIMEOUT 3600
    COMMAND ${PROJECT_SOURCE_DIR}/tools/run-fuzzer.sh $<TARGET_FILE:fuzz_${name}>
      ${PROJECT_BINARY_DIR}/corpus/${name} "${corpus}" ${ARG_OPTIONS})
endfunction()

# The linters, as tests of the release build.
if(JAMSOCKET_TESTS AND NOT JAMSOCKET_SANITIZE)
  jamsocket_test(lint.structure LABELS lint COMMAND ${PROJECT_SOURCE_DIR}/tools/check-structure.py)
  jamsocket_test(lint.structure_itself LABELS lint COMMAND ${PROJECT_SOURCE_DIR}/tools/check-structure.py --self-test)
  jamsocket_test(lint.format LABELS lint COMMAND ${PROJECT_SOURCE_DIR}/tools/lint format)
  # A quarter of an hour on two cores: `make lint` runs it, `make test` does not.
  jamsocket_test(lint.tidy LABELS lint slow TIMEOUT 1500
    COMMAND ${PROJECT_SOURCE_DIR}/tools/lint tidy --build ${PROJECT_BINARY_DIR})
endif()
