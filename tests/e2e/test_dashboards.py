"""The Grafana dashboards: up to date, well-formed by Grafana's own types, and every query of theirs has data."""

import copy
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import subprocess
import time

import dashboards
import numpy
import pytest
from conftest import BUILD, ROOT, Musterd, wait_for
from prometheus_server import Prometheus, needs_prometheus

import muster

RANKS = 4
SAMPLES = 100_000
LOADED = {name: dashboards.load(name) for name in dashboards.NAMES}
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


@pytest.fixture(scope="module")
def generator():
    """The compiled generator, in a folder of its own that keeps its packages from one run to the next."""
    folder = ROOT / "build" / "dashboards"
    source = dashboards.FOLDER / "generator"
    lock = (source / "package-lock.json").read_bytes()
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_bytes() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "tsconfig.json"):
        shutil.copy(source / name, folder)
    for name in ("src", "out"):
        shutil.rmtree(folder / name, ignore_errors=True)
    shutil.copytree(source / "src", folder / "src")
    if not stamp.exists():
        _run(folder, "npm", "ci", "--no-audit", "--no-fund")
        stamp.write_bytes(lock)
    _run(folder, "npm", "run", "build")
    return folder


def _run(folder, *command):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"


@needs_npm
def test_the_committed_files_are_what_the_generator_writes(generator, tmp_path):
    _run(generator, "node", "out/main.js", str(tmp_path))
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(written) == {path.name for path in dashboards.FOLDER.glob("*.json")}
    for name, text in written.items():
        committed = (dashboards.FOLDER / name).read_text()
        assert text == committed, f"{name} is old: npm run generate in dashboards/generator"


