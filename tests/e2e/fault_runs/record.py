#!/usr/bin/python3
"""Trains the runs of faults.py under a real musterd, and keeps their histories.

    record.py [--preset release] [NAME…]     default: all

For each fault it writes histories/NAME.db.xz, a history of all its runs. One
process group trains one run after the other; a run whose rank dies has a group
of its own. Takes about half an hour on two cores, and needs the built daemon.
"""

import argparse
import json
import lzma
import multiprocessing
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
HISTORIES = HERE / "histories"
sys.path.insert(0, str(HERE))

import faults  # noqa: E402


def train_rank(rank: int, meeting: str, address: str, runs: list) -> None:
    """Joins the process group at `meeting` and trains the runs in turn."""
    import torch
    import torch.distributed as dist
    import training

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=faults.RANKS)
    common = training.Rank(rank, address)
    for run in runs:
        began = time.monotonic()
        common.train(run)
        if rank == 0:
            seconds = time.monotonic() - began
            print(f"{run.id}: {run.fault.steps} steps in {seconds:.0f} s", flush=True)
    sys.stdout.flush()
    # A group that has lost a rank cannot be left in order.
    os._exit(0)


def train(address: str, runs: list) -> None:
    """Forks the ranks, so that torch is imported once, and waits for them."""
    import training  # noqa: F401

    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/meeting"
        ranks = [
            context.Process(target=train_rank, args=(rank, meeting, address, runs))
            for rank in range(faults.RANKS)
        ]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
    dead = {run.rank for run in runs if run.fault.dies}
    failed = [rank for rank, process in enumerate(ranks) if process.exitcode and rank not in dead]
    if failed:
        raise RuntimeError(f"ranks {failed} failed")


class Daemon:
    """A musterd with a history in `folder`."""

    def __init__(self, build: pathlib.Path, folder: pathlib.Path) -> None:
        ports = folder / "ports.json"
        self.history = folder / "history.db"
        self._process = subprocess.Popen(
            [
                build / "daemon" / "musterd",
                f"--data-dir={folder}",
                f"--ports-file={ports}",
                "--grpc-address=127.0.0.1:0",
                "--http-address=127.0.0.1:0",
            ],
            stderr=open(folder / "musterd.log", "wb"),
        )
        while not ports.exists() or not ports.read_text().strip():
            if self._process.poll() is not None:
                raise RuntimeError((folder / "musterd.log").read_text())
            time.sleep(0.05)
        self.grpc = json.loads(ports.read_text())["grpc"]

    def stop(self) -> None:
        self._process.terminate()
        if self._process.wait(timeout=60):
            raise RuntimeError("musterd did not end well")


def keep(history: pathlib.Path, name: str) -> None:
    """Writes the fault's runs as a history of their own, without sketches, which
    replay does not need."""
    with tempfile.TemporaryDirectory() as folder:
        small = pathlib.Path(folder, "small.db")
        with sqlite3.connect(history) as connection:
            connection.execute("VACUUM INTO ?", (str(small),))
        connection.close()
        connection = sqlite3.connect(small, isolation_level=None)
        ids = [run.id for run in faults.runs_of(name)]
        others = f"SELECT run FROM run WHERE name NOT IN ({','.join('?' * len(ids))})"
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        for (table,) in sorted(tables, reverse=True):
            columns = [column[1] for column in connection.execute(f"PRAGMA table_info({table})")]
            if "run" in columns and table != "run":
                connection.execute(f"DELETE FROM {table} WHERE run IN ({others})", ids)
        connection.execute(f"DELETE FROM run WHERE run IN ({others})", ids)
        for table in ("sketch", "checkpoint", "open_report"):
            connection.execute(f"DELETE FROM {table}")
        connection.execute("VACUUM")
        connection.close()
        target = HISTORIES / f"{name}.db.xz"
        target.write_bytes(lzma.compress(small.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
        print(f"{target.name}: {target.stat().st_size / 1024:.0f} KiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="release", help="build folder of the daemon")
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(faults.FAULTS))
    options = parser.parse_args()
    unknown = set(options.names) - set(faults.FAULTS)
    if unknown:
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    build = HERE.parents[2] / "build" / options.preset
    os.environ["MUSTER_LIBRARY"] = str(build / "client" / "libmuster.so")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    HISTORIES.mkdir(exist_ok=True)
    runs = [run for name in options.names for run in faults.runs_of(name)]
    together = [run for run in runs if not run.fault.dies]
    groups = [together] * bool(together) + [[run] for run in runs if run.fault.dies]
    for group in groups:
        with tempfile.TemporaryDirectory() as folder:
            daemon = Daemon(build, pathlib.Path(folder))
            try:
                train(daemon.grpc, group)
            finally:
                daemon.stop()
            for name in dict.fromkeys(run.name for run in group):
                keep(daemon.history, name)


if __name__ == "__main__":
    main()
