"""Remote write into the real receivers: every step of every metric is stored once, whoever is killed meanwhile."""

import collections
import os
import signal
import statistics
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from conftest import Musterd, wait_for
from history import Load, ask
from processes import free_address
from prometheus_server import Prometheus, needs_prometheus
from victoria_metrics import VictoriaMetrics, needs_victoria_metrics

# A run of 2,000 steps at 20 a second is what the figures in docs/remote_write.md are of; fewer fit into every test run.
STEPS = int(os.environ.get("MUSTER_REMOTE_WRITE_STEPS", "400"))
RATE = float(os.environ.get("MUSTER_REMOTE_WRITE_RATE", "80"))
RANKS = 4

# Columns of the history that are a metric each.
COLUMNS = {
    "muster_step": "step",
    "muster_ranks_expected": "ranks_expected",
    "muster_ranks_reporting": "ranks_reporting",
    "muster_loss_mean": "loss_mean",
    "muster_loss_stddev": "loss_stddev",
    "muster_gradient_norm_mean": "gradient_norm_mean",
    "muster_gradient_norm_stddev": "gradient_norm_stddev",
    "muster_gradient_cosine_mean": "cosine_mean",
    "muster_gradient_cosine_min": "cosine_min",
    "muster_gradient_cosine_expected": "cosine_expected",
    "muster_gradient_noise_scale": "noise_scale",
}
# Those that are not: checked against what the ranks reported.
DERIVED = ["muster_last_frame_timestamp_seconds", "muster_loss_range", "muster_gradient_norm_range"]
RANK_METRICS = ["muster_rank_loss", "muster_rank_gradient_norm", "muster_rank_gradient_cosine"]


class PrometheusReceiver:
    def __init__(self, folder):
        self.server = Prometheus(folder, flags=["--web.enable-remote-write-receiver"])
        self.settings = ""
        self.exact = True

    def series(self):
        """[(labels, [(ms, value), …])] of all that is stored of the run, without ends."""
        result = self.server.query('{run="run"}[3h]')
        return [(one["metric"], [(round(t * 1000), float(v)) for t, v in one["values"]]) for one in result]


class VictoriaReceiver:
    """It keeps what it has answered in memory for a second, so what was delivered just before is sent again."""

    def __init__(self, folder):
        self.server = VictoriaMetrics(folder, "-dedup.minScrapeInterval=1ms")
        self.settings = "  resend: 15s\n"
        self.exact = False  # values have some 15 digits there

    def series(self):
        return [
            (one["metric"], [(t, v) for t, v in zip(one["timestamps"], one["values"]) if v is not None])
            for one in self.server.export('{run="run"}')
        ]


@pytest.fixture(
    params=[
        pytest.param(PrometheusReceiver, marks=needs_prometheus, id="prometheus"),
        pytest.param(VictoriaReceiver, marks=needs_victoria_metrics, id="victoria-metrics"),
    ]
)
def receiver(request, tmp_path):
    receiver = request.param(tmp_path / "receiver")
    yield receiver
    receiver.server.kill()


class Writer:
    """A daemon that writes to `address`, life after life, and the ranks that report to it."""

    def __init__(self, folder, address, settings="", history=True):
        self.folder, self.history = folder, history
        self.file = folder / "history.db"
        self._config = folder / "musterd.yaml"
        self._config.write_text(
            # Ranks that come back find their frames open.
            "frames:\n  timeout: 1h\n  overflow_after: 1h\n"
            f"remote_write:\n  url: http://{address}/api/v1/write\n  interval: 200ms\n  max_ranks: 4\n{settings}"
        )
        self._grpc = free_address()
        self.start()

    def start(self):
        (self.folder / "ports.json").unlink(missing_ok=True)
        flags = [f"--data-dir={self.folder}"] if self.history else []
        self.daemon = Musterd(self.folder, f"--config={self._config}", *flags, grpc=self._grpc)

    def load(self, **named):
        return Load(self._grpc, ranks=RANKS, **named)

    def kill(self):
        self.daemon.process.send_signal(signal.SIGKILL)
        self.daemon.process.wait()

    def count(self, result):
        """muster_remote_write_samples_total."""
        return metric(self.daemon, f'muster_remote_write_samples_total{{result="{result}"}}')


