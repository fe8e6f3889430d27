"""A real Prometheus server, for tests of what it scrapes, evaluates and is sent."""

import json
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest
from conftest import wait_for

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed"
)


def free_port():
    """For servers that cannot tell which port 0 became."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    """A server with its data in `folder`, on `address` (HOST:PORT) over all its starts.

    Scrapes `targets` (HOST:PORT) as job "muster" and evaluates rules every `interval`. `rule_files` are paths;
    `alertmanagers` HOST:PORT. `settings` adds to the configuration or replaces parts of it, e.g.
    {"storage": {"tsdb": {"out_of_order_time_window": "10m"}}}; `flags` go to the program, e.g.
    "--web.enable-remote-write-receiver".
    """

    def __init__(
        self,
        folder,
        *targets,
        interval="200ms",
        rule_files=(),
        alertmanagers=(),
        settings=None,
        flags=(),
    ):
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self._flags = list(flags)
        self.configuration = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": [str(path) for path in rule_files],
            "scrape_configs": [
                {"job_name": "muster", "static_configs": [{"targets": list(targets)}]}
            ],
        }
        if alertmanagers:
            self.configuration["alerting"] = {
                "alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]
            }
        self.configuration.update(settings or {})
        self.process = None
        self.start()

    def start(self):
        """Again after stop() or kill(), with the data that it had."""
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "prometheus.yml"
        configuration.write_text(json.dumps(self.configuration))  # JSON is YAML
        with open(self.folder / "prometheus.log", "ab") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={configuration}",
                    f"--storage.tsdb.path={self.folder / 'data'}",
                    f"--web.listen-address={self.address}",
                    *self._flags,
                ],
                stdout=log,
                stderr=log,
                env={**os.environ, "GOMAXPROCS": "1"},
            )
        wait_for(self._is_ready, "prometheus to be ready", timeout=60)

    def _is_ready(self):
        if self.process.poll() is not None:
            log = (self.folder / "prometheus.log").read_text()
            raise RuntimeError(f"prometheus exited:\n{log}")
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=1):
                return True
        except OSError:
            return False

    def get(self, endpoint, **parameters):
        """What GET /api/v1/`endpoint` has as `data`; a refusal is a ValueError that says why."""
        url = f"http://{self.address}/api/v1/{endpoint}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{endpoint} {parameters}: {error.read().decode()}") from None

    def query(self, expression, **parameters):
        """Result of an instant query: a list of {"metric": …, "value" or "values": …}."""
        return self.get("query", query=expression, **parameters)["result"]

    def query_range(self, expression, start, end, step):
        """Result of a range query; times in seconds since 1970."""
        return self.get("query_range", query=expression, start=start, end=end, step=step)["result"]

    def samples(self, selector, window="10m"):
        """{timestamp: value} of all stored samples of the one matching series."""
        result = self.query(f"{selector}[{window}]")
        assert len(result) <= 1, f"{selector} matches {len(result)} series"
        return dict(result[0]["values"]) if result else {}

    def alerts(self, name=None, state="firing"):
        """The rules' alerts in `state`, of one rule if `name` is given: {"labels": …, "annotations": …}."""
        return [
            alert
            for alert in self.get("alerts")["alerts"]
            if alert["state"] == state and name in (None, alert["labels"]["alertname"])
        ]

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)

    def kill(self):
        self.process.kill()
        return self.process.wait()
