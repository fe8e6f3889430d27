"""Every query of the dashboards, asked of a real Prometheus that scrapes a real musterd."""

import json
import multiprocessing
import re
import subprocess
import time

import dashboards
import numpy
import pytest
from conftest import BUILD, Musterd, wait_for
from processes import free_address
from prometheus_server import Prometheus, needs_prometheus
from receivers import Receiver

import muster

RANKS = 4
SAMPLES = 100_000
LOADED = {name: dashboards.load(name) for name in dashboards.NAMES}
pytestmark = needs_prometheus


def _report_all(address, stop):
    """A run with all that a panel shows, and a fault: rank 3 has another configuration."""
    monitors = [
        muster.start(
            address,
            "full",
            rank,
            RANKS,
            parameter_count=4096,
            facts={"dataset_length": SAMPLES, "dropout": "0.1" if rank == 3 else "0"},
        )
        for rank in range(RANKS)
    ]
    step = 0
    while not stop.wait(0.05):
        shared = numpy.random.default_rng(step).normal(size=4096)
        for rank, monitor in enumerate(monitors):
            random = numpy.random.default_rng([step, rank])
            noise = random.normal(size=4096)
            monitor.observe(0, (shared + noise).astype(numpy.float32))
            monitor.observe_parameters(0, 0, (1 + 1e-3 * noise).astype(numpy.float32))
            monitor.observe_change(0, (1e-2 * noise).astype(numpy.float32))
            monitor.end_step(
                step,
                loss=3 + 0.1 * random.normal(),
                weight=16,
                sample_ids=random.integers(0, SAMPLES, 16),
                epoch=0,
            )
        step += 1
    for monitor in monitors:
        monitor.close()


class Site:
    """musterd with a history, four runs, and a Prometheus that scrapes it.

    It also tells a receiver that takes what it is sent and one that is dead, and writes into a second Prometheus.
    `full` reports everything, `faulty` has a rank whose loss and norm are too high, `stalled` has fallen silent,
    nothing is wrong with `healthy`.
    """

    def __init__(self, folder):
        self._running = []
        try:
            self._start(folder)
        except BaseException:
            self.stop()
            raise

    def _start(self, folder):
        written = Prometheus(folder / "written", flags=["--web.enable-remote-write-receiver"])
        self._running.append(written.stop)
        people = Receiver()
        self._running.append(people.close)
        config = folder / "musterd.yaml"
        config.write_text(
            json.dumps(
                {
                    "sinks": {
                        "alertmanagers": [{"url": people.url, "name": "people"}],
                        "webhooks": [{"url": f"http://{free_address()}", "name": "nobody"}],
                    },
                    "remote_write": {"url": f"http://{written.address}/api/v1/write"},
                }
            )
        )
        self.musterd = Musterd(folder, f"--config={config}", f"--data-dir={folder / 'data'}")
        self._running.append(self.musterd.stop)
        fork = multiprocessing.get_context("fork")
        ends = fork.Event()
        full = fork.Process(target=_report_all, args=(self.musterd.grpc, ends))
        full.start()
        self._running.append(lambda: (ends.set(), full.join(20), full.kill()))
        self._simulate("healthy")
        self._simulate("faulty", "--fault=loss-shift:3:50:8", "--fault=gradient-scale:3:50:8")
        stalled = self._simulate("stalled")
        wait_for(lambda: self._steps("stalled") > 20, "steps of stalled")
        stalled.kill()
        self.prometheus = Prometheus(folder / "prometheus", self.musterd.http)
        self._running.append(self.prometheus.stop)
        wait_for(lambda: self._steps("faulty") > 300, "steps of faulty", timeout=60)
        wait_for(self._has_alerts, "alerts of full and faulty", timeout=60)
        # Published once it is significant: the last thing that a panel shows.
        found = 'muster_gradient_cosine_expected{run="full"}'
        wait_for(lambda: len(self.prometheus.samples(found)) > 50, "a noise scale", timeout=60)
        self.now = time.time()

    def _simulate(self, run, *faults):
        process = subprocess.Popen(
            [
                BUILD / "cli" / "muster",
                f"--address={self.musterd.grpc}",
                "simulate",
                run,
                "--steps=1000000",
                "--steps-per-second=30",
                "--sketch-width=64",
                *faults,
            ],
            stdout=subprocess.DEVNULL,
        )
        self._running.append(lambda: (process.kill(), process.wait()))
        return process

    def _steps(self, run):
        runs = self.musterd.get("/api/v1/runs").get("runs", [])
        return next((int(one.get("framesComplete", 0)) for one in runs if one["run"] == run), 0)

    def _has_alerts(self):
        firing = self.prometheus.query("sum by (run) (muster_alerts_firing) > 0")
        return {"full", "faulty"} <= {one["metric"]["run"] for one in firing}

    def values(self, dashboard):
        """What the variables of `dashboard` are set to."""
        built_in = {"__rate_interval": "3s", "__interval": "1s", "__range": "20s", "__range_s": 20}
        built_in |= {"instance": ".*", "rank": ".*", "stale": 120, "window": "10s"}
        run = "full" if dashboard["uid"] == "muster-run" else ".*"
        return built_in | {"run": run}

    def problems(self, dashboard, server=None):
        server = server or self.prometheus
        return dashboards.data_problems(dashboard, server, self.values(dashboard), self.now)

    def stop(self):
        while self._running:
            self._running.pop()()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.mark.parametrize("name", dashboards.NAMES)
def test_every_query_has_data(site, name):
    assert site.problems(LOADED[name]) == []


def _metrics(dashboard):
    names = set()
    for _, target in dashboards.queries(dashboard):
        names |= {name for name, _ in dashboards.selectors(target["expr"])}
    return sorted(name for name in names if name != "up")


