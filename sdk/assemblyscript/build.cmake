# Builds the counter in a copy of its folder: cmake -DNPM= -DSOURCE= -DWORK= -DOUT= -P build.cmake

file(COPY ${SOURCE}/package.json ${SOURCE}/package-lock.json ${SOURCE}/.npmrc ${SOURCE}/assembly DESTINATION ${WORK})
file(REMOVE ${OUT})
if(NOT EXISTS ${WORK}/node_modules/assemblyscript OR ${SOURCE}/package-lock.json IS_NEWER_THAN ${WORK}/node_modules)
  execute_process(COMMAND ${NPM} ci --silent --no-audit --no-fund WORKING_DIRECTORY ${WORK} RESULT_VARIABLE failed)
  if(failed)
    message(WARNING "the AssemblyScript counter is not built: npm ci failed")
    return()
  endif()
endif()
execute_process(COMMAND ${NPM} run --silent build WORKING_DIRECTORY ${WORK} COMMAND_ERROR_IS_FATAL ANY)
file(COPY_FILE ${WORK}/build/counter.wasm ${OUT})
