"""Ranks that report from this process, and a look into a history's file."""

import array
import json
import math
import random
import sqlite3
import subprocess
import threading
import time

import muster
from conftest import BUILD

RANKS = 8


class Load:
    """One client for each rank, which report step after step.

    Rank 3 trains on rank 2's data in steps `twins`; rank 1's loss is NaN in
    steps `broken`.
    """

    def __init__(self, address, run="run", ranks=RANKS, twins=range(0), broken=range(0), seed=1):
        self.step = 0
        self._twins, self._broken = twins, broken
        self._random = random.Random(seed)
        self.monitors = [
            muster.start(address, run, rank, ranks, sketch_width=64, ring_capacity=1 << 16, facts={"seed": 7})
            for rank in range(ranks)
        ]

    def run(self, steps, frames_per_second=None):
        begin = time.monotonic()
        for i in range(steps):
            self._report()
            if frames_per_second:
                time.sleep(max(0.0, begin + (i + 1) / frames_per_second - time.monotonic()))

    def _report(self):
        common = self._random.gauss(3, 0.1)
        for rank, monitor in enumerate(self.monitors):
            gradient = array.array("f", [1 + self._random.gauss(0, 0.5) for _ in range(64)])
            loss = common + self._random.gauss(0, 0.1)
            if rank == 3 and self.step in self._twins:
                gradient, loss = kept
            kept = gradient, loss
            if rank == 1 and self.step in self._broken:
                loss = math.nan
            monitor.observe(0, gradient)
            monitor.end_step(self.step, loss=loss)
        self.step += 1

    def stats(self):
        return [monitor.stats() for monitor in self.monitors]

    def close(self):
        for monitor in self.monitors:
            monitor.close()


class Background:
    """`load` at a rate, until stopped."""

    def __init__(self, load, frames_per_second):
        self._stop = threading.Event()
        self._load, self._rate = load, frames_per_second
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        begin, done = time.monotonic(), 0
        while not self._stop.is_set():
            self._load.run(1)
            done += 1
            self._stop.wait(max(0.0, begin + done / self._rate - time.monotonic()))

    def stop(self):
        self._stop.set()
        self._thread.join()


def ask(file, sql, *parameters):
    """The rows that `sql` gives, read as any other program would."""
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(sql, parameters).fetchall()
    finally:
        connection.close()


def replay(file, *flags, preset=None):
    """What `muster replay` says and how it ends."""
    build = BUILD.parent / preset if preset else BUILD
    return subprocess.run(
        [build / "cli" / "muster", "replay", "--history", file, *flags], capture_output=True, text=True, timeout=120
    )


def stored_alerts(file, run="run"):
    """The changes of alerts as they were logged, oldest first."""
    rows = ask(
        file,
        "SELECT line FROM alert JOIN run USING (run) WHERE name=? ORDER BY run, position, ordinal",
        run,
    )
    return [line for (line,) in rows]


def replayed_alerts(result):
    assert result.returncode == 0, result.stderr
    return [json.dumps(json.loads(line)["alert"]) for line in result.stdout.splitlines()]


def normal(lines):
    return [json.dumps(json.loads(line)) for line in lines]
