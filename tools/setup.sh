#!/usr/bin/env bash
# Installs what this project needs from Debian 12's archive, and nothing that is there already.
#
#   tools/setup.sh run    what builds the server and C++ services   (make run, make build)
#   tools/setup.sh test   that, and what the tests, the linters and the fuzzers need (make test)
#   tools/setup.sh peers  that, and the libraries of the servers that ours is compared with (make bench-peers)
#
# Changes nothing and takes a fraction of a second when everything is there. Needs root or sudo only
# when something is missing. JAMSOCKET_SKIP_SETUP=1 skips it: for systems that bring their own packages.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")/.." && pwd)
cache_root=${JAMSOCKET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jamsocket}
rust_needed=1.95.0

run_packages=(
  ca-certificates cmake g++ git make ninja-build
  libboost1.81-dev libcli11-dev libdeflate-dev libfmt-dev libseccomp-dev libsimdjson-dev libspdlog-dev libssl-dev
  libsqlite3-dev libtomlplusplus-dev libzstd-dev nlohmann-json3-dev prometheus-cpp-dev zlib1g-dev
  # What makes a C++ service a WebAssembly module.
  clang-19 lld-19 wasi-libc libc++-19-dev-wasm32 libc++abi-19-dev-wasm32 libclang-rt-19-dev-wasm32
)
test_packages=(
  ccache mold clang-format-19 clang-tidy-19 libclang-rt-19-dev wabt
  libbenchmark-dev libgmock-dev libgtest-dev
  libwebsockets-dev  # make bench-peers
  chromium curl haproxy nginx-light python3 python3-venv
)
peers_packages=(libwebsockets-dev)

say() { printf 'setup: %s\n' "$*"; }
die() {
  printf 'setup: %s\n' "$*" >&2
  exit 1
}

# The names among the arguments that are not installed, one a line.
missing_of() {
  local installed
  installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii *//p' | sort -u || true)
  comm -13 <(printf '%s\n' "$installed") <(printf '%s\n' "$@" | sort -u)
}

# Is version $1 at least $2?
at_least() { [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n1) == "$2" ]]; }

rust_on_path_is_new_enough() {
  local have
  command -v cargo >/dev/null || return 1
  have=$(rustc --version 2>/dev/null | awk '{print $2}') || return 1
  [[ -n $have ]] && at_least "$have" "$rust_needed"
}

require_debian_12() {
  local id="" version="" name="an unknown system"
  if [[ -r /etc/os-release ]]; then
    id=$(. /etc/os-release && echo "${ID:-}")
    version=$(. /etc/os-release && echo "${VERSION_ID:-}")
    name=$(. /etc/os-release && echo "${PRETTY_NAME:-$name}")
  fi
  if [[ $id == debian && $version == 12 ]]; then
    return
  fi
  {
    echo "setup: this is $name; packages are installed for you on Debian 12 only."
    echo "setup: install these, or their equivalents, then run again with JAMSOCKET_SKIP_SETUP=1:"
    printf '%s\n' "$@" | paste -sd ' ' | fold -s -w 100 | sed 's/^/setup:   /'
    echo "setup:   and cargo with rustc $rust_needed or newer"
  } >&2
  exit 1
}

# Runs a command as root.
as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "root or sudo is needed to install packages; as root: tools/setup.sh $set_name"
  fi
}

# The version of package $1 that apt would install.
candidate_of() { apt-cache policy "$1" | awk '/Candidate:/ { print $2 }'; }

