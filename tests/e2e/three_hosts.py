"""A training on two hosts that report to a third, while hosts, network and Muster itself fail one after the other.

Each host is a network namespace. What reports travel on is a wire of the test's own (wire.py); the training's all-reduce
has a network of its own, as it has in a cluster, so that it goes on when that wire does not.
"""

import collections
import dataclasses
import json
import math
import os
import pathlib
import signal
import statistics
import subprocess
import time

import wire
from conftest import BUILD
from relays import Node

RUN = "three-hosts"  # host_ranks.RUN and BLOCK, whose import needs torch
BLOCK = 12
RANKS_OF = {"a": (0, 1, 2, 3), "b": (4, 5, 6, 7)}
RENDEZVOUS = "10.78.0.1"
PYTHON = "/usr/bin/python3"  # whose torch is the distribution's
# A report that was made so shortly before its host was gone may not have left it.
IN_FLIGHT = 1.0


@dataclasses.dataclass(frozen=True)
class Lengths:
    """Seconds for which each fault lasts."""

    quiet: float
    cut: float
    delay: float
    central_away: float
    relay_away: float
    fill_spool: bool  # cut the host with the small spool, too

    @property
    def frame_wait(self):
        """How long the daemon's frames wait for a host that is cut off: that, and until its spool is drained."""
        return self.cut + 15


FULL = Lengths(quiet=30, cut=60, delay=30, central_away=20, relay_away=15, fill_spool=True)
SHORT = Lengths(quiet=3, cut=5, delay=5, central_away=3, relay_away=2, fill_spool=False)


@dataclasses.dataclass
class Phase:
    name: str
    began: float  # monotonic seconds
    ended: float = math.inf
    caught_up: float = 0.0  # seconds after the fault's end
    heard: float = 0.0  # seconds after a rank's NaN, until the last live rank's on_alert


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
    """The three hosts with what runs on them. `close` ends and removes all of it."""

    def __init__(self, folder, lengths):
        wire.remove_leftovers()
        self.folder = folder
        self.life, self.live, self.ranks = 0, {}, {}
        self.wire = None
        try:
            self.hosts = {name: wire.Host(name, number) for number, name in enumerate(("central", "a", "b"), 1)}
            wire.join(self.hosts["a"], self.hosts["b"], "10.78.0")
            self.wire = wire.Wire(self.hosts.values())
            frames = f"frames:\n  timeout: {lengths.frame_wait}s\n  overflow_after: {lengths.frame_wait}s\n"
            central = self._node("central", f"{self.hosts['central'].address}:7600", frames, f"--data-dir={folder}")
            self.nodes = {"central": central}
            for name, spool in (("a", 512), ("b", 2)):
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


