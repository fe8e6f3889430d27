"""What the client costs a process beside the work itself: threads, memory, libraries."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
from conftest import ROOT

# Reports to a real daemon, as fast as it can.
SCRIPT = """
import json, os, sys, time
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

def run(first, last):
    for step in range(first, last):
        monitor.observe(0, gradient)
        monitor.end_step(step, loss=1.0)
    while monitor.stats().queued:
        time.sleep(0.01)
    return [threads(), resident(), libraries()]

import ctypes, dataclasses, logging  # what the package needs of Python's own
import muster
before = [threads(), resident(), libraries()]
monitor = muster.start(rank=0, world_size=1)
early = run(0, 10_000)
late = run(10_000, 100_000)
stats = monitor.stats()
monitor.close()
assert stats.acknowledged > 0, stats
assert (os.cpu_count(), len(os.sched_getaffinity(0))) == ({cores}, {cores})
json.dump([before, early, late], sys.stdout)
"""


def measure(address, imports, cores, library):
    """[threads, MB, libraries] at the start, after 10,000 and after 100,000 steps."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "client" / "python"),
        "MUSTER_ADDRESS": address,
        "MUSTER_RUN_ID": "footprint",
        "LD_PRELOAD": str(library),
    }
    script = SCRIPT.format(imports=imports, cores=cores)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


MEGABYTES = 3


@pytest.mark.parametrize(
    "beside, imports",
    [
        ("a bare interpreter", "import array\ngradient = array.array('f', [1.0]) * 4096"),
        ("torch", "import torch\ngradient = torch.ones(4096)"),
    ],
)
@pytest.mark.parametrize("cores", [2, 128])
def test_one_thread_and_little_memory(musterd, tmp_path, beside, imports, cores):
    library = tmp_path / "libcores.so"
    source = pathlib.Path(__file__).with_name("cores.c")
    command = ["cc", "-shared", "-fPIC", f"-DCORES={cores}", "-o", library, source]
    subprocess.run(command, check=True)
    before, early, late = measure(musterd.grpc, imports, cores, library)
    for name, counts in [("before", before), ("10,000 steps", early), ("100,000 steps", late)]:
        print(f"{beside}, {cores} cores, {name}: {counts[0]} threads, {counts[1]:.1f} MB, {counts[2]} libraries")
    assert early[0] - before[0] <= 1
    assert early[1] - before[1] <= MEGABYTES
    assert late[0] == early[0]
    assert late[1] - early[1] <= 0.25