def _type_errors(generator, *checked):
    """{index of the dashboard: what the compiler says of it}"""
    names = [f"check_{index}.ts" for index in range(len(checked))]
    try:
        for name, dashboard in zip(names, checked):
            (generator / "src" / name).write_text(
                "import type { Committed } from './committed';\n"
                f"export const dashboard: Committed = {json.dumps(dashboard, indent=1)};\n"
            )
        done = subprocess.run(
            ["node_modules/.bin/tsc", "--noEmit", "--pretty", "false"],
            cwd=generator,
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        for name in names:
            (generator / "src" / name).unlink()
    found = re.findall(r"^src/check_(\d)\.ts\S* error (.*)$", done.stdout, re.MULTILINE)
    assert len(found) == done.stdout.count("error TS"), done.stdout
    return {int(index): text for index, text in found}


@needs_npm
def test_the_committed_files_have_grafanas_types(generator):
    value, option, unit = (copy.deepcopy(LOADED["muster-run"]) for _ in range(3))
    dashboards.panels(value)[0]["options"]["colorMode"] = "blink"
    dashboards.panels(option)[0]["options"]["blinking"] = True
    dashboards.panels(unit)[0]["fieldConfig"]["defaults"]["units"] = "s"
    errors = _type_errors(generator, *LOADED.values(), value, option, unit)
    # The committed files have none, and the check sees what it should.
    assert set(errors) == {3, 4, 5}, errors
    assert '"blink"' in errors[3]
    assert '"blinking"' in errors[4]
    assert '"units"' in errors[5]


def test_the_lock_file_names_no_registry():
    assert "http" not in (dashboards.FOLDER / "generator" / "package-lock.json").read_text()


@pytest.mark.parametrize("name", dashboards.NAMES)
def test_rules(name):
    assert dashboards.problems(LOADED[name]) == []


def _without(*keys):
    def remove(dashboard):
        part = dashboards.panels(dashboard)[0]
        for key in keys[:-1]:
            part = part[key]
        del part[keys[-1]]

    return remove


def _asking(expression):
    def ask(dashboard):
        dashboards.panels(dashboard)[0]["targets"][0]["expr"] = expression

    return ask


@pytest.mark.parametrize(
    "spoil, said",
    [
        (_without("description"), "no title or description"),
        (_without("fieldConfig", "defaults", "unit"), "no unit"),
        (lambda one: one["templating"]["list"].pop(0), "no variable `datasource`"),
        (lambda one: one["templating"]["list"][1].update(refresh=1), "not refreshed"),
        (lambda one: one["links"].pop(), "no link to the daemon's page"),
        (lambda one: one["panels"][2]["gridPos"].update(x=1), "overlaps"),
        (_asking("rate(muster_frames_total[5m])"), "a rate over [5m]"),
        (_asking("sum(muster_frames_total)"), "its rate is not taken"),
        (_asking("rate(muster_step[$__rate_interval])"), "which is no counter"),
        (_asking("max(muster_loss_mean{run='$run'})"), "without the age of its frame"),
        (_asking("muster_los_mean"), "is not in docs/metrics.md"),
        (_asking("vector($unknown)"), "is used but not defined"),
    ],
)
def test_the_rules_see(spoil, said):
    spoiled = copy.deepcopy(LOADED["muster-run"])
    spoil(spoiled)
    assert any(said in problem for problem in dashboards.problems(spoiled))


# A run that reports everything that a panel shows, with a fault: rank 3 has another configuration.
def _report_all(address, stop):
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
    """musterd with a history, three runs, and a Prometheus that scrapes it.

    `full` reports everything, `faulty` has a rank whose loss is too high, `stalled` has fallen silent.
    """

    def __init__(self, folder):
        self._running = []
        try:
            self._start(folder)
        except BaseException:
            self.stop()
            raise

    def _start(self, folder):
        self.musterd = Musterd(folder, f"--data-dir={folder / 'data'}")
        self._running.append(self.musterd.stop)
        fork = multiprocessing.get_context("fork")
        ends = fork.Event()
        full = fork.Process(target=_report_all, args=(self.musterd.grpc, ends))
        full.start()
        self._running.append(lambda: (ends.set(), full.join(20), full.kill()))
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
        return next((int(one.get("lastStep", 0)) for one in runs if one["run"] == run), 0)

    def _has_alerts(self):
        firing = self.prometheus.query("sum by (run) (muster_alerts_firing) > 0")
        return {"full", "faulty"} <= {one["metric"]["run"] for one in firing}

    def values(self, dashboard):
        """What the variables of `dashboard` are set to."""
        built_in = {"__rate_interval": "3s", "__interval": "1s", "__range": "20s", "__range_s": 20}
        run = "full" if dashboard["uid"] == "muster-run" else ".*"
        return built_in | {"run": run, "rank": ".*", "instance": ".*", "stale": 120}

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


@needs_prometheus
@pytest.mark.parametrize("name", dashboards.NAMES)
def test_every_query_has_data(site, name):
    assert site.problems(LOADED[name]) == []


def _metrics(dashboard):
    names = {name for _, target in dashboards.queries(dashboard) for name, _ in dashboards.selectors(target["expr"])}
    return sorted(name for name in names if name.startswith("muster_"))


@needs_prometheus
@pytest.mark.parametrize("name", dashboards.NAMES)
def test_a_metric_that_is_not_there_is_missed(site, name):
    """Each in turn, wherever it is asked for, also behind `or vector(0)`."""
    text = json.dumps(LOADED[name])
    for metric in _metrics(LOADED[name]):
        renamed = json.loads(re.sub(rf"\b{metric}\b", f"{metric}_gone", text))
        found = site.problems(renamed)
        assert any(f"no series {metric}_gone" in problem for problem in found), metric
        asked = [where for where, target in dashboards.queries(LOADED[name]) if metric in target["expr"]]
        assert {problem.split(": no ")[0] for problem in found} <= set(asked)


@needs_prometheus
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
    assert [problem.split(": ", 1)[1].split("{")[0] for problem in found if "no series" in problem] == [
        "Loss A: no series muster_loss_mean"
    ]
    assert any("Reports in no frame A: series without the label where" in one for one in found)


@needs_prometheus
def test_a_stalled_run_does_not_look_healthy(site):
    """Its verdict says so, and none of its values is shown, whatever they were."""
    dashboard = LOADED["muster-run"]
    values = site.values(dashboard) | {"run": "stalled", "stale": 2}
    # Time enough for the run to be older than `stale`.
    assert site.now - float(site.prometheus.query('muster_last_frame_timestamp_seconds{run="stalled"}')[0]["value"][1]) > 2
    verdict = {}
    for where, target in dashboards.queries(dashboard):
        title = where.split(": ")[1][:-2]
        series = site.prometheus.query(dashboards.substitute(target["expr"], values), time=site.now)
        if title == "Verdict":
            verdict = {int(one["value"][1]) for one in series}
        gauges = [name for name, _ in dashboards.selectors(target["expr"]) if dashboards.documented().get(name) == "gauge of a run"]
        if gauges and title not in ("Verdict", "Verdict and alerts", "Not in agreement for") and "variable" not in where and "annotation" not in where:
            finite = [one for one in series if "kind" not in one["metric"]]
            assert finite == [], f"{where} shows {finite}"
    assert verdict and all(4 <= one < 8 for one in verdict), verdict


@needs_prometheus
def test_the_rank_at_fault_stands_apart(site):
    dashboard = LOADED["muster-run"]
    values = site.values(dashboard) | {"run": "faulty"}
    titles = {panel["title"]: panel for panel in dashboards.panels(dashboard)}

    def ask(title):
        expression = titles[title]["targets"][0]["expr"]
        return site.prometheus.query(dashboards.substitute(expression, values), time=site.now)

    [worst] = ask("Stands apart most")
    assert worst["metric"]["rank"] == "3" and float(worst["value"][1]) > 0.5
    states = {one["metric"]["rank"]: one["value"][1] for one in ask("Ranks")}
    assert states == {str(rank): "1" if rank == 3 else "0" for rank in range(8)}
    [verdict] = ask("Verdict")
    assert verdict["value"][1] == "2"
