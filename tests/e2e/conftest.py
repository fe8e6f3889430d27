"""What the end-to-end tests share: the real daemon on free ports."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / os.environ.get("MUSTER_PRESET", "release")

sys.path.insert(0, str(ROOT / "client" / "python"))
os.environ.setdefault("MUSTER_LIBRARY", str(BUILD / "client" / "libmuster.so"))
for _variable in ("MUSTER_ADDRESS", "MUSTER_RUN_ID", "RANK", "WORLD_SIZE"):
    os.environ.pop(_variable, None)


class Musterd:
    """A running daemon: `grpc` and `http` are its HOST:PORT addresses."""

    def __init__(self, folder, *flags, grpc="127.0.0.1:0", http="127.0.0.1:0"):
        ports = folder / "ports.json"
        self.log = folder / "musterd.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [
                    BUILD / "daemon" / "musterd",
                    f"--grpc-address={grpc}",
                    f"--http-address={http}",
                    f"--ports-file={ports}",
                    *flags,
                ],
                stdout=log,
                stderr=log,
            )
        addresses = wait_for(lambda: self._read_ports(ports), "musterd to write its ports")
        self.grpc, self.http = addresses["grpc"], addresses["http"]

    def _read_ports(self, ports):
        if self.process.poll() is not None:
            raise RuntimeError(f"musterd exited: {self.log.read_text()}")
        try:
            return json.loads(ports.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def get(self, path, **query):
        """The JSON that GET `path` answers."""
        url = f"http://{self.http}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()


def wait_for(condition, what, timeout=20.0):
    """The first true value of `condition()`, asked every 20 ms."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:.0f} s for {what}")
        time.sleep(0.02)


@pytest.fixture
def musterd(tmp_path):
    """A daemon of this test's own."""
    daemon = Musterd(tmp_path)
    yield daemon
    daemon.stop()


# Imported late: processes.py is built on this file.


@pytest.fixture
def relay(musterd):
    """A Relay before the daemon."""
    from processes import Relay

    with Relay(musterd.grpc) as relay:
        yield relay
        relay.shutdown()


@pytest.fixture
def script(tmp_path):
    """Starts a Script; whatever is left of it is killed."""
    from processes import Script

    started = []

    def start(text, *arguments, **named):
        folder = tmp_path / f"script{len(started)}"
        folder.mkdir()
        started.append(Script(folder, text, *arguments, **named))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def start_prometheus(tmp_path):
    """Starts a Prometheus (prometheus_server.py has its arguments) in a folder of its own."""
    from prometheus_server import Prometheus

    started = []

    def start(*targets, **named):
        folder = tmp_path / f"prometheus{len(started)}"
        started.append(Prometheus(folder, *targets, **named))
        return started[-1]

    yield start
    for server in started:
        server.kill()
