"""A real Prometheus scrapes the daemon during a run and stores what the API says."""

import multiprocessing
import subprocess
import time
import urllib.request

import numpy
import pytest
from conftest import Musterd, wait_for
from prometheus_server import needs_prometheus

import muster

RANKS = 4
# What the scrape's gauges are called in the API's steps.
GAUGES = {
    "muster_loss_mean": "lossMean",
    "muster_loss_stddev": "lossStddev",
    "muster_loss_range": "lossRange",
    "muster_gradient_norm_mean": "gradientNormMean",
    "muster_gradient_norm_stddev": "gradientNormStddev",
    "muster_gradient_norm_range": "gradientNormRange",
    "muster_gradient_cosine_mean": "gradientCosineMean",
    "muster_gradient_cosine_min": "gradientCosineMin",
    "muster_ranks_reporting": "ranksReporting",
}

pytestmark = needs_prometheus


@pytest.fixture
def musterd(tmp_path):
    config = tmp_path / "musterd.yaml"
    config.write_text("metrics: {keep_ended: 2s}\n")
    daemon = Musterd(tmp_path, f"--config={config}")
    yield daemon
    daemon.stop()


@pytest.fixture
def prometheus(start_prometheus, musterd):
    return start_prometheus(musterd.http)


def report(address, stop):
    """All ranks of a run, three steps a second, until `stop` is set."""
    monitors = [
        muster.start(
            address=address, run_id="scraped", rank=rank, world_size=RANKS, parameter_count=4096
        )
        for rank in range(RANKS)
    ]
    step = 0
    while not stop.wait(0.3):
        # A shared direction, and noise of each rank's own.
        shared = numpy.random.default_rng(step).normal(size=4096)
        for rank, monitor in enumerate(monitors):
            own = numpy.random.default_rng([step, rank]).normal(size=4096)
            monitor.observe(0, (shared + own).astype(numpy.float32))
            monitor.end_step(step, loss=3 + 0.1 * rank + 1 / (1 + step), weight=16)
        step += 1
    for monitor in monitors:
        monitor.close()


@pytest.fixture
def training(musterd):
    """Ranks in a process of their own: other tests fork, and threads do not survive that."""
    fork = multiprocessing.get_context("fork")
    stop = fork.Event()
    process = fork.Process(target=report, args=(musterd.grpc, stop))
    process.start()
    yield stop
    stop.set()
    process.join(20)
    process.kill()


def test_stored_samples_equal_the_api(musterd, prometheus, training):
    deadline = time.monotonic() + 90
    while True:
        time.sleep(1)
        stored = prometheus.samples('muster_step{run="scraped"}')
        if len(set(stored.values())) >= 25:
            break
        assert time.monotonic() < deadline, "too few steps were scraped in 90 s"

    answer = musterd.get("/api/v1/runs/scraped/steps", limit=4096)
    by_step = {int(each["step"]): each for each in answer["steps"]}
    step_at = {stamp: int(value) for stamp, value in stored.items()}
    for gauge, name in GAUGES.items():
        samples = prometheus.samples(f'{gauge}{{run="scraped"}}')
        compared = set()
        for stamp, value in samples.items():
            # Both samples of one scrape carry its timestamp.
            if stamp in step_at:
                expected = by_step[step_at[stamp]][name]
                assert float(value) == pytest.approx(expected, rel=1e-12), (gauge, step_at[stamp])
                compared.add(step_at[stamp])
        assert len(compared) >= 20, f"{gauge}: {len(compared)} distinct steps"
    for rank in range(RANKS):
        samples = prometheus.samples(f'muster_rank_loss{{run="scraped",rank="{rank}"}}')
        assert len(samples) >= 20

    # While it runs its series are there; the exposition is clean.
    with urllib.request.urlopen(f"http://{musterd.http}/metrics") as metrics:
        text = metrics.read()
    assert b'muster_step{run="scraped"}' in text
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60
    )
    assert checked.returncode == 0, checked.stderr.decode() + checked.stdout.decode()
    assert not checked.stdout.strip() and not checked.stderr.strip()

    training.set()

    def is_gone():
        with urllib.request.urlopen(f"http://{musterd.http}/metrics") as metrics:
            return b'run="scraped"' not in metrics.read()

    def has_said_so():
        return "1" in prometheus.samples('muster_run_ended{run="scraped"}').values()

    wait_for(has_said_so, "a scrape that sees the run's end")
    wait_for(is_gone, "the finished run to disappear from /metrics")
