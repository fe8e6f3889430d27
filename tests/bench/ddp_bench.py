"""Step times of a DDP run with the monitor and without it, beside good and bad daemons.

usage: ddp_bench.py [--json FILE] [--only DAEMON,…] [--pairs N] [--steps N]

Two ranks train the example's GPT over Gloo, each on one thread. In one process
group, blocks of steps with a monitor and without one take turns. Without one there
is no client, and the same hook runs the same reduction, so that what differs is
Muster alone. Each ratio is the median of pairs of neighbouring blocks; a step takes
as long as its slower rank.
"""

import argparse
import json
import math
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "examples" / "torch_ddp")]

import bad_daemons  # noqa: E402
import conftest  # noqa: E402
import forked_ranks  # noqa: E402
import gpt  # noqa: E402
import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

import muster  # noqa: E402
import muster.torch  # noqa: E402

RANKS = 2
WIDTH, LAYERS, HEADS = 128, 2, 4
BATCH, LENGTH = 4, 64
WARM_UP_STEPS = 10
SPOILED_AT = 10  # step of a stretch with a monitor
HEALTHY = "healthy"


class Switch:
    """Stands in for the DDP that watch() gives its hook to, so that the hook can be
    taken out again: DDP itself keeps the first one for ever."""

    def __init__(self, ddp):
        self.process_group = ddp.process_group
        self.module = ddp.module
        self._ddp = ddp
        self._hook = None
        self._before_forward = []
        ddp.register_comm_hook(None, self._reduce)

    def register_comm_hook(self, state, hook):
        self._hook = hook

    def register_forward_pre_hook(self, hook):
        self._before_forward.append(self._ddp.register_forward_pre_hook(hook))
        return self._before_forward[-1]

    def take_out(self):
        self._hook = None
        for handle in self._before_forward:
            handle.remove()
        self._before_forward.clear()

    def _reduce(self, _, bucket):
        if self._hook is None:
            return muster.torch.default_reduce(self.process_group, bucket)
        return self._hook(None, bucket)


