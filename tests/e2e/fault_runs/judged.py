"""What `muster replay` says of the stored runs, and what the mean loss alone shows."""

import dataclasses
import fractions
import functools
import json
import lzma
import math
import pathlib
import sqlite3
import subprocess
import tempfile
from typing import Optional

import numpy
from faults import FAULTS, RANKS, Run, runs_of

HISTORIES = pathlib.Path(__file__).resolve().parent / "histories"
# Of the mean loss outside its band in a healthy frame.
RATE = fractions.Fraction(15, 1000)


@dataclasses.dataclass
class JudgedRun:
    run: Run
    steps: list[int]
    losses: numpy.ndarray  # of each frame and rank; NaN where there is none
    alerts: list[dict]  # as they were when they fired, oldest first

    @functools.cached_property
    def found(self) -> Optional[dict]:
        """The first alert of the kind and subject that is due, if one fired."""
        fault = self.run.fault
        for alert in self.alerts:
            if (alert["kind"], alert["subject"]) in [(fault.kind, subject) for subject in fault.subjects]:
                return alert
        return None

    @property
    def delay(self) -> Optional[int]:
        """Frames from the onset until the alert: 1 for the onset's own."""
        return self.found and self.found["last_step"] - self.run.fault.onset + 1

    @property
    def names_right_ranks(self) -> bool:
        """An alert of a run as a whole lists none."""
        if self.found is None:
            return False
        named = self.found["ranks"]
        return named == self.run.ranks or (self.run.fault.all_ranks and not named)

    @property
    def false_alarms(self) -> list[dict]:
        """That began before there was anything wrong."""
        return [alert for alert in self.alerts if not self.run.fault.kind or alert["last_step"] < self.run.fault.onset]

    @functools.cached_property
    def outside_band(self) -> numpy.ndarray:
        """Steps at which the mean loss of the ranks was outside its band."""
        return numpy.array(self.steps)[abs(self.deviations) > 2.5]

    @functools.cached_property
    def deviations(self) -> numpy.ndarray:
        return deviations(numpy.nanmean(self.losses, axis=1))

    def loss_shows(self, first: int, last: int) -> bool:
        """Whether the mean loss left its band in the steps from `first` to `last`
        more often than by chance, or ever by four times its width."""
        seen = [abs(each) for step, each in zip(self.steps, self.deviations) if first <= step <= last]
        judged = [each for each in seen if not math.isnan(each)]
        alarms = sum(each > 2.5 for each in judged)
        return any(each > 10 for each in judged) or at_least(alarms, len(judged), RATE) < fractions.Fraction(1, 100)

    @property
    def mean_loss_saw_it(self) -> bool:
        """Whether the mean loss left its band from the onset until the alert."""
        assert self.found is not None
        onset, raised = self.run.fault.onset, self.found["last_step"]
        return bool(((onset <= self.outside_band) & (self.outside_band <= raised)).any())


def at_least(hits: int, trials: int, rate: fractions.Fraction) -> fractions.Fraction:
    """The upper tail of the binomial distribution."""
    return sum(
        math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(hits, trials + 1)
    )


def deviations(means: numpy.ndarray) -> numpy.ndarray:
    """Of each mean loss from the exponential average, memory 0.97, of those before,
    in exponential standard deviations; NaN for the first 32."""
    memory, first = 0.97, 32
    # Weights of the losses before each, and the first one's for what is older.
    count = len(means)
    average = numpy.empty(count)
    variance = numpy.empty(count)
    for i in range(count):
        weights = (1 - memory) * memory ** numpy.arange(i - 1, -1, -1.0)
        average[i] = weights @ means[:i] + memory**i * means[0]
        variance[i] = weights @ (means[:i] - average[:i]) ** 2
    found = numpy.full(count, numpy.nan)
    found[first:] = (means - average)[first:] / numpy.sqrt(variance[first:])
    return found


def judge(name: str, muster: pathlib.Path) -> list[JudgedRun]:
    """The fault's runs, under the default configuration of `muster`, but for the
    margin where the fault states one."""
    margin = FAULTS[name].margin
    with tempfile.TemporaryDirectory() as folder:
        history = pathlib.Path(folder, "history.db")
        history.write_bytes(lzma.decompress((HISTORIES / f"{name}.db.xz").read_bytes()))
        configuration = pathlib.Path(folder, "musterd.yaml")
        configuration.write_text("" if margin is None else f"detect: {{rank_outlier: {{margin: {margin}}}}}\n")
        command = [muster, "replay", "--history", history, "--config", configuration]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if answer.returncode:
            raise RuntimeError(answer.stderr)
        changes = [json.loads(line)["alert"] for line in answer.stdout.splitlines()]
        return [_judged(run, history, changes) for run in runs_of(name)]


def _judged(run: Run, history: pathlib.Path, changes: list[dict]) -> JudgedRun:
    connection = sqlite3.connect(f"file:{history}?mode=ro", uri=True)
    frames = connection.execute(
        "SELECT step, ranks, loss FROM frame JOIN run USING (run) WHERE name = ? ORDER BY position", (run.id,)
    ).fetchall()
    connection.close()
    losses = numpy.full((len(frames), RANKS), numpy.nan)
    for row, (_, ranks, loss) in zip(losses, frames):
        row[numpy.frombuffer(ranks, "<u4")] = numpy.frombuffer(loss, "<f8")
    fired = [change for change in changes if change["run"] == run.id and change["state"] == "firing"]
    return JudgedRun(run, [step for step, _, _ in frames], losses, fired)
