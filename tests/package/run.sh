#!/bin/sh
# Installs the client of BUILD_DIR to a temporary prefix, and builds and runs a
# consumer against that install alone.
#   tests/package/run.sh BUILD_DIR
set -eu

[ $# -eq 1 ] || { echo "usage: $0 BUILD_DIR" >&2; exit 2; }
build_dir=$(cd "$1" && pwd)
source_dir=$(cd "$(dirname "$0")" && pwd)
work_dir=$(mktemp -d)
trap 'rm -rf "$work_dir"' EXIT

cmake --build "$build_dir" --target muster_shared muster_client_shared
for component in client devel; do
  cmake --install "$build_dir" --component $component --prefix "$work_dir/prefix"
done

# A copy, so that no include path leads back into the repository.
cp -r "$source_dir" "$work_dir/consumer"
cmake -S "$work_dir/consumer" -B "$work_dir/build" -G Ninja \
  -DCMAKE_PREFIX_PATH="$work_dir/prefix"
cmake --build "$work_dir/build"
"$work_dir/build/c_consumer"
"$work_dir/build/cpp_consumer"
echo "package: ok"
