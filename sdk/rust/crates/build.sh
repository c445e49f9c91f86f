#!/bin/sh
# Builds the counters: build.sh WORK OUT. In OUT: counter_jamsocket_crate.wasm, counter_stateroom_crate.wasm.
#
# The sources of the crates are fetched as Cargo.lock says by the cargo on PATH (FETCH_CARGO); Debian's, which is too
# old to ask the registry, compiles them with Debian's rustc.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$1
out=$2
rustc=${RUSTC:-/usr/bin/rustc}

mkdir -p "$work/.cargo"
cp -R "$here/Cargo.toml" "$here/Cargo.lock" "$here/jamsocket_counter" "$here/stateroom_counter" "$work"
cd "$work"
if ! cmp -s Cargo.lock fetched.lock; then
  rm -rf .cargo/config.toml crates
  "${FETCH_CARGO:-cargo}" vendor --quiet --locked crates >/dev/null
  printf '[source.crates-io]\nreplace-with = "fetched"\n[source.fetched]\ndirectory = "crates"\n' >.cargo/config.toml
  cp Cargo.lock fetched.lock
fi
RUSTC="$rustc" CARGO_TARGET_WASM32_WASI_LINKER="${WASM_LD:-wasm-ld-14}" CARGO_HOME="$work/home" \
  "${CARGO:-/usr/bin/cargo}" build --quiet --release --frozen --target wasm32-wasi --target-dir target
for abi in jamsocket stateroom; do
  cp "target/wasm32-wasi/release/${abi}_counter.wasm" "$out/counter_${abi}_crate.wasm"
done
