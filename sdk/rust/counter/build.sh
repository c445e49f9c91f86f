#!/bin/sh
# Builds the counter: build.sh OUTPUT.wasm
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rustc=${RUSTC:-/usr/bin/rustc}
crt=${CRT1_REACTOR:-$("$rustc" --print sysroot)/lib/rustlib/wasm32-wasi/lib/self-contained/crt1-reactor.o}

exec "$rustc" --edition 2021 --crate-type cdylib --target wasm32-wasi -C opt-level=s -C panic=abort -C lto=fat \
  -C linker="${WASM_LD:-wasm-ld-14}" -C link-arg="$crt" -C link-arg=--export=_initialize -C link-arg=--strip-debug \
  -o "$1" "$here/counter.rs"
