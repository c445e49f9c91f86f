#!/usr/bin/env bash
# Builds the WebAssembly engine (third_party/wasmtime) unless this Cargo.lock was built before.
# Prints the folder with lib/libjamsocket_wasmtime.a and include/ on standard output.
# With --is-built: builds nothing, succeeds if there is nothing to build.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
crate=$here/third_party/wasmtime
cache_root=${JAMSOCKET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jamsocket}
key=$(cat "$crate/Cargo.lock" "$crate/Cargo.toml" "$crate/build.rs" "$crate/src/lib.rs" | sha256sum | cut -c1-16)-$(uname -m)
out=$cache_root/wasmtime-$key

if [[ ${1:-} == --is-built ]]; then
  [[ -f $out/complete ]]
  exit
fi
if [[ -f $out/complete ]]; then
  echo "$out"
  exit 0
fi

need_rust="1.95.0"
have_rust=$(rustc --version 2>/dev/null | awk '{print $2}' || true)
if [[ -z $have_rust || $(printf '%s\n%s\n' "$need_rust" "$have_rust" | sort -V | head -n1) != "$need_rust" ]]; then
  echo "build-wasmtime: rustc $need_rust or newer is needed (found: ${have_rust:-none}); 'tools/setup.sh run' installs it" >&2
  exit 1
fi

echo "building the WebAssembly engine, once: about four minutes on two cores" >&2
mkdir -p "$cache_root"
work=$(mktemp -d "$cache_root/wasmtime-build.XXXXXX")
trap 'rm -rf "$work"' EXIT
JAMSOCKET_WASMTIME_OUT=$work CARGO_TARGET_DIR=$work/target \
  cargo build --release --locked --manifest-path "$crate/Cargo.toml" >&2
mkdir -p "$work/out/lib"
cp "$work/target/release/libjamsocket_wasmtime.a" "$work/out/lib/"
cp -r "$(cat "$work/include-dir.txt")" "$work/out/include"
touch "$work/out/complete"
# Another build may have finished meanwhile: its result is as good as ours.
mv -T "$work/out" "$out" 2>/dev/null || [[ -f $out/complete ]]
echo "$out"
