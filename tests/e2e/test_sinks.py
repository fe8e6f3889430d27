"""Alerts reach a real Alertmanager and a webhook, whatever is restarted meanwhile."""

import array
import hashlib
import hmac
import json
import shutil
import signal
import subprocess
import time
import urllib.request

import muster
import pytest
from conftest import BUILD, ROOT, Musterd, wait_for
from history import Background, Load, stored_alerts
from processes import free_address
from prometheus_server import Prometheus, needs_prometheus
from receivers import Alertmanager, Receiver

SECRET = "geheim-7f3a"
RULES = ROOT / "deploy" / "prometheus" / "muster.rules.yaml"

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus-alertmanager") is None, reason="prometheus-alertmanager is not installed"
)


class Daemon:
    """musterd with sinks, on one gRPC address and one folder, life after life."""

    def __init__(self, folder, sinks):
        self.folder = folder
        self._config = folder / "musterd.yaml"
        self._config.write_text(json.dumps({"sinks": sinks, "frames": {"timeout": "1h", "overflow_after": "1h"}}))
        self.grpc = free_address()
        self.start()

    def start(self):
        (self.folder / "ports.json").unlink(missing_ok=True)
        self.musterd = Musterd(
            self.folder, f"--config={self._config}", f"--data-dir={self.folder}", grpc=self.grpc
        )

    def kill(self):
        self.musterd.process.send_signal(signal.SIGKILL)
        self.musterd.process.wait()

    @property
    def log(self):
        return self.musterd.log.read_text()


@pytest.fixture
def people():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def hook():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def alertmanager(tmp_path, people):
    server = Alertmanager(tmp_path, people)
    yield server
    server.stop()


@pytest.fixture
def daemon(tmp_path, alertmanager, hook):
    (tmp_path / "secret").write_text(SECRET + "\n")
    daemon = Daemon(
        tmp_path,
        {
            "external_url": "https://muster.example",
            "dashboard_url": "https://grafana.example/d/run?var-run={run}",
            "alertmanagers": [
                # Nobody is there: the other one is told all the same.
                {"name": "dead", "url": f"http://{free_address()}", "resend_interval": "1s"},
                {"name": "real", "url": alertmanager.url, "resend_interval": "1s"},
            ],
            "webhooks": [{"name": "hook", "url": hook.url + "/muster", "secret_file": str(tmp_path / "secret")}],
        },
    )
    yield daemon
    daemon.musterd.stop()


@pytest.fixture
def training(daemon):
    """Eight ranks, of which rank 1's loss is NaN from step 20 on."""
    load = Load(daemon.grpc, broken=range(20, 10**9))
    background = Background(load, 50)
    yield load
    background.stop()
    load.close()


def changes(hook, kind):
    """(state, ranks) of each change that the webhook took, in order."""
    return [(body["state"], body["ranks"]) for body in hook.taken() if body["kind"] == kind]


def signed(headers, body, now):
    """Whether the post is ours and fresh: what docs/sinks.md tells receivers to do."""
    fields = dict(field.split("=", 1) for field in headers["Muster-Signature"].split(","))
    expected = hmac.new(SECRET.encode(), fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, fields["v1"]) and abs(now - int(fields["t"])) <= 300


