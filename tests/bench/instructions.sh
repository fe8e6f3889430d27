#!/usr/bin/env bash
# Prints the instructions that the AVX2 kernel takes for one float32 element at
# k = 1024: a figure that no noise of the machine moves. Fails above LIMIT.
# Usage: tests/bench/instructions.sh BUILD_DIR [LIMIT]
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 BUILD_DIR [LIMIT]" >&2; exit 2; }
program=$1/tests/bench/sketch_once
limit=${2:-2.2}
elements=$((1 << 20))
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What Sketch::Add and all below it execute, start-up and the vector left out.
valgrind --tool=callgrind --callgrind-out-file="$folder/out" --collect-atstart=no \
  --toggle-collect='muster::Sketch::Add(unsigned long, void const*, unsigned long, muster::DataType)' \
  "$program" "$elements" 2>"$folder/log" || { cat "$folder/log" >&2; exit 1; }
instructions=$(awk '/^(summary|totals):/ { print $2; exit }' "$folder/out")
awk -v i="$instructions" -v n="$elements" -v limit="$limit" 'BEGIN {
  printf "sketch.f32.k1024.avx2_instructions_per_element %.3f (limit %s)\n", i / n, limit
  exit !(i > 0 && i / n <= limit)
}'
