"""A real VictoriaMetrics server, for tests of what it is sent."""

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest
from conftest import wait_for
from prometheus_server import free_port

needs_victoria_metrics = pytest.mark.skipif(
    shutil.which("victoria-metrics") is None, reason="victoria-metrics is not installed"
)


class VictoriaMetrics:
    """A server with its data in `folder`, on `address` (HOST:PORT) over all its starts."""

    def __init__(self, folder, *flags):
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self._flags = flags
        self.process = None
        self.start()

    def start(self):
        """Again after stop() or kill(), with the data that it had."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "victoria-metrics.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    "victoria-metrics",
                    f"-storageDataPath={self.folder / 'data'}",
                    f"-httpListenAddr={self.address}",
                    "-memory.allowedBytes=256MB",
                    *self._flags,
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "GOMAXPROCS": "1"},
            )
        wait_for(self._is_ready, "victoria-metrics to be ready", timeout=60)

    def _is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"victoria-metrics exited:\n{(self.folder / 'victoria-metrics.log').read_text()}")
        try:
            with urllib.request.urlopen(f"http://{self.address}/health", timeout=1):
                return True
        except OSError:
            return False

    def export(self, selector):
        """What is stored of each matching series: {"metric", "values", "timestamps" in ms}; NaN is None."""
        urllib.request.urlopen(f"http://{self.address}/internal/force_flush", timeout=20).close()
        url = f"http://{self.address}/api/v1/export?{urllib.parse.urlencode({'match[]': selector})}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return [json.loads(line) for line in answer]

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)

    def kill(self):
        self.process.kill()
        return self.process.wait()
