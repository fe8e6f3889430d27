"""A real VictoriaMetrics server, for tests of what it is sent."""

import json
import shutil
import urllib.parse
import urllib.request

import pytest
from real_server import RealServer

needs_victoria_metrics = pytest.mark.skipif(
    shutil.which("victoria-metrics") is None, reason="victoria-metrics is not installed"
)


class VictoriaMetrics(RealServer):
    """`flags` go to the program."""

    program = "victoria-metrics"
    ready = "/health"

    def __init__(self, folder, *flags):
        super().__init__(folder)
        self._flags = flags
        self.start()

    def arguments(self):
        return [
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr={self.address}",
            "-memory.allowedBytes=256MB",
            *self._flags,
        ]

    def export(self, selector):
        """What is stored of each matching series: {"metric", "values", "timestamps" in ms}; NaN is None."""
        urllib.request.urlopen(f"http://{self.address}/internal/force_flush", timeout=20).close()
        url = f"http://{self.address}/api/v1/export?{urllib.parse.urlencode({'match[]': selector})}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return [json.loads(line) for line in answer]
