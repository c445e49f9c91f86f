#!/usr/bin/env bash
# Runs one fuzzer: run-fuzzer.sh PROGRAM WORK_FOLDER [CORPUS_FOLDER] [options of libFuzzer...]
#
# First everything in the corpus, then FUZZ_SECONDS (20) of new inputs. New inputs of interest are kept in the
# work folder, so that a later run goes on from there; a crashing input is left beside it.
set -euo pipefail

program=$1
work=$2
corpus=${3:-}
shift "$(($# < 3 ? $# : 3))"

mkdir -p "$work"
folders=("$work")
[[ -z $corpus ]] || folders+=("$corpus")

# A finding ends with 1: the default, 77, is what ctest takes for a skipped test.
exec "$program" -max_total_time="${FUZZ_SECONDS:-20}" -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 -error_exitcode=1 \
  -artifact_prefix="$work-crash-" "$@" "${folders[@]}"