def metric(daemon, name):
    with urllib.request.urlopen(f"http://{daemon.http}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
    return None


@pytest.fixture
def start_writer(tmp_path):
    started = []

    def start(address, settings="", **named):
        started.append(Writer(tmp_path, address, settings, **named))
        return started[-1]

    yield start
    for one in started:
        one.daemon.stop()


def expected_series(file):
    """{metric: [value of each step, None where there is none]} by the history, in its order."""
    rows = ask(file, f"SELECT {', '.join(COLUMNS.values())} FROM frame ORDER BY position")
    return {name: [row[i] for row in rows] for i, name in enumerate(COLUMNS)}


def check_stored(receiver, file):
    """Each step of each metric is stored once, in order, with its value and at its time."""
    series = {}
    for labels, samples in receiver.series():
        key = labels["__name__"], labels.get("rank")
        assert key not in series
        assert set(labels) == {"__name__", "run"} | ({"rank"} if "rank" in labels else set())
        series[key] = samples
    expected = expected_series(file)
    steps = expected["muster_step"]
    walls = [wall // 1_000_000 for (wall,) in ask(file, "SELECT wall_ns FROM frame ORDER BY position")]
    times = [t for t, _ in series["muster_step", None]]
    assert len(times) == len(steps), f"{len(times)} of {len(steps)} steps"
    assert all(a < b for a, b in zip(times, times[1:]))
    # Two steps in one millisecond are told apart by a later one.
    late = [t - wall for t, wall in zip(times, walls)]
    assert 0 <= min(late) and max(late) < 2000, late
    for name, values in expected.items():
        have = [(t, v) for t, v in zip(times, values) if v is not None]
        assert len(have) > len(steps) / 2, f"hardly any {name}"
        check_samples(receiver, name, series.pop((name, None)), have)
    for name in DERIVED:
        assert [t for t, _ in series.pop((name, None))] == times, name
    for name in RANK_METRICS:
        for rank in range(RANKS):
            assert [t for t, _ in series.pop((name, str(rank)))] == times, f"{name} of rank {rank}"
    assert not series, f"unexpected: {list(series)}"
    return len(times)


def check_samples(receiver, name, found, expected):
    assert [t for t, _ in found] == [t for t, _ in expected], name
    for (t, value), (_, wanted) in zip(found, expected):
        if receiver.exact:
            assert value == wanted, f"{name} at {t}"
        else:
            assert value == pytest.approx(wanted, rel=1e-12, abs=1e-300), f"{name} at {t}"


def wait_until_delivered(receiver, file):
    steps = len(expected_series(file)["muster_step"])

    def delivered():
        for labels, samples in receiver.series():
            if labels["__name__"] == "muster_step":
                return len(samples) >= steps
        return False

    wait_for(delivered, f"{steps} steps to be delivered", timeout=90)


def wait_until_acknowledged(load):
    everything = [load.step] * RANKS
    wait_for(
        lambda: [stats.acknowledged for stats in load.stats()] == everything,
        f"{load.step} to be acknowledged",
        timeout=60,
    )


def test_every_step_is_stored_once(receiver, start_writer):
    """Receiver and daemon are killed in turn, and nothing is lost or doubled."""
    writer = start_writer(receiver.server.address, receiver.settings)
    load = writer.load()
    part = STEPS // 5
    load.run(part, RATE)
    receiver.server.kill()
    load.run(part, RATE)
    receiver.server.start()
    load.run(part, RATE)
    writer.kill()
    load.run(part // 2, RATE)
    writer.start()
    load.run(part // 2, RATE)
    # Both at once.
    receiver.server.kill()
    load.run(part // 2, RATE)
    writer.kill()
    writer.start()
    receiver.server.start()
    load.run(STEPS - load.step, RATE)
    wait_until_acknowledged(load)
    wait_until_delivered(receiver, writer.file)
    assert check_stored(receiver, writer.file) == STEPS
    assert writer.count("dropped") == 0
    assert writer.count("refused") == 0
    load.close()


@needs_prometheus
def test_an_ended_run_has_ended_series(tmp_path, start_writer, start_prometheus):
    server = start_prometheus(flags=["--web.enable-remote-write-receiver"])
    writer = start_writer(server.address)
    load = writer.load()
    load.run(20, 100)
    wait_for(lambda: server.query('muster_step{run="run"}'), "a sample")
    assert server.query('muster_rank_loss{run="run",rank="3"}')
    load.close()
    wait_for(lambda: not server.query('{run="run"}'), "all series to end")
    # Not because they were deleted.
    (series,) = server.query('muster_step{run="run"}[5m]')
    assert len(series["values"]) == 20


@needs_prometheus
def test_values_are_those_of_the_ranks(start_writer, start_prometheus):
    """Independent of the daemon's own sums."""
    server = start_prometheus(flags=["--web.enable-remote-write-receiver"])
    writer = start_writer(server.address, "  external_labels: 'cluster=a, job=steps'\n", history=False)
    losses = [[2.0, 2.5, 4.0, 1.0], [1.5, -2.5, 0.25, 1.0], [3.0, 3.0, 3.0, 3.125]]
    load = writer.load()
    for step, ranks in enumerate(losses):
        for monitor, loss in zip(load.monitors, ranks):
            monitor.end_step(step, loss=loss)
    selector = '{run="run",cluster="a",job="steps"}'
    wait_for(lambda: len(server.samples(f"muster_step{selector}")) == 3, "three steps")
    for name, value in {
        "muster_step": lambda ranks: losses.index(ranks),
        "muster_ranks_reporting": len,
        "muster_loss_mean": statistics.fmean,
        "muster_loss_stddev": statistics.pstdev,
        "muster_loss_range": lambda ranks: max(ranks) - min(ranks),
    }.items():
        found = [float(v) for v in server.samples(name + selector).values()]
        assert found == pytest.approx([value(ranks) for ranks in losses], rel=1e-12), name
    for rank in range(RANKS):
        found = server.samples(f'muster_rank_loss{{run="run",cluster="a",rank="{rank}"}}')
        assert [float(v) for v in found.values()] == [ranks[rank] for ranks in losses]
    load.close()


class Scripted:
    """A receiver that answers each post as `answers` says, (status, body), and 204 when they are used up."""

    def __init__(self, *answers):
        self.answers, self.posts = collections.deque(answers), []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                scripted.posts.append(dict(self.headers))
                status, body = scripted.answers.popleft() if scripted.answers else (204, b"")
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def scripted():
    started = []

    def start(*answers):
        started.append(Scripted(*answers))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_refusals_are_told_and_retries_counted(start_writer, scripted):
    server = scripted((503, b"busy"), (429, b""), (403, b"no such tenant\nmore"))
    writer = start_writer(server.address, "  headers: X-Scope-OrgID=team\n")
    load = writer.load()
    load.run(1)
    wait_for(lambda: writer.count("refused"), "the refusal")
    assert metric(writer.daemon, "muster_remote_write_retries_total") == 2
    load.run(1)
    wait_for(lambda: writer.count("sent"), "the next step to be sent")
    assert metric(writer.daemon, "muster_remote_write_up") == 1
    log = writer.daemon.log.read_text()
    assert "status 503: busy" in log
    assert "run 'run': status 403: no such tenant" in log
    assert "more" not in log.split("no such tenant")[1].splitlines()[0]
    headers = {name.lower(): value for name, value in server.posts[0].items()}
    assert headers["content-encoding"] == "snappy"
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["x-prometheus-remote-write-version"] == "0.1.0"
    assert headers["x-scope-orgid"] == "team"
    load.close()


def test_a_dead_receiver_delays_nobody(start_writer):
    """Reports are judged and acknowledged; a queue that is full leaves its steps to the history."""
    writer = start_writer(free_address(), "  queue_bytes: 65536\n")
    load = writer.load()
    load.run(400)
    wait_until_acknowledged(load)
    wait_for(lambda: metric(writer.daemon, "muster_remote_write_retries_total") >= 1, "a retry")
    assert metric(writer.daemon, "muster_remote_write_queue_bytes") <= 65536
    assert metric(writer.daemon, "muster_remote_write_up") == 0
    assert writer.count("dropped") == 0
    assert writer.daemon.get("/api/v1/runs/run/steps", limit=1)["steps"][0]["step"] == "399"
    load.close()
    # And the daemon ends soon all the same.
    assert writer.daemon.stop() == 0


@needs_prometheus
def test_what_the_queue_does_not_hold_is_read_from_the_history(start_writer, tmp_path):
    receiver = PrometheusReceiver(tmp_path / "receiver")
    receiver.server.kill()
    writer = start_writer(receiver.server.address, "  queue_bytes: 65536\n")
    load = writer.load()
    load.run(1000)
    wait_until_acknowledged(load)
    receiver.server.start()
    try:
        wait_until_delivered(receiver, writer.file)
        assert check_stored(receiver, writer.file) == 1000
    finally:
        receiver.server.kill()
    load.close()


@pytest.mark.parametrize(
    "settings, says",
    [
        ("url: ftp://host/", "remote_write: url must begin with http"),
        ("url: http://me:geheim@host/", "remote_write: url must not have a user or password"),
        ("external_labels: run=x", "remote_write.external_labels"),
        ("external_labels: 1a=x", "remote_write.external_labels"),
        ("headers: Authorization=x", "remote_write.headers"),
        ("username: me", "username and its password"),
        ("certificate_file: x", "need each other"),
    ],
)
def test_bad_settings_are_named(tmp_path, settings, says):
    config = tmp_path / "musterd.yaml"
    config.write_text(f"remote_write:\n  {settings}\n")
    with pytest.raises(RuntimeError, match=says) as error:
        Musterd(tmp_path, f"--config={config}")
    assert "geheim" not in str(error.value)
