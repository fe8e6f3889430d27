"""Daemons and relays that are stopped, killed and started again at the same address."""

import signal
import urllib.error
import urllib.request

from conftest import Musterd, wait_for
from processes import free_address


class Node:
    """A musterd on one address and in one folder, life after life."""

    def __init__(self, folder, *flags, grpc=None):
        folder.mkdir(exist_ok=True)
        self.folder, self.flags = folder, flags
        self.address = grpc or free_address()
        self.http = free_address()
        self.start()

    def start(self):
        (self.folder / "ports.json").unlink(missing_ok=True)
        self.daemon = Musterd(self.folder, *self.flags, grpc=self.address, http=self.http)

    def kill(self):
        self.daemon.process.send_signal(signal.SIGKILL)
        self.daemon.process.wait()

    def pause(self):
        self.daemon.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.daemon.process.send_signal(signal.SIGCONT)

    def stop(self):
        """The exit status after SIGTERM."""
        return self.daemon.stop()

    @property
    def log(self):
        return self.daemon.log.read_text()

    def text(self, path):
        """(status, body) of GET `path`."""
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self):
        """name{labels} → value."""
        lines = self.text("/metrics")[1].splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def metric(self, name):
        return self.metrics()[name]

    def dropped(self):
        """where → reports lost there."""
        prefix = 'muster_relay_reports_dropped_total{where="'
        found = {n[len(prefix) : -2]: v for n, v in self.metrics().items() if n.startswith(prefix)}
        return {where: count for where, count in found.items() if count}

    def state(self):
        """What upstream is called now."""
        prefix = 'muster_relay_upstream_state{state="'
        (state,) = [n[len(prefix) : -2] for n, v in self.metrics().items() if n.startswith(prefix) and v == 1]
        return state


def start_central(folder, *flags, history=False, config=""):
    """A central daemon that waits long for late ranks."""
    folder.mkdir(exist_ok=True)
    file = folder / "musterd.yaml"
    file.write_text("frames:\n  timeout: 1h\n  overflow_after: 1h\n" + config)
    kept = [f"--data-dir={folder}"] if history else []
    return Node(folder, f"--config={file}", *kept, *flags)


def start_relay(folder, upstream, spool=False, config="", grpc=None):
    """A relay on a Unix socket in `folder`."""
    folder.mkdir(exist_ok=True)
    file = folder / "relay.yaml"
    file.write_text(config)
    flags = [f"--config={file}", f"--upstream={upstream}"]
    if spool:
        flags.append(f"--spool-dir={folder / 'spool'}")
    return Node(folder, *flags, grpc=grpc or f"unix:{folder}/relay.sock")


def frames(central, run="run"):
    """(step, ranks expected, ranks reporting) of each judged frame, in order; none of an unknown run."""
    try:
        steps = central.daemon.get(f"/api/v1/runs/{run}/steps", limit=4096)["steps"]
    except urllib.error.HTTPError:
        return []
    return [(int(s["step"]), s["ranksExpected"], s["ranksReporting"]) for s in steps]


def wait_for_frames(central, steps, ranks, run="run", timeout=30.0):
    """Until each of the steps was judged once, with all ranks."""
    expected = [(step, ranks, ranks) for step in range(steps)]

    wait_for(lambda: len(frames(central, run)) >= steps, f"{steps} frames", timeout)
    assert frames(central, run) == expected


def wait_until_settled(load, timeout=30.0):
    """Until each rank's reports are all acknowledged."""
    wait_for(lambda: all(s.queued == 0 for s in load.stats()), "all reports to be acknowledged", timeout)
    assert all(s.dropped == 0 for s in load.stats())
