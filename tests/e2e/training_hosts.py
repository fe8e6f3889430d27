"""Three hosts: the central daemon's, and two with a relay and training ranks each (host_ranks.py).

Each is a network namespace. What reports travel on is a wire of the test (wire.py); the training's all-reduce has a
network of its own, as it has in a cluster, so that it goes on when that wire does not.
"""

import os
import pathlib
import signal
import subprocess
import time

import wire
from conftest import BUILD
from relays import Node

RUN = "three-hosts"  # host_ranks.RUN and BLOCK, whose import needs torch
BLOCK = 6
RANKS_OF = {"a": (0, 1, 2, 3), "b": (4, 5, 6, 7)}
RENDEZVOUS = "10.78.0.1"
PYTHON = "/usr/bin/python3"  # whose torch is the distribution's


def until(condition, what, timeout):
    """As conftest.wait_for, asked so seldom that the ranks are not disturbed."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:.0f} s for {what}")
        time.sleep(0.25)


class Ranks:
    """The ranks of one host, in a process group of their own."""

    def __init__(self, host, folder, life, ranks, world_size, first_step, port, address):
        self.ranks = ranks
        listed = ",".join(map(str, ranks))
        script = pathlib.Path(__file__).with_name("host_ranks.py")
        words = [folder, life, listed, world_size, first_step, f"{RENDEZVOUS}:{port}", address]
        environment = {
            **os.environ,
            "GLOO_SOCKET_IFNAME": "fabric",
            "MUSTER_LIBRARY": str(BUILD / "client" / "libmuster.so"),
        }
        self.log = folder / f"ranks-{life}-{ranks[0]}.log"
        with open(self.log, "wb") as log:
            self.process = host.inside(
                subprocess.Popen,
                [PYTHON, str(script), *map(str, words)],
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Cluster:
    """The three hosts with what runs on them: "central", and "a" and "b" with a relay and training ranks each. Frames
    wait `frame_wait` seconds for ranks. `close` ends and removes all of it."""

    def __init__(self, folder, frame_wait):
        wire.remove_leftovers()
        self.folder = folder
        self.life, self.live, self.ranks = 0, {}, {}
        self.wire = None
        try:
            self.hosts = {name: wire.Host(name, number) for number, name in enumerate(("central", "a", "b"), 1)}
            wire.join(self.hosts["a"], self.hosts["b"], "10.78.0")
            self.wire = wire.Wire(self.hosts.values())
            frames = f"frames:\n  timeout: {frame_wait}s\n  overflow_after: {frame_wait}s\n"
            address = f"{self.hosts['central'].address}:7600"
            central = self._node("central", address, frames, f"--data-dir={folder / 'central'}")
            self.nodes = {"central": central}
            for name, spool in (("a", 512), ("b", 1)):
                self.nodes[name] = self._node(
                    name,
                    f"unix:{folder}/{name}.sock",
                    f"relay:\n  spool_bytes: {spool << 20}\n",
                    f"--upstream={central.address}",
                    f"--spool-dir={folder / name / 'spool'}",
                )
        except BaseException:
            self.close()
            raise

    def _node(self, name, address, config, *flags):
        place = self.folder / name
        place.mkdir()
        (place / "musterd.yaml").write_text(config)
        return self.hosts[name].inside(Node, place, f"--config={place / 'musterd.yaml'}", *flags, grpc=address)

    def on(self, name, what, *arguments, **named):
        """node.what(…) where its network is."""
        return self.hosts[name].inside(getattr(self.nodes[name], what), *arguments, **named)

    def get(self, path, **query):
        return self.hosts["central"].inside(self.nodes["central"].daemon.get, path, **query)

    def start_ranks(self, hosts, first_step):
        """A new start of the training, on these hosts."""
        self.life += 1
        self.live = {name: RANKS_OF[name] for name in hosts}
        world_size = sum(map(len, self.live.values()))
        for name, ranks in self.live.items():
            self.ranks[name] = Ranks(
                self.hosts[name],
                self.folder,
                self.life,
                ranks,
                world_size,
                first_step,
                29500 + self.life,
                self.nodes[name].address,
            )

    def live_ranks(self):
        return [rank for ranks in self.live.values() for rank in ranks]

    def lines(self, life, rank, kind):
        """The words of each whole line of this kind that a rank has written."""
        try:
            text = (self.folder / f"rank-{life}-{rank}").read_text()
        except FileNotFoundError:
            return []
        split = (line.split() for line in text[: text.rfind("\n") + 1].splitlines())
        return [words[1:] for words in split if words[0] == kind]

    def newest_judged(self):
        try:
            return int(self.get(f"/api/v1/runs/{RUN}/steps", limit=1)["steps"][0]["step"])
        except (OSError, KeyError, IndexError):  # the daemon is not there, or knows nothing yet
            return -1

    def newest_reported(self, age=0.0):
        """The newest step that rank 0 had reported `age` seconds ago; −1 if none."""
        until = time.monotonic() - age
        return max((int(step) for at, step, _ in self.lines(self.life, 0, "report") if float(at) <= until), default=-1)

    def is_caught_up(self):
        spooled = sum(self.on(name, "metric", "muster_relay_spool_reports") for name in self.live)
        return spooled == 0 and self.newest_judged() >= max(0, self.newest_reported(age=1.0))

    def close(self):
        for ranks in self.ranks.values():
            ranks.kill()
        for node in getattr(self, "nodes", {}).values():
            node.daemon.stop()
        if self.wire:
            self.wire.close()
        wire.remove_hosts(os.getpid())