@pytest.mark.parametrize("name", dashboards.NAMES)
def test_a_metric_that_is_not_there_is_missed(site, name):
    """Each in turn, wherever it is asked for, also behind `or vector(0)`."""
    text = json.dumps(LOADED[name])
    for metric in _metrics(LOADED[name]):
        renamed = json.loads(re.sub(rf"\b{metric}\b", f"{metric}_gone", text))
        found = site.problems(renamed)
        assert any(f"no series {metric}_gone" in problem for problem in found), metric
        # And nothing else is.
        asked = {where for where, one in dashboards.queries(LOADED[name]) if metric in one["expr"]}
        assert all(any(one.startswith(f"{where}: ") for where in asked) for one in found)


def test_a_metric_that_the_daemon_renames_is_missed(site, tmp_path):
    """As a server sees it whose daemon says muster_loss_average, and frames without their state."""
    scrape = {
        "job_name": "muster",
        "static_configs": [{"targets": [site.musterd.http]}],
        "metric_relabel_configs": [
            {
                "source_labels": ["__name__"],
                "regex": "muster_loss_mean",
                "target_label": "__name__",
                "replacement": "muster_loss_average",
            },
            {"source_labels": ["where"], "regex": "client", "action": "drop"},
            {"regex": "where", "action": "labeldrop"},
        ],
    }
    server = Prometheus(tmp_path, settings={"scrape_configs": [scrape]})
    try:
        wait_for(lambda: len(server.samples('muster_step{run="full"}')) > 30, "scrapes")
        dashboard = LOADED["muster-run"]
        found = dashboards.data_problems(dashboard, server, site.values(dashboard), time.time(), 5)
    finally:
        server.stop()
    missing = {re.search("no series (\\w+)", one)[1] for one in found if "no series" in one}
    assert missing == {"muster_loss_mean"}
    assert any("Reports in no frame A: series without the label where" in one for one in found)


def _ask(site, name, title, **values):
    """The result of the first query of a panel, now."""
    dashboard = LOADED[name]
    [panel] = [one for one in dashboards.panels(dashboard) if one["title"] == title]
    values = site.values(dashboard) | values
    expression = dashboards.substitute(panel["targets"][0]["expr"], values)
    return site.prometheus.query(expression, time=site.now)


def _ask_one(site, name, title, **values):
    [series] = _ask(site, name, title, **values)
    return float(series["value"][1])


# A stalled run still shows that it is, and since when; and its alerts.
OF_STALLED = {"Verdict", "Verdict and alerts", "Not in agreement for", "annotation Alerts"}


def test_a_stalled_run_does_not_look_healthy(site):
    """Its verdict says so, and none of its values is shown."""
    last = site.prometheus.query('muster_last_frame_timestamp_seconds{run="stalled"}')
    assert site.now - float(last[0]["value"][1]) > 2
    stalled = {"run": "stalled", "stale": 2}
    assert 4 <= _ask_one(site, "muster-run", "Verdict", **stalled) < 8
    assert _ask_one(site, "muster-runs", "Stalled", **stalled) == 1

    kinds = dashboards.documented()
    values = site.values(LOADED["muster-run"]) | stalled
    hidden = 0
    for where, target in dashboards.queries(LOADED["muster-run"]):
        metrics = {name for name, _ in dashboards.selectors(target["expr"])}
        title = re.sub(r" [A-Z]$", "", where.split(": ")[1])
        if not any(kinds.get(name) == "gauge of a run" for name in metrics):
            continue
        if title in OF_STALLED or title.startswith("variable"):
            continue
        expression = dashboards.substitute(target["expr"], values)
        shown = site.prometheus.query(expression, time=site.now)
        assert [one for one in shown if "kind" not in one["metric"]] == [], where
        # What hides them is their age, not the lack of values.
        expression = dashboards.substitute(target["expr"], values | {"stale": 3600})
        hidden += bool(site.prometheus.query(expression, time=site.now))
    assert hidden > 20


def test_the_verdicts_tell_the_runs_apart(site):
    for run, expected in (("healthy", 0), ("faulty", 2), ("full", 2)):
        assert _ask_one(site, "muster-run", "Verdict", run=run) == expected, run
    assert _ask_one(site, "muster-run", "Not in agreement for", run="healthy") <= 1
    assert _ask_one(site, "muster-run", "Not in agreement for", run="faulty") > 1
    assert _ask(site, "muster-run", "Alerts that fire", run="healthy") == []
    fires = _ask(site, "muster-run", "Alerts that fire", run="full")
    assert "FactMismatch" in [one["metric"]["kind"] for one in fires]
    assert _ask_one(site, "muster-runs", "Runs") == 4
    assert _ask_one(site, "muster-runs", "In agreement", stale=2) == 1


def test_the_rank_at_fault_stands_apart(site):
    [worst] = _ask(site, "muster-run", "Stands apart most", run="faulty")
    assert worst["metric"]["rank"] == "3" and float(worst["value"][1]) > 1.5
    states = {
        one["metric"]["rank"]: one["value"][1]
        for one in _ask(site, "muster-run", "Ranks", run="faulty")
    }
    assert states == {str(rank): "1" if rank == 3 else "0" for rank in range(8)}


def test_the_receiver_that_is_dead_is_seen(site):
    reached = {
        one["metric"]["receiver"]: one["value"][1]
        for one in _ask(site, "muster-itself", "Receivers reached")
    }
    assert reached == {"people": "1", "nobody": "0"}
    assert _ask_one(site, "muster-itself", "Remote write answered") == 1
    assert _ask_one(site, "muster-itself", "Age of the newest delivered step") < 10