class Trainer:
    def __init__(self, rank):
        torch.manual_seed(7)
        self._model = gpt.GPT(LENGTH, WIDTH, LAYERS, HEADS)
        self._ddp = DistributedDataParallel(self._model)
        self._optimizer = torch.optim.AdamW(self._model.parameters(), lr=1e-3)
        generator = torch.Generator().manual_seed(rank)
        self._data = torch.randint(256, (64, BATCH, LENGTH + 1), generator=generator)
        self._step = 0
        self.switch = Switch(self._ddp)

    @property
    def parameter_count(self):
        return sum(parameter.numel() for parameter in self._model.parameters())

    def step(self, monitor):
        """Seconds of one step, up to the end of its report."""
        batch = self._data[self._step % len(self._data)]
        started = time.perf_counter()
        self._optimizer.zero_grad()
        logits = self._ddp(batch[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        self._optimizer.step()
        if monitor is not None:
            monitor.end_step(self._step, loss=loss, weight=batch[:, 1:].numel())
        self._step += 1
        return time.perf_counter() - started


class Stretch:
    """Blocks in a row with one monitor."""

    def __init__(self, daemon, name, rank, trainer):
        self._daemon = daemon
        self._rank = rank
        self._steps = 0
        self.observing = 0.0  # seconds
        self.monitor = muster.start(daemon.address, name, rank, RANKS, flush_timeout=0.5)
        observe = self.monitor.observe

        def timed(*arguments, **keywords):
            started = time.perf_counter()
            observe(*arguments, **keywords)
            self.observing += time.perf_counter() - started

        self.monitor.observe = timed
        muster.torch.watch(self.monitor, trainer.switch)
        if daemon.answers:
            conftest.wait_for(lambda: self.monitor.stats().connected, "the daemon")

    def after_step(self):
        self._steps += 1
        if self._steps == SPOILED_AT and self._rank == 0:
            # Between two steps: it is in the time of none.
            self._daemon.spoil()

    def end(self, trainer):
        """The counts, which have to add up."""
        stats = self.monitor.stats()
        trainer.switch.take_out()
        dist.barrier()
        if self._rank == 0:
            self._daemon.mend()
        self.monitor.close()
        counted = stats.acknowledged + stats.dropped + stats.queued
        if stats.made != counted or stats.made != self._steps:
            raise RuntimeError(f"{self._steps} steps, but {stats}")
        most = SPOILED_AT if self._daemon.answers and not self._daemon.recovers else self._steps
        if not self._daemon.answers:
            most = 0
        if not min(most, 1) <= stats.acknowledged <= most:
            raise RuntimeError(f"the daemon should acknowledge at most {most}: {stats}")
        return stats


def train(rank, daemon, name, pairs, steps):
    """(parameters, blocks, counts): blocks of (with a monitor, seconds of each step,
    seconds inside observe), and the counts at the end of each stretch."""
    trainer = Trainer(rank)
    for _ in range(WARM_UP_STEPS):
        trainer.step(None)
    blocks, counts = [], []
    stretch = None
    for block in range(2 * pairs):
        # The one first, then the other.
        attached = block % 4 in (1, 2)
        if attached and stretch is None:
            stretch = Stretch(daemon, name, rank, trainer)
        elif not attached and stretch is not None:
            counts.append(stretch.end(trainer))
            stretch = None
        dist.barrier()
        seconds = []
        before = stretch.observing if stretch else 0.0
        for _ in range(steps):
            seconds.append(trainer.step(stretch and stretch.monitor))
            if stretch:
                stretch.after_step()
        blocks.append((attached, seconds, stretch.observing - before if stretch else 0.0))
    if stretch is not None:
        counts.append(stretch.end(trainer))
    return trainer.parameter_count, blocks, counts


def percentile_99(seconds):
    return sorted(seconds)[math.ceil(0.99 * len(seconds)) - 1]


def summarize(results):
    """Numbers of one run, from what train() gave on each rank."""
    blocks = []
    for of_ranks in zip(*(blocks for _, blocks, _ in results)):
        slower = [max(step) for step in zip(*(seconds for _, seconds, _ in of_ranks))]
        blocks.append((of_ranks[0][0], slower, max(observing for _, _, observing in of_ranks)))
    medians, tails, shares = [], [], []
    for one, other in zip(blocks[::2], blocks[1::2]):
        (_, without, _), (_, attached, observing) = sorted([one, other], key=lambda b: b[0])
        medians.append(statistics.median(attached) / statistics.median(without))
        tails.append(percentile_99(attached) / percentile_99(without))
        shares.append(observing / sum(attached))
    counts = [stats for _, _, counts in results for stats in counts]
    return {
        "parameters": results[0][0],
        "step_ms": 1000 * statistics.median(
            statistics.median(seconds) for attached, seconds, _ in blocks if not attached
        ),
        "step_ratio": statistics.median(medians),
        "step_ratio_low": min(medians),
        "step_ratio_high": max(medians),
        "p99_ratio": statistics.median(tails),
        "sketch_share": statistics.median(shares),
        "made": sum(stats.made for stats in counts),
        "acknowledged": sum(stats.acknowledged for stats in counts),
        "dropped": sum(stats.dropped for stats in counts),
        "queued": sum(stats.queued for stats in counts),
    }


def run(name, pairs, steps):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        if name == HEALTHY:
            musterd = conftest.Musterd(path)
            try:
                daemon = bad_daemons.BadDaemon(musterd.grpc, answers=True, recovers=True)
                return summarize(forked_ranks.run(RANKS, train, daemon, name, pairs, steps))
            finally:
                musterd.stop()
        with bad_daemons.KINDS[name](path) as daemon:
            return summarize(forked_ranks.run(RANKS, train, daemon, name, pairs, steps))


def main():
    names = [HEALTHY, *bad_daemons.KINDS]
    parser = argparse.ArgumentParser()
    parser.add_argument("--json")
    parser.add_argument("--only", default=",".join(names), help="daemons: " + ", ".join(names))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="of a block")
    arguments = parser.parse_args()
    for name in arguments.only.split(","):
        if name not in names:
            parser.error(f"--only: no daemon {name!r}; there are: {', '.join(names)}")
    if arguments.pairs < 1 or arguments.steps <= SPOILED_AT:
        parser.error(f"--pairs: at least 1; --steps: more than {SPOILED_AT}")

    numbers = {}
    for name in arguments.only.split(","):
        # The headline gets a few more pairs.
        pairs = arguments.pairs + 2 if name == HEALTHY else arguments.pairs
        for key, value in run(name, pairs, arguments.steps).items():
            if name == HEALTHY or key not in ("parameters", "sketch_share"):
                key = f"ddp.{key}" if name == HEALTHY else f"ddp.{name}.{key}"
                numbers[key] = value
                print(f"{key:<46} {value:8.3f}", flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({key: float(f"{v:.6g}") for key, v in numbers.items()}, file)


if __name__ == "__main__":
    main()
