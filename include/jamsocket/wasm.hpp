// jamsocket/wasm.hpp
//
// JAMSOCKET_WASM(Type): makes a service class a WebAssembly module. Nothing in a native build.

#pragma once

#include <jamsocket/service.hpp>

#ifndef __wasm__
#define JAMSOCKET_WASM(Type)
#endif
