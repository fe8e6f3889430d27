"""A real Prometheus evaluates the shipped rules on a real daemon that watches real ranks."""

import multiprocessing
import re

import numpy
import pytest
from conftest import ROOT, Musterd, wait_for
from prometheus_server import needs_prometheus

import muster

RANKS = 4
RULES = ROOT / "deploy" / "prometheus" / "muster.rules.yaml"

pytestmark = needs_prometheus


def train(address, run, faulty, stop):
    """All ranks of a run, ten steps a second, until `stop`; rank 2's loss is NaN while `faulty`."""
    monitors = [
        muster.start(
            address=address, run_id=run, rank=rank, world_size=RANKS, parameter_count=1024
        )
        for rank in range(RANKS)
    ]
    step = 0
    while not stop.wait(0.1):
        for rank, monitor in enumerate(monitors):
            own = numpy.random.default_rng([step, rank]).normal(size=1024)
            monitor.observe(0, (1 + own).astype(numpy.float32))
            bad = rank == 2 and faulty.is_set()
            monitor.end_step(step, loss=float("nan") if bad else 3 + 0.01 * own[0])
        step += 1
    for monitor in monitors:
        monitor.close()


@pytest.fixture
def training(musterd):
    """Starts runs in processes of their own: run → (faulty, stop)."""
    fork = multiprocessing.get_context("fork")
    started = []

    def start(run):
        faulty, stop = fork.Event(), fork.Event()
        process = fork.Process(target=train, args=(musterd.grpc, run, faulty, stop))
        process.start()
        started.append((process, stop))
        return faulty, stop

    yield start
    for process, stop in started:
        stop.set()
        process.join(20)
        process.kill()


@pytest.fixture
def musterd(tmp_path):
    config = tmp_path / "musterd.yaml"
    # Ended runs and resolved alerts go soon; several scrapes see it all the same.
    config.write_text("metrics: {keep_ended: 3s}\ndetect: {rank_missing: {after: 60s}}\n")
    daemon = Musterd(tmp_path, f"--config={config}")
    yield daemon
    daemon.stop()


@pytest.fixture
def prometheus(tmp_path, musterd, start_prometheus):
    """With the shipped rules; what they wait for takes 2 s."""
    text, count = re.subn(r"(?m)^(        for:) \w+$", r"\1 2s", RULES.read_text(encoding="utf-8"))
    assert count > 10
    hastened = tmp_path / RULES.name
    hastened.write_text(text, encoding="utf-8")
    return start_prometheus(musterd.http, interval="500ms", rule_files=[hastened])


def fires(server, name):
    return lambda: server.alerts(name)


def test_alerts_of_the_run_and_of_the_daemon_reach_prometheus(tmp_path, musterd, prometheus, training):
    done_faulty, done_stop = training("done")
    faulty, stop = training("watched")
    healthy = 'run:muster_healthy:bool{run="watched"}'

    def verdict():
        return [series["value"][1] for series in prometheus.query(healthy)]

    wait_for(lambda: verdict() == ["1"], "the run to look healthy", timeout=60)
    # MusterAbsent may have fired before the first scrape: here it waits for 2 s.
    wait_for(lambda: prometheus.alerts() == [], "no alert to fire")

    faulty.set()
    fired = wait_for(fires(prometheus, "MusterNonFinite"), "MusterNonFinite to fire", timeout=60)
    [alert] = fired
    assert alert["labels"] == {
        "alertname": "MusterNonFinite",
        "severity": "critical",
        "job": "muster",
        "instance": musterd.http,
        "run": "watched",
        "kind": "NonFinite",
    }
    assert alert["annotations"]["summary"].startswith("Run watched: ")
    assert re.search(r"judged [\d.m ]+s ago\.", alert["annotations"]["description"]), alert
    # Recording rules are of another group, evaluated at its own time.
    wait_for(lambda: verdict() == ["0"], "the run to look unhealthy")
    # What fires in Muster is what fires here.
    kinds = {each["kind"] for each in musterd.get("/api/v1/alerts")["alerts"]}
    assert kinds == {"NonFinite"}

    # A run that ends leaves without alarm.
    done_stop.set()
    gone = lambda: not prometheus.query('muster_run_ended{run="done"}')  # noqa: E731
    wait_for(gone, "the finished run's series to go", timeout=60)
    assert prometheus.query('last_over_time(muster_run_ended{run="done"}[5m])')[0]["value"][1] == "1"

    musterd.process.kill()
    musterd.process.wait()
    wait_for(fires(prometheus, "MusterDown"), "MusterDown to fire", timeout=60)
    lost = wait_for(fires(prometheus, "MusterRunLost"), "MusterRunLost to fire", timeout=60)
    # A crash resolves nothing, and the run that ended is not lost.
    assert [alert["labels"]["run"] for alert in lost] == ["watched"]
    assert [alert["labels"]["run"] for alert in fires(prometheus, "MusterNonFinite")()] == ["watched"]
    assert verdict() == []

    faulty.clear()
    folder = tmp_path / "again"
    folder.mkdir()
    again = Musterd(folder, grpc=musterd.grpc, http=musterd.http)
    try:
        wait_for(
            lambda: not prometheus.alerts("MusterDown") and not prometheus.alerts("MusterRunLost"),
            "the daemon's alerts to resolve",
            timeout=60,
        )
        wait_for(lambda: verdict() == ["1"], "the run to look healthy again", timeout=60)
        wait_for(
            lambda: not prometheus.alerts("MusterNonFinite"), "MusterNonFinite to resolve", timeout=60
        )
    finally:
        stop.set()
        again.stop()
