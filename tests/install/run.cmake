# Installs the build into a folder of its own, builds tests/install/server against it, and runs that.

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

set(prefix ${WORK_DIR}/prefix)
file(REMOVE_RECURSE ${WORK_DIR})
run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${prefix})

run(${CMAKE_COMMAND} -S ${TEST_DIR}/server -B ${WORK_DIR}/build -G ${GENERATOR}
  -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_PREFIX_PATH=${prefix})
run(${CMAKE_COMMAND} --build ${WORK_DIR}/build)
run(${WORK_DIR}/build/installed_server)

# The same over TLS, with a certificate and a client of OpenSSL's.
find_program(openssl openssl)
if(openssl)
  run(${openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost
    -keyout ${WORK_DIR}/key.pem -out ${WORK_DIR}/cert.pem)
  run(${WORK_DIR}/build/installed_server ${WORK_DIR}/cert.pem ${WORK_DIR}/key.pem)
endif()

# The installed command builds a service with the installed headers.
file(GLOB command ${prefix}/bin/jamsocket)
file(GLOB examples ${prefix}/share/jamsocket/examples)
run(${command} --version)
find_program(guest_compiler clang++-19)
if(guest_compiler)
  run(${command} build ${examples}/counter --output ${WORK_DIR}/counter.wasm)
  run(${command} check ${WORK_DIR}/counter.wasm)
endif()