install_packages() {
  say "installing $# packages: $*"
  say "reading the package lists"
  as_root apt-get update -qq
  local package archives="add Debian 12's archives (bookworm, bookworm-updates, bookworm-security) to apt's sources"
  for package in "$@"; do
    apt-cache show "$package" >/dev/null 2>&1 || die "no package $package: $archives"
    # The release's own rustc-web is too old; security updates, which a minimal system may not list, bring a newer.
    if [[ $package == rustc-web ]] && ! at_least "$(candidate_of rustc-web)" "$rust_needed"; then
      die "rustc-web is only $(candidate_of rustc-web) here and $rust_needed is needed: $archives"
    fi
  done
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" |
    grep --line-buffered -E '^(Get:|Setting up |E:|W:)' | sed -u -E 's/^Get:[0-9]+ [^ ]+ [^ ]+ [^ ]+ ([^ ]+) .*/  fetched \1/; s/^Setting up ([^ ]+) .*/  installed \1/' || true
  local left
  left=$(missing_of "$@")
  [[ -z $left ]] || die "apt-get did not install: $(paste -sd ' ' <<<"$left")"
}

# Debian's nodejs recommends npm and others bring their own: what counts is the command.
node_packages() {
  command -v node >/dev/null || echo nodejs
  command -v npm >/dev/null || echo npm
}

# The Rust compiler for Rust *services* is Debian's rustc, which cannot be installed beside rustc-web; cargo of the same
# age compiles those that use crates.
rust_guest_packages() {
  if $install_rust_web || [[ -z $(missing_of rustc-web) ]]; then
    say "Rust services will not be tested here: Debian's rustc conflicts with rustc-web" >&2
    return
  fi
  missing_of rustc cargo libstd-rust-dev-wasm32 lld-14
}

# A virtual environment with the pinned packages of tests/requirements.txt.
python_environment() {
  local requirements=$here/tests/requirements.txt
  [[ -f $requirements ]] || return 0
  local key venv
  key=$(sha256sum "$requirements" | cut -c1-16)
  venv=$cache_root/python-$key
  if [[ ! -f $venv/complete ]]; then
    say "installing the tests' Python packages into $venv"
    rm -rf "$venv"
    mkdir -p "$cache_root"
    /usr/bin/python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
    touch "$venv/complete"
  fi
  ln -sfn "$venv" "$cache_root/python"
}

# The pinned packages of tests/node and of services in AssemblyScript.
node_environment() {
  local folder key
  for folder in "$here"/tests/node "$here"/examples/*/; do
    folder=${folder%/}
    [[ -f $folder/package-lock.json ]] || continue
    key=$(sha256sum "$folder/package-lock.json" | cut -c1-16)
    [[ -f $folder/node_modules/.complete-$key ]] && continue
    say "installing the Node packages of ${folder#"$here"/}"
    (cd "$folder" && npm ci --silent --no-audit --no-fund)
    touch "$folder/node_modules/.complete-$key"
  done
}

set_name=${1:-}
[[ $set_name == run || $set_name == test || $set_name == peers ]] || die "usage: tools/setup.sh run|test|peers"

packages=("${run_packages[@]}")
[[ $set_name == run ]] || packages+=("${test_packages[@]}")
[[ $set_name != peers ]] || packages+=("${peers_packages[@]}")

if [[ -z ${JAMSOCKET_SKIP_SETUP:-} ]]; then
  command -v dpkg-query >/dev/null || require_debian_12 "${packages[@]}"

  mapfile -t missing < <(missing_of "${packages[@]}")
  install_rust_web=false
  if ! rust_on_path_is_new_enough && ! "$here/tools/build-wasmtime.sh" --is-built; then
    install_rust_web=true
    if [[ -z $(missing_of rustc) ]]; then
      say "rustc $(rustc --version 2>/dev/null | awk '{print $2}') is too old for the WebAssembly engine: rustc-web takes its place"
    fi
    missing+=(rustc-web cargo-web)
  fi
  if [[ $set_name != run ]]; then
    mapfile -t -O "${#missing[@]}" missing < <(node_packages; rust_guest_packages)
  fi
  if [[ ${#missing[@]} -gt 0 ]]; then
    require_debian_12 "${packages[@]}"
    install_packages "${missing[@]}"
  fi
fi

if [[ $set_name != run ]]; then
  python_environment
  node_environment
fi
