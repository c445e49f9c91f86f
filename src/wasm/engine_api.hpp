// wasm/engine_api.hpp
//
// The engine's C API with owners: each handle has one unique_ptr that frees it.
//
// The C++ wrapper that comes with the engine needs a feature that this build leaves out. Include
// only in .cpp files and in private headers of this folder.

#pragma once

#include <wasm.h>
#include <wasmtime.h>

#include <memory>
#include <string>
#include <string_view>

namespace jamsocket::wasm {

template <auto Delete>
struct Deleter {
  template <class T>
  void operator()(T* handle) const noexcept {
    Delete(handle);
  }
};

using ConfigHandle = std::unique_ptr<wasm_config_t, Deleter<wasm_config_delete>>;
using EngineHandle = std::unique_ptr<wasm_engine_t, Deleter<wasm_engine_delete>>;
using LinkerHandle = std::unique_ptr<wasmtime_linker_t, Deleter<wasmtime_linker_delete>>;
using ModuleHandle = std::unique_ptr<wasmtime_module_t, Deleter<wasmtime_module_delete>>;
using InstancePreHandle = std::unique_ptr<wasmtime_instance_pre_t, Deleter<wasmtime_instance_pre_delete>>;
using StoreHandle = std::unique_ptr<wasmtime_store_t, Deleter<wasmtime_store_delete>>;
using ErrorHandle = std::unique_ptr<wasmtime_error_t, Deleter<wasmtime_error_delete>>;
using TrapHandle = std::unique_ptr<wasm_trap_t, Deleter<wasm_trap_delete>>;
using FuncTypeHandle = std::unique_ptr<wasm_functype_t, Deleter<wasm_functype_delete>>;

/// A vector that the engine filled and that must be given back.
template <class Vec, auto Delete>
struct OwnedVec {
  OwnedVec() = default;
  ~OwnedVec() { Delete(&vec); }
  OwnedVec(const OwnedVec&) = delete;
  OwnedVec& operator=(const OwnedVec&) = delete;

  Vec vec{};
};
using OwnedBytes = OwnedVec<wasm_byte_vec_t, wasm_byte_vec_delete>;
using OwnedFrames = OwnedVec<wasm_frame_vec_t, wasm_frame_vec_delete>;

/// The whole text of an error: several lines when it has causes.
[[nodiscard]] std::string message_of(const wasmtime_error_t& error);
[[nodiscard]] std::string message_of(const wasm_trap_t& trap);

}  // namespace jamsocket::wasm
