"""How fast a relay sends on what an outage has left in its spool, and what that costs those who are live.

    python3 tests/bench/relay_drain.py [--minutes 10] [--ranks 8] [--rate 20]

Fills the spool of a relay with `minutes` of one run while the central daemon is away, starts the daemon, and meanwhile
reports a second run through the same relay at the same rate. Prints JSON: seconds until the spool was empty, reports a
second, and quantiles of the time from a live report of the second run to its acknowledgement, while the spool drains
and before.
"""

import argparse
import array
import json
import os
import pathlib
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "e2e")]

import conftest  # noqa: E402,F401: finds the library
import muster  # noqa: E402
from conftest import wait_for  # noqa: E402
from relays import start_central, start_relay  # noqa: E402

GRADIENT = array.array("f", [1.0 + i % 7 for i in range(4096)])


def start_ranks(address, run, ranks):
    return [muster.start(address, run, rank, ranks, ring_capacity=1 << 13) for rank in range(ranks)]


def report(monitors, step):
    for monitor in monitors:
        monitor.observe(0, GRADIENT)
        monitor.end_step(step, loss=1.0)


class Live:
    """A run at `rate` steps/s; `delays`: seconds from a step's end to its acknowledgement by the slowest rank."""

    def __init__(self, address, run, ranks, rate):
        self._monitors, self._rate = start_ranks(address, run, ranks), rate
        self.delays, self._stop, self._since = [], threading.Event(), 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        begin, step, waiting = time.monotonic(), 0, []
        while not self._stop.is_set():
            now = time.monotonic()
            if now >= begin + step / self._rate:
                report(self._monitors, step)
                step += 1
                waiting.append((step, time.monotonic()))
            settled = min(m.stats().acknowledged for m in self._monitors)
            while waiting and waiting[0][0] <= settled:
                reported = waiting.pop(0)[1]
                if reported >= self._since:
                    self.delays.append(time.monotonic() - reported)
            time.sleep(0.002)

    def take(self):
        """Quantiles of the steps since the last call that ended since then, too."""
        self._since = time.monotonic()
        delays, self.delays = sorted(self.delays), []
        if not delays:
            return None
        return {
            "steps": len(delays),
            "p50_s": round(delays[len(delays) // 2], 4),
            "p99_s": round(delays[len(delays) * 99 // 100], 4),
            "max_s": round(delays[-1], 4),
        }

    def stop(self):
        self._stop.set()
        self._thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--ranks", type=int, default=8)
    parser.add_argument("--rate", type=float, default=20, help="steps/s")
    parser.add_argument("--history", action="store_true", help="the central daemon keeps history")
    options = parser.parse_args()
    steps = int(options.minutes * 60 * options.rate)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        central = start_central(folder / "central", history=options.history)
        relay = start_relay(folder / "relay", central.address, spool=True)
        try:
            result = measure(options, steps, central, relay)
        finally:
            relay.stop()
            central.stop()
    print(json.dumps(result, indent=2))


def cpu_seconds(node):
    return node.metric("process_cpu_seconds_total")


def measure(options, steps, central, relay):
    live = Live(relay.address, "before", options.ranks, options.rate)
    try:
        time.sleep(10)
        before = live.take()
        # The outage, for one run; the other is quiet meanwhile.
        live.stop()
        central.kill()
        spooled = start_ranks(relay.address, "spooled", options.ranks)
        for step in range(steps):
            report(spooled, step)
            while spooled[0].stats().queued > 4096:
                time.sleep(0.01)
        expected = steps * options.ranks
        wait_for(lambda: relay.metric("muster_relay_spool_reports") >= expected, "the spool to fill", 300)
        megabytes = relay.metric("muster_relay_spool_bytes") / 1e6
        live = Live(relay.address, "live", options.ranks, options.rate)
        central.start()
        wait_for(lambda: relay.state() == "up", "the relay to be back")
        begin = time.monotonic()
        live.take()
        cpu = {"relay": -cpu_seconds(relay), "central": -cpu_seconds(central)}
        drained = 'muster_reports_received_total{run="spooled"}'
        wait_for(lambda: central.metrics().get(drained, 0) >= expected, "the spool to drain", 300)
        seconds = time.monotonic() - begin
        during = live.take()
        cpu = {"relay": round(cpu["relay"] + cpu_seconds(relay), 2), "central": round(cpu["central"] + cpu_seconds(central), 2)}
        missing = steps - central.metrics()['muster_frames_total{run="spooled",state="complete"}']
    finally:
        live.stop()
    return {
        "reports": expected,
        "spool_mb": round(megabytes, 1),
        "drain_s": round(seconds, 2),
        "cpu_s": cpu,
        "load_average": os.getloadavg()[0],
        "reports_per_s": round(expected / seconds),
        "frames_not_complete": missing,
        "dropped": relay.dropped(),
        "live_before": before,
        "live_while_draining": during,
    }


if __name__ == "__main__":
    main()
