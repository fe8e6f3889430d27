#!/usr/bin/env bash
# Runs each fuzzer on its corpus and for a bounded time beyond.
# Usage: tests/fuzz/run.sh BUILD_DIR [SECONDS_EACH]
set -euo pipefail
build=${1:?usage: tests/fuzz/run.sh BUILD_DIR [SECONDS_EACH]}
seconds=${2:-20}
here=$(cd "$(dirname "$0")" && pwd)

found=0
for fuzzer in "$build"/tests/fuzz/*_fuzz; do
  [ -x "$fuzzer" ] || continue
  found=$((found + 1))
  name=$(basename "$fuzzer" _fuzz)
  work=$(mktemp -d)
  echo "fuzz: $name for ${seconds} s"
  "$fuzzer" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix="$build/$name-" "$work" "$here/corpus/$name" 2>&1 | grep -E 'stat::number_of_executed_units|ERROR:|SUMMARY' || true
  status=${PIPESTATUS[0]}
  rm -rf "$work"
  [ "$status" -eq 0 ] || { echo "fuzz: $name failed ($status); input in $build/$name-*" >&2; exit 1; }
done
[ "$found" -gt 0 ] || { echo "fuzz: no fuzzers in $build" >&2; exit 1; }
