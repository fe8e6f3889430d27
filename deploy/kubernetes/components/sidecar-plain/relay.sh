#!/bin/sh
# Runs musterd as a relay in an ordinary container, ends it when the training beside it has ended, and exits with 0, so that
# the pod completes as the training did. A relay that dies is started again: a pod with restartPolicy Never starts nothing again.
# Usage: relay.sh ARGUMENT…     arguments of musterd
# The training runs under beside.sh, which holds the pipe MUSTER_ALIVE (/run/muster/alive) open.
set -u
alive=${MUSTER_ALIVE:-/run/muster/alive}
daemon=

finish() {
  trap '' TERM INT USR1
  kill "$watcher" 2>/dev/null
  if [ -n "$daemon" ]; then
    # Again and again: one that comes while musterd is being started is lost. musterd does not mind further ones.
    { while kill -TERM "$daemon"; do sleep 1; done; } 2>/dev/null &
    wait "$daemon"
  fi
  exit 0
}

# Ends when no process holds the pipe for writing any more.
watch() {
  until [ -p "$alive" ]; do sleep 1; done
  # Opened for reading alone it would wait for a writer, who may have come and gone.
  exec 8<>"$alive"
  exec 7<"$alive"
  exec 8>&-
  while read -r _ <&7; do :; done
  kill -USR1 $$
}

trap finish TERM INT USR1
watch &
watcher=$!
while :; do
  musterd "$@" &
  daemon=$!
  wait "$daemon"
  echo "relay.sh: musterd ended with $?; starting it again" >&2
  daemon=
  sleep 1
done
