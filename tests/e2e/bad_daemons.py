"""Daemons that are not what a client hopes for: absent, deaf, slow, stopped, killed, refusing."""

import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Callable

from conftest import ROOT, Musterd, wait_for

SETTINGS = bytes(9).replace(b"\0\0\0\0", b"\0\0\0\4", 1)  # an empty frame of type 4
RESTART_AFTER = 1.0  # seconds


def _nothing():
    pass


@dataclasses.dataclass
class BadDaemon:
    """A daemon that answers is a good one until spoil(), and again after mend(): any
    process that was forked meanwhile may call them."""

    address: str
    answers: bool = False
    recovers: bool = False  # without mend()
    spoil: Callable[[], None] = _nothing
    mend: Callable[[], None] = _nothing


@contextlib.contextmanager
def absent(_):
    yield BadDaemon("127.0.0.1:1")


@contextlib.contextmanager
def black_hole(_):
    """Accepts, never reads."""
    with _listener(_keep) as address:
        yield BadDaemon(address)


@contextlib.contextmanager
def one_byte_a_second(_):
    with _listener(_drip) as address:
        yield BadDaemon(address)


@contextlib.contextmanager
def hanging_up(_):
    with _listener(socket.socket.close) as address:
        yield BadDaemon(address)


def _thread_states(process):
    """The state letters of a process's threads: {"T"} once all are stopped."""
    stats = pathlib.Path(f"/proc/{process}/task").glob("*/stat")
    return {stat.read_text().rpartition(")")[2].split()[0] for stat in stats}


@contextlib.contextmanager
def stopped(folder):
    daemon = Musterd(folder)

    # Popen.send_signal() does nothing in a fork, where it is not the parent.
    def stop():
        os.kill(daemon.process.pid, signal.SIGSTOP)
        # Its threads go on until each has seen the signal.
        wait_for(lambda: _thread_states(daemon.process.pid) == {"T"}, "it to stop")

    try:
        yield BadDaemon(
            daemon.grpc,
            answers=True,
            spoil=stop,
            mend=lambda: os.kill(daemon.process.pid, signal.SIGCONT),
        )
    finally:
        daemon.process.send_signal(signal.SIGCONT)
        daemon.stop()


@contextlib.contextmanager
def killed_and_restarted(folder):
    """Each time that it is killed, a new one takes its address a second later."""
    daemon = Musterd(folder)
    address = daemon.grpc
    process = multiprocessing.Value("i", daemon.process.pid)
    ending = threading.Event()

    def restart():
        nonlocal daemon
        while True:
            daemon.process.wait()
            if ending.wait(RESTART_AFTER):
                return
            daemon = Musterd(folder, grpc=address)
            process.value = daemon.process.pid

    thread = threading.Thread(target=restart, daemon=True)
    thread.start()
    try:
        yield BadDaemon(
            address,
            answers=True,
            recovers=True,
            spoil=lambda: os.kill(process.value, signal.SIGKILL),
        )
    finally:
        ending.set()
        while thread.is_alive():
            daemon.stop()
            thread.join(0.1)


@contextlib.contextmanager
def refusing(folder):
    """Follows another run, and has room for no more."""
    config = folder / "refusing.yaml"
    config.write_text("limits:\n  max_runs: 1\n")
    daemon = Musterd(folder, f"--config={config}")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "client" / "python"),
        "MUSTER_ADDRESS": daemon.grpc,
        "MUSTER_RUN_ID": "the-other-run",
    }
    other = subprocess.Popen(
        [sys.executable, "-c", _OTHER_RUN],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        if other.stdout.readline() != b"followed\n":
            raise RuntimeError("the other run is not followed")
        yield BadDaemon(daemon.grpc)
    finally:
        other.communicate()
        daemon.stop()


# Stays until its input ends: an ended run would leave its place to the next.
_OTHER_RUN = """
import muster, sys, time
monitor = muster.start(rank=0, world_size=1)
monitor.end_step(0, loss=1.0)
while monitor.stats().acknowledged == 0:
    time.sleep(0.01)
print("followed", flush=True)
sys.stdin.read()
monitor.close()
"""


KINDS = {
    kind.__name__: kind
    for kind in (absent, black_hole, one_byte_a_second, stopped, killed_and_restarted, refusing)
}


@contextlib.contextmanager
def _listener(serve):
    """The address of a socket; serve(connection) runs on a thread for each."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ending = threading.Event()
        held = []

        def accept():
            while not ending.is_set():
                with contextlib.suppress(OSError):
                    held.append(server.accept()[0])
                    threading.Thread(target=serve, args=held[-1:], daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield "127.0.0.1:%d" % server.getsockname()[1]
        ending.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for connection in held:
            connection.close()


def _keep(_):
    pass


def _drip(connection):
    with contextlib.suppress(OSError):
        for byte in itertools.cycle(SETTINGS):
            connection.send(bytes([byte]))
            time.sleep(1)
