"""A training on two hosts that report to a third, while hosts, network and Muster itself fail one after the other."""

import collections
import dataclasses
import json
import math
import os
import statistics
import subprocess
import time

from conftest import BUILD
from training_hosts import BLOCK, RANKS_OF, RUN, Cluster, until

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
    # The daemon's frames wait so long for a host that is cut off: that, and until its spool is drained.
    frame_wait: float
    fill_spool: float  # cuts the host with the small spool off; 0: not


FULL = Lengths(quiet=30, cut=60, delay=30, central_away=20, relay_away=15, frame_wait=95, fill_spool=80)
SHORT = Lengths(quiet=3, cut=5, delay=5, central_away=3, relay_away=2, frame_wait=20, fill_spool=0)


@dataclasses.dataclass
class Phase:
    name: str
    began: float  # monotonic seconds
    ended: float = math.inf
    caught_up: float = 0.0  # seconds after the fault's end
    heard: float = 0.0  # seconds after a rank's NaN, until the last live rank's on_alert


class Scenario:
    """All phases in order, and what became of each report."""

    def __init__(self, folder, lengths, say=lambda text: None):
        self.folder, self.lengths, self._say = folder, lengths, say
        self.phases, self.problems = [], []
        self.gone_at = math.inf
        self.dropped = {}  # where → reports
        self.rows = []

    def run(self):
        self.cluster = Cluster(self.folder, self.lengths.frame_wait)
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
        cut_off = [("host a cut off", "a", 1, lengths.cut)]
        if lengths.fill_spool:
            cut_off.append(("host b cut off, its spool 1 MiB", "b", 4, lengths.fill_spool))
        for name, host, broken, seconds in cut_off:
            self._phase(
                name,
                broken,
                seconds,
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
            any(
                words == expected and float(at) > since
                for at, *words in self.cluster.lines(self.cluster.life, rank, "alert")
            )
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
                self.problems.append(f"rank {rank}: of {made} {acknowledged} settled, {dropped} dropped, {queued} left")

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
            wrong = [
                key for key, (_, loss) in ours.items() if any(not _same(loss, other) for other in judged.get(key, []))
            ]
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


def interval(ratios):
    """Between what the median is with 95 % confidence, by the order of independent values alone."""
    below = int((len(ratios) - 1.96 * math.sqrt(len(ratios))) / 2)
    if below < 1:
        return -math.inf, math.inf  # too few
    return ratios[below - 1], ratios[-below]


def table(rows):
    """The scenario's rows as Markdown."""
    quiet = rows[0]["step_ms"]
    lines = [
        "| phase | made | judged | dropped | gone with the host | twice | step, ms | to the quiet phase"
        " | with / without Muster | 95 % | pairs | caught up, s | alert heard, s |",
        "| --- |" + " ---: |" * 12,
    ]
    for row in rows:
        low, high = interval(row["ratios"])
        lines.append(
            f"| {row['phase']} | {row['made']} | {row['judged']} | {row['missing']} | {row['gone']} | {row['twice']}"
            f" | {row['step_ms']:.1f} | {row['step_ms'] / quiet:.3f} | {_median(row['ratios']):.3f}"
            f" | {low:.3f} – {high:.3f} | {len(row['ratios'])} | {row['caught_up']:.1f} | {row['heard']:.1f} |"
        )
    return "\n".join(lines)
