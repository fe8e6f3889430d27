"""What one daemon costs as runs grow: processor time, memory, and delay from a frame's last report to its judgement.

    python3 tests/bench/scale.py [--json FILE] [--only ranks,runs,width,rate,full,history]

Each case starts a musterd with no configuration of its own, and `muster simulate` with eight ranks to a stream, each
stream a connection, as relays of nodes with eight ranks have them. FILE keeps the cases of earlier calls that this one
does not measure again. Exits 1 if a frame was not complete, a report refused, or an alert fired.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "e2e")]

from conftest import BUILD, wait_for  # noqa: E402
from relays import Node  # noqa: E402

# name → what is asked for; the rest is as in DEFAULTS.
DEFAULTS = {"runs": 1, "ranks": 64, "width": 1024, "rate": 1, "seconds": 30, "history": False}
GROUPS = {
    "ranks": [{"ranks": ranks} for ranks in (8, 64, 512, 4096, 8192)],
    "runs": [{"runs": 8}, {"runs": 64}],
    "width": [{"ranks": 4096, "width": width} for width in (64, 256, 4096)],
    "rate": [{"ranks": 8192, "rate": rate} for rate in (2, 3)],
    "full": [{"ranks": 10000, "seconds": 120}],
    "history": [{"ranks": 10000, "seconds": 60, "history": True}],
}
RANKS_OF_STREAM = 8


def cpu_seconds(pid):
    """Processor time that the process has used, to the nanosecond."""
    # The process's clock, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime((~pid << 3) | 2)


def resident_mib(pid, what):
    """VmRSS or VmHWM, its peak."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(what + ":"):
            return round(int(line.split()[1]) / 1024, 1)
    raise KeyError(what)


class Delays:
    """Of the frames of all runs, read off the histogram's sum: exact where no two frames of a run came between two looks."""

    def __init__(self):
        self.seconds, self._seen = [], {}

    def look(self, metrics):
        """Returns the number of frames so far."""
        for name, count in metrics.items():
            if not name.startswith("muster_frame_delay_seconds_count"):
                continue
            total = metrics[name.replace("_count", "_sum", 1)]
            before, before_total = self._seen.get(name, (0, 0.0))
            new = int(count - before)
            if new > 0:
                self.seconds += [(total - before_total) / new] * new
                self._seen[name] = (count, total)
        return len(self.seconds)


def quantile(values, share):
    """Nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def start_simulation(address, case, number):
    streams = -(-case["ranks"] // RANKS_OF_STREAM)
    command = [
        BUILD / "cli" / "muster",
        f"--address={address}",
        "--json",
        "simulate",
        f"run-{number}",
        f"--ranks={case['ranks']}",
        f"--streams={streams}",
        f"--steps={case['seconds'] * case['rate']}",
        f"--steps-per-second={case['rate']}",
        f"--sketch-width={case['width']}",
        f"--sketch-pool={max(case['ranks'], 1024)}",
        f"--seed={number}",
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def measure(case, folder):
    node = Node(folder, "--log-level=error", *([f"--data-dir={folder}"] if case["history"] else []))
    pid = node.daemon.process.pid
    owed = case["runs"] * case["seconds"] * case["rate"]
    simulations = [start_simulation(node.address, case, i + 1) for i in range(case["runs"])]
    delays = Delays()
    try:
        # From the second step on: greetings are not what a run costs.
        wait_for(lambda: delays.look(node.metrics()) >= case["runs"], "the first frames", 120)
        begun, cpu, before = time.monotonic(), cpu_seconds(pid), len(delays.seconds)
        # The last step of each run is left out: its goodbyes are not what it costs.
        while len(delays.seconds) < owed - case["runs"] and not any(each.poll() for each in simulations):
            time.sleep(0.5 / case["rate"])
            delays.look(node.metrics())
        judged = len(delays.seconds) - before
        cpu, seconds = cpu_seconds(pid) - cpu, time.monotonic() - begun
        summaries = [json.loads(each.communicate(timeout=120)[0] or "{}") for each in simulations]
        metrics = node.metrics()
        peak = resident_mib(pid, "VmHWM")
    finally:
        for each in simulations:
            each.kill()
        node.stop()
    return case | {
        "streams": case["runs"] * -(-case["ranks"] // RANKS_OF_STREAM),
        "reports_per_s": round(judged * case["ranks"] / seconds, 1),
        "cpu_share": round(cpu / seconds, 4),
        "cpu_us_per_report": round(1e6 * cpu / (judged * case["ranks"]), 1),
        "peak_rss_mib": peak,
        "frames_complete": total(metrics, "muster_frames_total", 'state="complete"'),
        "frames_partial": total(metrics, "muster_frames_total", 'state="partial"'),
        "delay_p50_s": round(quantile(delays.seconds, 50), 4),
        "delay_p99_s": round(quantile(delays.seconds, 99), 4),
        "delay_worst_s": round(max(delays.seconds), 4),
        "acknowledged_within_s": round(max(each["acknowledgedWithinSeconds"] for each in summaries), 3),
        "behind_s": round(max(each["behindSeconds"] for each in summaries), 3),
        "refused": sum(each["refused"] for each in summaries),
        "alerts": sum(each["alertsFired"] for each in summaries),
    }


def total(metrics, family, label):
    return int(sum(value for name, value in metrics.items() if name.startswith(family + "{") and label in name))


def wrong(result):
    """The first thing that is wrong, or None."""
    owed = result["seconds"] * result["rate"] * result["runs"]
    if result["frames_partial"] or result["frames_complete"] != owed:
        return f"{result['frames_complete']} frames complete and {result['frames_partial']} partial of {owed}"
    if result["refused"] or result["alerts"]:
        return f"{result['refused']} refused, {result['alerts']} alerts"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--only", default=",".join(GROUPS))
    options = parser.parse_args()
    groups = options.only.split(",")
    for group in groups:
        if group not in GROUPS:
            parser.error(f"--only: no group '{group}'; there are: {', '.join(GROUPS)}")
    kept = json.loads(options.json.read_text()) if options.json and options.json.exists() else []
    bad = False
    for case in (DEFAULTS | each for group in groups for each in GROUPS[group]):
        with tempfile.TemporaryDirectory() as folder:
            result = measure(case, pathlib.Path(folder))
        print(json.dumps(result), flush=True)
        if problem := wrong(result):
            print(f"scale: {problem}", file=sys.stderr)
            bad = True
        kept = [each for each in kept if any(each[key] != case[key] for key in DEFAULTS)] + [result]
        if options.json:
            lines = ",\n".join(json.dumps(each) for each in kept)
            options.json.write_text(f"[\n{lines}\n]\n")
    print(f"load average: {os.getloadavg()[0]}")
    sys.exit(bad)


if __name__ == "__main__":
    main()
