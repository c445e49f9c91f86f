// wasm/module_compiled.hpp
//
// What a Module holds of the engine's, for the files of this folder.

#pragma once

#include "wasm/engine_api.hpp"
#include "wasm/module.hpp"

namespace jamsocket::wasm {

struct Module::Compiled {
  ModuleHandle module;
  /// The module with its imports resolved and their types checked: what a room starts from.
  InstancePreHandle instance_pre;
};

}  // namespace jamsocket::wasm