def test_an_alert_is_told_once_through_restarts_and_resolves(daemon, alertmanager, people, hook, training):
    [alert] = wait_for(lambda: alertmanager.alerts("NonFinite"), "the alert to reach Alertmanager")
    assert alert["labels"] == {"alertname": "NonFinite", "run": "run", "severity": "critical", "ranks": "1"}
    assert alert["annotations"]["summary"] == "NonFinite: rank 1 of run run"
    assert "Rank 1's loss" in alert["annotations"]["description"]
    assert alert["annotations"]["checks"].startswith("Look at the rank and step")
    assert alert["annotations"]["dashboard"] == "https://grafana.example/d/run?var-run=run"
    assert alert["generatorURL"].startswith("https://muster.example/#/runs/run?from=20&to=")
    wait_for(lambda: people.told("NonFinite"), "people to be told")

    # It is sent again: its end moves on, its start does not.
    later = wait_for(
        lambda: [a for a in alertmanager.alerts("NonFinite") if a["endsAt"] > alert["endsAt"]], "a second word"
    )
    assert [a["startsAt"] for a in later] == [alert["startsAt"]]

    alertmanager.stop()
    wait_for(lambda: "alertmanager 'real': cannot deliver" in daemon.log, "the daemon to miss Alertmanager")
    alertmanager.start()
    [again] = wait_for(lambda: alertmanager.alerts("NonFinite"), "the alert to be told again", timeout=60)
    assert (again["startsAt"], again["labels"]) == (alert["startsAt"], alert["labels"])
    wait_for(lambda: "alertmanager 'real': delivers again" in daemon.log, "the daemon to say so")

    wait_for(
        lambda: any('"firing"' in line for line in stored_alerts(daemon.folder / "history.db")),
        "the alert to be in the history",
    )
    daemon.kill()
    killed = time.time()
    daemon.start()

    def heard_since():
        [held] = alertmanager.alerts("NonFinite")
        return held if held["updatedAt"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(killed + 1)) else None

    after = wait_for(heard_since, "the restarted daemon to tell it again")
    assert (after["startsAt"], after["labels"]) == (alert["startsAt"], alert["labels"])
    assert people.told("NonFinite") == [("firing", "1")]
    assert changes(hook, "NonFinite") == [("firing", [1])]

    training._broken = range(0)
    wait_for(lambda: ("resolved", "1") in people.told("NonFinite"), "people to be told of the end", timeout=60)
    wait_for(lambda: len(changes(hook, "NonFinite")) > 1, "the webhook to be told of the end")
    assert alertmanager.alerts("NonFinite") == []
    # Resolved ones are sent again too; that doubles nothing either.
    metrics = sent(daemon)
    wait_for(lambda: sent(daemon) > metrics + 2, "it to be sent again")
    assert people.told("NonFinite") == [("firing", "1"), ("resolved", "1")]
    assert changes(hook, "NonFinite") == [("firing", [1]), ("resolved", [1])]
    for headers, body, _ in hook.posts:
        assert signed(headers, body, time.time())
        assert not signed(headers, body + b" ", time.time())
        assert not signed(headers, body, time.time() + 3600)
        assert headers["Idempotency-Key"] == json.loads(body)["delivery"]
    assert SECRET not in daemon.log


def sent(daemon):
    """Posts that the real Alertmanager took from this life of the daemon."""
    return metric(daemon, 'muster_sink_sent_total{sink="alertmanager",receiver="real"}')


def metric(daemon, series):
    with urllib.request.urlopen(f"http://{daemon.musterd.http}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no {series}")


def test_a_dead_daemon_leaves_nothing_firing_for_ever(daemon, alertmanager, people, training):
    wait_for(lambda: people.told("NonFinite"), "people to be told")
    daemon.kill()
    wait_for(lambda: ("resolved", "1") in people.told("NonFinite"), "Alertmanager to end what it hears no more of")
    daemon.start()  # for the ranks to part from


@pytest.mark.parametrize("restart", ["none", "ended", "killed"])
def test_a_webhook_that_fails_is_told_later_and_in_order(daemon, hook, training, restart):
    hook.status = 503
    wait_for(lambda: hook.posts, "a first attempt")
    training._broken = range(0)
    wait_for(
        lambda: any('"resolved"' in line for line in stored_alerts(daemon.folder / "history.db")),
        "the alert to be resolved",
    )
    assert metric(daemon, 'muster_sink_up{sink="webhook",receiver="hook"}') == 0
    queue = daemon.folder / "webhook-hook.queue"
    wait_for(lambda: "resolved" in queue.read_text(), "the change to be kept")
    if restart == "ended":
        assert daemon.musterd.stop() == 0
    if restart == "killed":
        daemon.kill()
    if restart != "none":
        daemon.start()
    hook.status = 200
    wait_for(lambda: len(changes(hook, "NonFinite")) == 2, "both changes", timeout=60)
    assert changes(hook, "NonFinite") == [("firing", [1]), ("resolved", [1])]
    keys = [headers["Idempotency-Key"] for headers, _, _ in hook.posts]
    assert len(keys) > 2 and len(set(keys)) == 2
    # It is emptied once the answer is read, after the receiver counted the post.
    wait_for(lambda: queue.read_bytes() == b"", "the queue to be emptied")
    assert metric(daemon, 'muster_sink_up{sink="webhook",receiver="hook"}') == 1
    assert metric(daemon, 'muster_sink_held{sink="webhook",receiver="hook"}') == 0
    assert metric(daemon, 'muster_sink_dropped_total{sink="webhook",receiver="hook"}') == 0


def test_a_change_that_is_refused_holds_up_nothing(daemon, hook, training):
    hook.status = 400
    labels = '{sink="webhook",receiver="hook"}'
    wait_for(lambda: metric(daemon, f"muster_sink_dropped_total{labels}") == 1, "it to be given up")
    wait_for(lambda: metric(daemon, f"muster_sink_up{labels}") == 1, "nothing to be due")
    assert "webhook 'hook': a change is refused again and again, and is not sent any more: HTTP 400" in daemon.log
    assert len({headers["Idempotency-Key"] for headers, _, _ in hook.posts}) == 1 and len(hook.posts) == 3
    hook.status = 200
    training._broken = range(0)
    wait_for(lambda: hook.taken(), "the next change", timeout=60)
    assert changes(hook, "NonFinite") == [("resolved", [1])]
    wait_for(lambda: (daemon.folder / "webhook-hook.queue").read_bytes() == b"", "the queue to be emptied")


