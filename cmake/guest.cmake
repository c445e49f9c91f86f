# How a C++ service becomes a WebAssembly module: the same command that `jamsocket build` runs.

find_program(JAMSOCKET_GUEST_CXX NAMES clang++-19)

# All but the include folder of the public headers, the output and the source. src/cli compiles this list in.
set(JAMSOCKET_GUEST_FLAGS
  --target=wasm32-wasi -std=c++23 -O2 -fno-exceptions -fno-rtti
  # Without it every export is wrapped and runs the constructors again.
  -mexec-model=reactor
  -isystem /usr/lib/llvm-19/include/wasm32-wasi/c++/v1
  -Wl,--strip-debug
  # The stack first: what overflows it traps, instead of overwriting variables.
  -Wl,--stack-first -Wl,-z,stack-size=65536
  -Wl,--export=JAMSOCKET_API_VERSION -Wl,--export=JAMSOCKET_API_PROTOCOL
  -Wl,--export-if-defined=JAMSOCKET_ARGUMENTS)

# jamsocket_guest(NAME SOURCE file [FOLDER folder] [ABI Stateroom]): builds FOLDER/NAME.wasm (default:
# examples/NAME.wasm) in the build folder, target guest_NAME. A guest of another ABI exports its constants instead.
function(jamsocket_guest name)
  cmake_parse_arguments(ARG "" "SOURCE;FOLDER;ABI" "" ${ARGN})
  set(flags ${JAMSOCKET_GUEST_FLAGS})
  if(ARG_ABI)
    string(TOUPPER ${ARG_ABI} abi)
    list(TRANSFORM flags REPLACE "--export=JAMSOCKET_" "--export=${abi}_")
  endif()
  if(NOT ARG_FOLDER)
    set(ARG_FOLDER examples)
  endif()
  set(out ${PROJECT_BINARY_DIR}/${ARG_FOLDER}/${name}.wasm)
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SOURCE})
  file(GLOB_RECURSE public_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/jamsocket/*.hpp)
  add_custom_command(
    OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/${ARG_FOLDER}
    COMMAND ${JAMSOCKET_GUEST_CXX} ${flags} -I${PROJECT_SOURCE_DIR}/include -o ${out} ${source}
    DEPENDS ${source} ${public_headers}
    COMMENT "Building module ${name}.wasm" VERBATIM)
  add_custom_target(guest_${name} ALL DEPENDS ${out})
endfunction()

find_program(JAMSOCKET_WAT2WASM NAMES wat2wasm)

# jamsocket_wat_guests(TARGET): makes tests/guests/NAME.wasm in the build folder of each
# tests/guests/NAME.wat, function names kept for backtraces.
function(jamsocket_wat_guests target)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/guests/*.wat)
  set(outputs)
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM name)
    set(out ${PROJECT_BINARY_DIR}/tests/guests/${name}.wasm)
    add_custom_command(
      OUTPUT ${out}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/tests/guests
      COMMAND ${JAMSOCKET_WAT2WASM} --enable-tail-call --debug-names -o ${out} ${source}
      DEPENDS ${source} COMMENT "Assembling guest ${name}.wasm" VERBATIM)
    list(APPEND outputs ${out})
  endforeach()
  add_custom_target(${target} DEPENDS ${outputs})
endfunction()
