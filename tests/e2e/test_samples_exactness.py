"""What the daemon counts of samples equals set arithmetic in NumPy."""

import forked_ranks
import numpy
import pytest
from conftest import wait_for

import muster

RANKS = 8
PER_REPORT = 4096


def draw(seed, steps, per_step, length):
    """(ranks, steps, per_step) ids: 10 % of a rank's from what all may draw, the
    rest from its own part; some of its own it draws again."""
    random = numpy.random.default_rng(seed)
    own = length // RANKS
    ids = numpy.empty((RANKS, steps, per_step), numpy.int64)
    for rank in range(RANKS):
        alone = rank * own + random.permutation(own)[: steps * per_step]
        again = random.random(alone.size) < 0.05
        alone[again] = random.choice(alone, again.sum())
        others = random.random(alone.size) < 0.1
        alone[others] = random.integers(0, length, others.sum())
        ids[rank] = alone.reshape(steps, per_step)
    return ids


def exact(ids, length):
    """(distinct, shared, repeats, undrawn) by NumPy, and shared by rank."""
    by_rank = [numpy.unique(ids[rank]) for rank in range(RANKS)]
    union, counts = numpy.unique(numpy.concatenate(by_rank), return_counts=True)
    several = union[counts > 1]
    repeats = 1 - sum(map(len, by_rank)) / ids.size
    of_ranks = [numpy.isin(one, several).mean() for one in by_rank]
    return len(union), len(several) / len(union), repeats, 1 - len(union) / length, of_ranks


def send(address, run, ids, length):
    monitors = [
        muster.start(address, run, rank, RANKS, sketch_width=64, facts={"dataset_length": length})
        for rank in range(RANKS)
    ]
    for step in range(ids.shape[1]):
        for rank, monitor in enumerate(monitors):
            monitor.end_step(step, sample_ids=ids[rank, step], epoch=3)
    for monitor in monitors:
        monitor.close()


def judged(musterd, run, steps):
    def last():
        try:
            frames = musterd.get(f"/api/v1/runs/{run}/steps", ranks=1, limit=steps)["steps"]
        except (OSError, KeyError):
            return None
        return frames[-1] if len(frames) == steps else None

    return wait_for(last, f"{steps} frames of {run}")


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_exact_up_to_the_limit(musterd, seed):
    steps, per_step, length = 12, 1000, 120_000
    ids = draw(seed, steps, per_step, length)
    forked_ranks.call(send, musterd.grpc, "exact", ids, length)
    frame = judged(musterd, "exact", steps)
    samples = frame["samples"]
    distinct, shared, repeats, undrawn, of_ranks = exact(ids, length)
    assert int(samples["epoch"]) == 3
    assert samples["distinct"] == distinct
    assert samples["sharedShare"] == pytest.approx(shared, rel=1e-12)
    assert samples["repeatShare"] == pytest.approx(repeats, rel=1e-12)
    assert samples["undrawnShare"] == pytest.approx(undrawn, rel=1e-12)
    shown = [rank["sampleSharedShare"] for rank in frame["ranks"]]
    assert shown == pytest.approx(of_ranks, rel=1e-12)
    for error in ("distinctError", "sharedError", "repeatError", "undrawnError"):
        assert samples.get(error, 0) == 0


def test_figures_beyond_the_limit_are_within_their_stated_error(musterd):
    steps, length = 12, 600_000
    deviations = {"distinct": [], "sharedShare": [], "repeatShare": [], "undrawnShare": []}
    for seed in range(8):
        run = f"sketched-{seed}"
        ids = draw(seed, steps, PER_REPORT, length)
        assert ids.size > 131_072
        forked_ranks.call(send, musterd.grpc, run, ids, length)
        samples = judged(musterd, run, steps)["samples"]
        distinct, shared, repeats, undrawn, _ = exact(ids, length)
        truth = dict(zip(deviations, (distinct, shared, repeats, undrawn)))
        errors = {
            "distinct": samples["distinctError"],
            "sharedShare": samples["sharedError"],
            "repeatShare": samples["repeatError"],
            "undrawnShare": samples["undrawnError"],
        }
        for name, values in deviations.items():
            values.append((samples[name] - truth[name]) / errors[name])
        assert samples["sharedError"] < 0.002 and samples["undrawnError"] < 0.004
    for name, values in deviations.items():
        # 8 standard normal deviations: none beyond 4, and a mean square of 0.2 …
        # 2.75 in all but 1 % of cases (chi-square), if the errors are right.
        assert max(map(abs, values)) < 4, (name, values)
        assert 0.15 < numpy.mean(numpy.square(values)) < 3, (name, values)