def test_the_path_of_an_address_is_shown_and_stored_nowhere(daemon, hook, training):
    wait_for(lambda: changes(hook, "NonFinite"), "the webhook to be told")
    secret = f"{hook.url}/muster"
    printed = subprocess.run(
        [BUILD / "daemon" / "musterd", f"--config={daemon.folder / 'musterd.yaml'}", "--print-config"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert printed.returncode == 0
    assert f'url: "{hook.url}/…"  # the rest is not shown' in printed.stdout
    history = daemon.folder / "history.db"
    wait_for(lambda: stored_alerts(history), "the alert to be in the history")
    assert daemon.musterd.stop() == 0
    for text in (printed.stdout, daemon.log, history.read_bytes().decode(errors="replace")):
        assert secret not in text
    replayed = subprocess.run(
        [BUILD / "cli" / "muster", "replay", "--history", history], capture_output=True, text=True, timeout=60
    )
    assert replayed.returncode == 0, replayed.stderr
    assert '"NonFinite"' in replayed.stdout


def test_alertmanager_takes_an_empty_list(alertmanager):
    """With which the daemon asks whether it is back."""
    post = urllib.request.Request(
        f"{alertmanager.url}/api/v2/alerts", data=b"[]", headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(post, timeout=10) as answer:
        assert answer.status == 200


def test_hostile_facts_stay_text(daemon, alertmanager, hook):
    hostile = '"}]},{"labels":{"alertname":"x"}} {{ .Labels }} <script> \N{SNOWMAN}\n'
    monitors = [
        muster.start(daemon.grpc, "facts", rank, 4, facts={"sampler_seed": hostile if rank == 2 else "1"})
        for rank in range(4)
    ]
    try:
        for step in range(3):
            for monitor in monitors:
                monitor.observe(0, array.array("f", [3.0, 4.0]))
                monitor.end_step(step, loss=1.0)
        [alert] = wait_for(lambda: alertmanager.alerts("FactMismatch"), "the alert to reach Alertmanager")
        assert alert["labels"] == {"alertname": "FactMismatch", "run": "facts", "severity": "critical", "ranks": "2"}
        [body] = wait_for(
            lambda: [body for body in hook.taken() if body["kind"] == "FactMismatch"], "the webhook to be told"
        )
        assert '{"labels":{"alertname":"x"}} {{ .Labels }} <script> \N{SNOWMAN}' in body["evidence"]
        assert alert["annotations"]["description"] == body["evidence"]
    finally:
        for monitor in monitors:
            monitor.close()


def test_sighup_says_that_sinks_need_a_restart(daemon):
    daemon.musterd.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "sinks need a restart" in daemon.log, "the reload to be told")


@needs_prometheus
def test_both_ways_to_alertmanager_tell_it_once(tmp_path, daemon, alertmanager, people, training):
    """The daemon itself, and Prometheus with the rules that are shipped."""
    prometheus = Prometheus(
        tmp_path / "prometheus",
        daemon.musterd.http,
        rule_files=[RULES],
        alertmanagers=[alertmanager.address],
        flags=["--rules.alert.resend-delay=1s"],  # not a minute after it has found Alertmanager
    )
    try:
        for kind in ("NonFinite", "MusterNonFinite"):
            wait_for(lambda kind=kind: people.told(kind), f"people to be told of {kind}", timeout=60)
        [ours], [theirs] = alertmanager.alerts("NonFinite"), alertmanager.alerts("MusterNonFinite")
        # One route is enough for both.
        for label in ("run", "severity"):
            assert ours["labels"][label] == theirs["labels"][label]
        prometheus.stop()
        alertmanager.stop()
        alertmanager.start()
        prometheus.start()
        for kind in ("NonFinite", "MusterNonFinite"):
            wait_for(lambda kind=kind: alertmanager.alerts(kind), f"{kind} to be told again", timeout=90)
        training._broken = range(0)
        for kind, ranks in (("NonFinite", "1"), ("MusterNonFinite", "")):
            wait_for(lambda kind=kind: len(people.told(kind)) > 1, f"people to be told of the end of {kind}", timeout=90)
            assert people.told(kind) == [("firing", ranks), ("resolved", ranks)]
    finally:
        prometheus.stop()
