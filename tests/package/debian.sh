#!/bin/bash
# Makes the Debian packages of BUILD_DIR, checks them, installs them into a fresh
# Debian 12 folder, and runs them there: as another user than root, on a file
# system that is read-only but for the folder of the history. Needs root.
#   tests/package/debian.sh BUILD_DIR
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 BUILD_DIR" >&2; exit 2; }
build_dir=$(cd "$1" && pwd)
source_dir=$(cd "$(dirname "$0")/../.." && pwd)
work_dir=$(mktemp -d)
packages=$work_dir/packages
root=$work_dir/root
declare -i server=0

leave() {
  status=$?
  if [ $server -ne 0 ]; then
    kill -KILL $server || true
    wait $server || true
  fi
  mountpoint -q "$root" && umount -R "$root"
  rm -rf --one-file-system "$work_dir"
  exit $status
}
trap leave EXIT
say() { echo "debian packages: $*"; }
fail() { say "$*" >&2; exit 1; }

say "made, and checked by lintian"
cmake --build "$build_dir"
cpack --config "$build_dir/CPackConfig.cmake" -B "$packages" >"$work_dir/cpack.log" 2>&1 ||
  { cat "$work_dir/cpack.log"; exit 1; }
rm -rf "$packages/_CPack_Packages"
for name in musterd muster-cli libmuster1 libmuster-dev python3-muster; do
  compgen -G "$packages/${name}_*.deb" >/dev/null || fail "there is no $name"
done
lintian --allow-root --fail-on error "$packages"/*.deb

say "the unit is accepted by systemd, and little is exposed"
mkdir -p "$work_dir/unit"
sed "s,/usr/bin/musterd,$build_dir/daemon/musterd,; /^Documentation=/d" \
  "$source_dir/deploy/systemd/musterd.service" >"$work_dir/unit/musterd.service"
systemd-analyze verify "$work_dir/unit/musterd.service"
systemd-analyze security --offline=true --threshold=20 "$work_dir/unit/musterd.service" | tail -1

say "installed into a fresh Debian 12"
# The lists stay: installing needs them.
mmdebstrap --quiet --skip=cleanup/apt/lists --variant=apt --mode=root bookworm "$root" /etc/apt/sources.list.d/debian.sources
mkdir "$root/packages"
cp "$packages"/*.deb "$root/packages"
in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }
cp /etc/resolv.conf "$root/etc/resolv.conf"
# Without what is only recommended or happens to be here: the dependencies that are stated must do.
in_root sh -c 'apt-get install -q -y --no-install-recommends /packages/*.deb' >"$work_dir/install.log" 2>&1 ||
  { cat "$work_dir/install.log"; exit 1; }
in_root musterd --check-config --config /etc/muster/musterd.yaml

say "run as another user, read-only"
mkdir -p "$root/var/lib/muster"
chown 7600:7600 "$root/var/lib/muster"
mount --bind "$root" "$root"
mount --bind "$root/var/lib/muster" "$root/var/lib/muster"
mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc"
as_user=(chroot --userspec=7600:7600 "$root" /usr/bin/env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8)
! "${as_user[@]}" touch /tmp/x 2>/dev/null || fail "the root is not read-only"
# It serves nobody but this script: no port is fixed.
"${as_user[@]}" musterd --config /etc/muster/musterd.yaml --grpc-address 127.0.0.1:0 --http-address 127.0.0.1:0 \
  --ports-file /var/lib/muster/ports >"$work_dir/musterd.log" 2>&1 &
server=$!
for _ in $(seq 100); do
  [ ! -e "$root/var/lib/muster/ports" ] || break
  sleep 0.1
done
address=$(sed -E 's/.*"grpc":"([^"]*)".*/\1/' "$root/var/lib/muster/ports") ||
  { cat "$work_dir/musterd.log"; exit 1; }
"${as_user[@]}" python3 - "$address" <<'PYTHON'
import sys
import time

import muster

monitor = muster.start(sys.argv[1], "packaged", 0, 1)
gradient = memoryview(bytes(4096)).cast("f")
for step in range(20):
    monitor.observe(0, gradient)
    monitor.end_step(step, loss=1.0 / (step + 1))
deadline = time.monotonic() + 20
while monitor.stats().acknowledged < 20:
    assert time.monotonic() < deadline, monitor.stats()
    time.sleep(0.02)
monitor.close()
PYTHON
"${as_user[@]}" muster --address "$address" status
"${as_user[@]}" muster --address "$address" steps packaged --limit 1 | grep -qw 19 || fail "step 19 is not there"
kill -TERM $server
wait $server || fail "musterd ended with $?"
server=0
grep -q stopped "$work_dir/musterd.log" || { cat "$work_dir/musterd.log"; exit 1; }

say "removed, and purged"
umount -R "$root"
in_root sh -c 'apt-get purge -q -y musterd muster-cli libmuster1 libmuster-dev python3-muster' >"$work_dir/purge.log" 2>&1 ||
  { cat "$work_dir/purge.log"; exit 1; }
left=$(find "$root/usr" "$root/etc" "$root/lib/" -path '*muster*' ! -path '*/dpkg/*')
[ -z "$left" ] || fail "left behind: $left"
[ -e "$root/var/lib/muster/history.db" ] || fail "the history is gone"
say ok