class Scenario:
    """All phases in order, and what became of each report."""

    def __init__(self, folder, lengths, say=lambda text: None):
        self.folder, self.lengths, self._say = folder, lengths, say
        self.phases, self.problems = [], []
        self.gone_at = math.inf
        self.dropped = {}  # where → reports
        self.rows = []

    def run(self):
        self.cluster = Cluster(self.folder, self.lengths)
        try:
            self._run()
            self._count()
        finally:
            self.cluster.close()
        return self

    def _run(self):
        cluster, lengths = self.cluster, self.lengths
        cluster.start_ranks(("a", "b"), 0)
        until(lambda: cluster.newest_judged() >= 2 * BLOCK, "the first frames", 90)
        self._phase("quiet", 0, lengths.quiet)
        cut_off = [("host a cut off", "a", 1)]
        if lengths.fill_spool:
            cut_off.append(("host b cut off, its spool 2 MiB", "b", 4))
        for name, host, broken in cut_off:
            self._phase(
                name,
                broken,
                lengths.cut,
                lambda host=host: setattr(cluster.wire, "cut", frozenset([cluster.hosts[host]])),
                lambda: setattr(cluster.wire, "cut", frozenset()),
            )
        self._phase(
            "200 ms each way, 5 % loss",
            2,
            lengths.delay,
            lambda: self._set_line(0.2, 0.05),
            lambda: self._set_line(0.0, 0.0),
        )
        for name, node, broken, seconds in (
            ("central daemon killed", "central", 5, lengths.central_away),
            ("relay of host a killed", "a", 3, lengths.relay_away),
        ):
            self._phase(
                name,
                broken,
                seconds,
                cluster.nodes[node].kill,
                lambda node=node: cluster.on(node, "start"),
            )
        self._lose_host_b()
        self._end_training()

    def _set_line(self, delay, loss):
        self.cluster.wire.delay, self.cluster.wire.loss = delay, loss

    def _phase(self, name, broken, seconds, begin=lambda: None, end=lambda: None):
        self._say(name)
        phase = Phase(name, time.monotonic())
        self.phases.append(phase)
        begin()
        time.sleep(seconds)
        end()
        self._come_back(phase, broken)

    def _come_back(self, phase, broken):
        """The fault is over: until all is judged, and until an alert about rank `broken` is heard."""
        over = time.monotonic()
        until(self.cluster.is_caught_up, f"{phase.name}: what waited to be judged", 120)
        phase.caught_up = time.monotonic() - over
        told = time.monotonic()
        (self.folder / f"break-{broken}").touch()
        try:
            until(lambda: self._all_heard(broken, told), f"{phase.name}: an alert about rank {broken}", 60)
        except TimeoutError as error:
            self.problems.append(str(error))
        phase.heard = time.monotonic() - told
        phase.ended = time.monotonic()

    def _all_heard(self, broken, since):
        expected = ["NonFinite", str(broken)]
        return all(
            any(words == expected and float(at) > since for at, *words in self.cluster.lines(self.cluster.life, rank, "alert"))
            for rank in self.cluster.live_ranks()
        )

    def _lose_host_b(self):
        """Its processes and links are gone at once; the training fails, and goes on with the other host's ranks."""
        cluster = self.cluster
        self._say("host b gone")
        phase = Phase("host b gone", time.monotonic())
        self.phases.append(phase)
        self.dropped["relay"] = sum(sum(cluster.on(name, "dropped").values()) for name in ("a", "b"))
        cluster.wire.cut = frozenset([cluster.hosts["b"]])
        self.gone_at = time.monotonic()
        cluster.ranks["b"].kill()
        cluster.nodes["b"].kill()
        cluster.ranks["a"].process.wait(timeout=60)
        last = cluster.newest_reported()
        # Reports of ranks that start anew are void in frames that are still open.
        until(lambda: cluster.newest_judged() >= last, "the frames without host b", self.lengths.frame_wait + 30)
        cluster.start_ranks(("a",), (last // BLOCK + 1) * BLOCK)
        until(lambda: cluster.newest_reported() > last, "the training to go on", 90)
        time.sleep(self.lengths.relay_away)
        self._come_back(phase, 1)

    def _end_training(self):
        (self.folder / "stop").touch()
        ranks = self.cluster.ranks["a"]
        if ranks.process.wait(timeout=90):
            self.problems.append(f"the ranks of host a failed: {ranks.log.read_text()}")
        until(lambda: self.cluster.newest_judged() >= self.cluster.newest_reported(), "the last frame", 30)
        for rank in self.cluster.live_ranks():
            ((made, acknowledged, dropped, queued),) = self.cluster.lines(self.cluster.life, rank, "end")
            if (acknowledged, dropped, queued) != (made, "0", "0"):
                self.problems.append(f"rank {rank}: {acknowledged} of {made} acknowledged, {dropped} dropped, {queued} left")

    def _count(self):
        """What was made against what the daemon exports, and its counts of what is missing."""
        cluster = self.cluster
        exported = cluster.hosts["central"].inside(
            subprocess.run,
            [BUILD / "cli" / "muster", "export", RUN, "--what=ranks", "--format=jsonl"],
            env={**os.environ, "MUSTER_ADDRESS": cluster.nodes["central"].address},
            capture_output=True,
            text=True,
            check=True,
        )
        judged = collections.defaultdict(list)
        for line in exported.stdout.splitlines():
            row = json.loads(line)
            judged[row["attempt"], int(row["step"]), row["rank"]].append(row["loss"])
        (listed,) = cluster.get("/api/v1/runs")["runs"]
        causes = [attempt["cause"] for attempt in listed["attempts"]]
        if causes != ["start", "resize"]:
            self.problems.append(f"attempts began by {causes}")
        metrics = cluster.on("central", "metrics")
        for where in ("client", "late"):
            self.dropped[where] = metrics.get(f'muster_reports_dropped_total{{run="{RUN}",where="{where}"}}', 0)
        made = self._made()
        self._tabulate(made, judged)
        missing = sum(row["missing"] for row in self.rows)
        if missing != self.dropped["client"] + self.dropped["late"]:
            self.problems.append(f"{missing} reports are missing, but counted as dropped: {self.dropped}")
        if self.dropped["relay"] != self.dropped["client"]:
            self.problems.append(f"the relays' count of what they dropped is not that of the daemon: {self.dropped}")
        for key in judged.keys() - made.keys():
            # The rank was killed between its report and its note of it.
            life, step, rank = key
            if rank not in RANKS_OF["b"] or step < max(s for l, s, r in made if r == rank):
                self.problems.append(f"judged, but never made: attempt, step, rank {key}")

    def _made(self):
        """(life, step, rank) → (time, loss)."""
        return {
            (life, int(step), rank): (float(at), float(loss))
            for life in range(1, self.cluster.life + 1)
            for rank in range(8)
            for at, step, loss in self.cluster.lines(life, rank, "report")
        }

    def _tabulate(self, made, judged):
        steps = self._steps()
        begins = [-math.inf, *(phase.began for phase in self.phases[1:]), math.inf]
        for phase, begin, end in zip(self.phases, begins, begins[1:]):
            ours = {key: value for key, value in made.items() if begin <= value[0] < end}
            gone = [
                key
                for key, (at, _) in ours.items()
                if key not in judged and key[2] in RANKS_OF["b"] and at > self.gone_at - IN_FLIGHT
            ]
            wrong = [key for key, (_, loss) in ours.items() if any(not _same(loss, other) for other in judged.get(key, []))]
            if wrong:
                self.problems.append(f"{phase.name}: judged with another loss: {wrong[:5]}")
            twice = sum(len(judged[key]) > 1 for key in ours.keys() & judged.keys())
            if twice:
                self.problems.append(f"{phase.name}: {twice} reports were judged twice")
            found = len(ours.keys() & judged.keys())
            ratios = _ratios(steps, phase)
            self.rows.append(
                {
                    "phase": phase.name,
                    "made": len(ours),
                    "judged": found,
                    "missing": len(ours) - found - len(gone),
                    "gone": len(gone),
                    "twice": twice,
                    "step_ms": 1000 * _median(s for _, at, on, s in steps if on and phase.began <= at < phase.ended),
                    "ratios": ratios,
                    "caught_up": phase.caught_up,
                    "heard": phase.heard,
                }
            )

    def _steps(self):
        """(block, when it began, reported, seconds of its slowest rank) of each step that all ranks ended."""
        found = []
        for life, ranks in ((1, range(8)), (2, RANKS_OF["a"])):
            by_step = collections.defaultdict(list)
            for rank in ranks:
                for at, step, on, seconds in self.cluster.lines(life, rank, "step"):
                    by_step[int(step)].append((float(at), bool(int(on)), float(seconds)))
            for step, of_ranks in sorted(by_step.items()):
                if len(of_ranks) == len(ranks):
                    at, on, _ = of_ranks[0]
                    found.append(((life, step // BLOCK), at, on, max(seconds for _, _, seconds in of_ranks)))
        return found


def _same(one, other):
    return one == other or (math.isnan(one) and other is None)


def _median(values):
    values = list(values)
    return statistics.median(values) if values else math.nan


def _ratios(steps, phase):
    """Of each pair of blocks within the phase: the median step with the monitor to that without."""
    blocks = collections.defaultdict(list)
    for (life, block), at, on, seconds in steps:
        if phase.began <= at < phase.ended:
            blocks[life, block // 2, on].append(seconds)
    pairs = [(blocks[life, pair, True], blocks.get((life, pair, False), [])) for life, pair, on in list(blocks) if on]
    return sorted(_median(on) / _median(off) for on, off in pairs if len(on) == len(off) == BLOCK)


def table(rows):
    """The scenario's rows as Markdown."""
    quiet = rows[0]["step_ms"]
    lines = [
        "| phase | made | judged | dropped, counted | gone with its host | twice | step, ms | to the quiet phase | with / without Muster"
        " | quartiles | pairs | caught up after, s | alert heard after, s |",
        "| --- |" + " ---: |" * 12,
    ]
    for row in rows:
        ratios = row["ratios"]
        low, high = (ratios[len(ratios) * quarter // 4] for quarter in (1, 3)) if ratios else (math.nan, math.nan)
        lines.append(
            f"| {row['phase']} | {row['made']} | {row['judged']} | {row['missing']} | {row['gone']} | {row['twice']}"
            f" | {row['step_ms']:.1f} | {row['step_ms'] / quiet:.3f} | {_median(ratios):.3f} | {low:.3f} – {high:.3f}"
            f" | {len(ratios)} | {row['caught_up']:.1f} | {row['heard']:.1f} |"
        )
    return "\n".join(lines)
