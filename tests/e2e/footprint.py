"""What the client costs a process beside the work itself: threads, memory, libraries."""

import dataclasses
import json
import os
import subprocess
import sys

from conftest import ROOT

# Resident at most, after 10,000 steps.
MOST_MEGABYTES = 3.0
# Growth from there to 100,000 steps that is noise: 64 pages of 4 KiB.
MOST_GROWTH_MEGABYTES = 0.25

BESIDE = {
    "bare": "import array\ngradient = array.array('f', [1.0]) * 4096",
    "torch": "import torch\ngradient = torch.ones(4096)",
}
CORES = (2, 128)

# Reports to a real daemon, as fast as it can.
_SCRIPT = """
import json, sys, time
{imports}

def resident():
    for line in open("/proc/self/smaps_rollup"):
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1024

def threads():
    return int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[17])

def libraries():
    lines = (line.split() for line in open("/proc/self/maps"))
    return len({{line[5] for line in lines if len(line) > 5 and ".so" in line[5]}})

def counts():
    return [threads(), resident(), libraries()]

def run(first, last):
    for step in range(first, last):
        monitor.observe(0, gradient)
        monitor.end_step(step, loss=1.0)
    while monitor.stats().queued:
        time.sleep(0.01)
    return counts()

import ctypes, dataclasses, logging, os  # what the package needs of Python's own
cores = [os.cpu_count(), len(os.sched_getaffinity(0))]
import muster
counts()  # whatever this itself loads
before = counts()
monitor = muster.start(rank=0, world_size=1)
early = run(0, 10_000)
late = run(10_000, 100_000)
stats = monitor.stats()
monitor.close()
assert stats.acknowledged > 0, stats
json.dump([cores, before, early, late], sys.stdout)
"""


@dataclasses.dataclass(frozen=True)
class Footprint:
    """What was added to a process that has done all but start a monitor."""

    threads: int
    megabytes: float  # after 10,000 steps
    growth_megabytes: float  # from there to 100,000
    libraries: int  # files


def _pretend_cores(folder, cores):
    """A library to preload: it is small, and built where it is needed."""
    library = folder / f"{cores}_cores.so"
    source = ROOT / "tests" / "e2e" / "cores.c"
    subprocess.run(["cc", "-shared", "-fPIC", f"-DCORES={cores}", "-o", library, source], check=True)
    return library


def measure(address, beside, cores, folder):
    """The Footprint beside `beside` of BESIDE, in a process that sees `cores` cores.
    `folder` is for what it takes to pretend them."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "client" / "python"),
        "MUSTER_ADDRESS": address,
        "MUSTER_RUN_ID": f"footprint-{beside}-{cores}",
        "LD_PRELOAD": str(_pretend_cores(folder, cores)),
    }
    script = _SCRIPT.format(imports=BESIDE[beside])
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=240
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    seen, before, early, late = json.loads(done.stdout)
    if seen != [cores, cores]:
        raise RuntimeError(f"the process saw {seen} cores instead of {cores}")
    return Footprint(
        threads=max(early[0], late[0]) - before[0],
        megabytes=early[1] - before[1],
        growth_megabytes=late[1] - early[1],
        libraries=late[2] - before[2],
    )
