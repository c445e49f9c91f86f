#!/usr/bin/env bash
# Runs pytest with the interpreter that tools/setup.sh has prepared: $JAMSOCKET_PYTHON, else the cache's.
# Exit code 77 (skipped) when the packages of tests/requirements.txt are missing, but not in CI.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache_root=${JAMSOCKET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jamsocket}
python=${JAMSOCKET_PYTHON:-$cache_root/python/bin/python}
[[ -x $python ]] || python=python3
if ! "$python" -c 'import pytest, websockets' 2>/dev/null; then
  echo "$python has no pytest and websockets: run tools/setup.sh test"
  [[ -n ${CI:-} ]] && exit 1
  exit 77
fi
export PYTHONDONTWRITEBYTECODE=1
# Thousands of sockets in one process: as many as the system grants.
ulimit -S -n "$(ulimit -H -n)" 2>/dev/null || true
exec "$python" -m pytest -q -p no:cacheprovider --rootdir "$here" "$@"
