"""A real Prometheus server, for tests of what it scrapes, evaluates and is sent."""

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request

import pytest
from real_server import RealServer

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed"
)


class Prometheus(RealServer):
    """Scrapes `targets` (HOST:PORT) as job "muster" and evaluates rules every `interval`. `rule_files` are paths;
    `alertmanagers` HOST:PORT. `settings` adds to the configuration or replaces parts of it, e.g.
    {"storage": {"tsdb": {"out_of_order_time_window": "10m"}}}; `flags` go to the program, e.g.
    "--web.enable-remote-write-receiver".
    """

    program = "prometheus"
    ready = "/-/ready"

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
        super().__init__(folder)
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
        self.start()

    def arguments(self):
        configuration = self.folder / "prometheus.yml"
        configuration.write_text(json.dumps(self.configuration))  # JSON is YAML
        return [
            f"--config.file={configuration}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}",
            *self._flags,
        ]

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
