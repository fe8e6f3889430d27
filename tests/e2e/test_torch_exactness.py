"""What Muster measures on a real run equals NumPy on the full gradients."""

import copy
import math
import sys

import forked_ranks
import numpy
import pytest
import torch
from conftest import ROOT, wait_for
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import muster
import muster.torch

sys.path.append(str(ROOT / "examples" / "torch_ddp"))

from gpt import GPT  # noqa: E402
from text import StandardLibrary  # noqa: E402

RANKS = 8
STEPS = 30
CONTEXT = 48
WIDTH = 1024  # of the sketch
# The daemon's averages of the noise scale keep this weight at each frame, and
# are published from this many frames on.
DECAY = 0.95
MINIMUM_FRAMES = 8


def batch_size(rank):
    """Unequal on purpose: weights enter the loss mean and the noise scale."""
    return 4 if rank % 2 else 6


def flat_gradient(model, tokens, targets):
    """The local gradient without DDP, on a copy."""
    twin = copy.deepcopy(model)
    for parameter in twin.parameters():
        parameter.grad = None
    nn.functional.cross_entropy(twin(tokens).flatten(0, 1), targets.flatten()).backward()
    return torch.cat([parameter.grad.flatten() for parameter in twin.parameters()]).numpy()


def _train(rank, address):
    """This rank's losses and full local gradients, as (STEPS,) and (STEPS, d)."""
    torch.manual_seed(3)
    # Dropout would draw other masks in the two backward passes.
    model = GPT(length=CONTEXT, dropout=0.0)
    ddp = DistributedDataParallel(model, bucket_cap_mb=0.05)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    text = StandardLibrary(CONTEXT)
    generator = torch.Generator().manual_seed(rank)
    losses, gradients = [], []
    with muster.start(address, "exactness", rank, RANKS, sketch_width=WIDTH) as monitor:
        muster.torch.watch(monitor, ddp)
        for step in range(STEPS):
            window = text[torch.randint(len(text), (batch_size(rank),), generator=generator)]
            tokens, targets = window[:, :-1], window[:, 1:]
            gradients.append(flat_gradient(model, tokens, targets))
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(ddp(tokens).flatten(0, 1), targets.flatten())
            loss.backward()
            monitor.end_step(step, loss=loss, weight=targets.numel())
            optimizer.step()
            losses.append(loss.item())
    return numpy.array(losses), numpy.stack(gradients)


class Truth:
    """The numbers of each step from full gradients, in double precision."""

    def __init__(self, losses, gradients):
        self.losses = losses  # (ranks, steps)
        count = RANKS * (RANKS - 1)
        self.weights = numpy.array([batch_size(rank) * CONTEXT for rank in range(RANKS)])
        # Cosines of all pairs, one matrix a step: (steps, ranks, ranks).
        products = numpy.stack(
            [g @ g.T for g in gradients.astype(numpy.float64).transpose(1, 0, 2)]
        )
        self.norms = numpy.sqrt(numpy.diagonal(products, axis1=1, axis2=2))
        units = products / self.norms[:, :, None] / self.norms[:, None, :]
        self.cosine_mean = (units.sum((1, 2)) - RANKS) / count
        # u_i · (S − u_i) over the length of S − u_i.
        with_sum = units.sum(2)
        rest = numpy.sqrt(units.sum((1, 2))[:, None] - 2 * with_sum + 1)
        self.rank_cosines = (with_sum - 1) / rest
        self.squares = (self.norms**2).mean(1)
        self.gradient_square = (products.sum((1, 2)) - (self.norms**2).sum(1)) / count
        self.batch = RANKS / (1 / self.weights).sum()

    def averages(self, step):
        """(|G|², mean n²) averaged over the steps up to `step`."""
        ages = numpy.arange(step, -1, -1)
        decayed = DECAY**ages / (DECAY**ages).sum()
        return decayed @ self.gradient_square[: step + 1], decayed @ self.squares[: step + 1]


def pair_error(cosine):
    """Standard error of one pair's cosine (design, section 5)."""
    return (1 - cosine**2) / math.sqrt(WIDTH)


def mean_error(cosine):
    """Standard error of the mean over all pairs (design, section 5)."""
    n = RANKS
    inner = (
        2 * cosine**2 * (1 + 1 / n) + 4 * cosine * (1 - cosine) / n + 2 / (n * (n - 1))
    )
    return (1 - cosine) * math.sqrt(inner / WIDTH)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(what the daemon says of each step, the truth)."""
    from conftest import Musterd

    daemon = Musterd(tmp_path_factory.mktemp("musterd"))
    try:
        results = forked_ranks.run(RANKS, _train, daemon.grpc)

        def judged():
            steps = daemon.get("/api/v1/runs/exactness/steps", ranks=1).get("steps", [])
            return steps if len(steps) == STEPS else None

        steps = wait_for(judged, f"{STEPS} judged frames")
    finally:
        daemon.stop()
    losses, gradients = (numpy.stack(parts) for parts in zip(*results))
    assert gradients.shape[2] >= 2**16
    return steps, Truth(losses, gradients)


def of_ranks(steps, name):
    return numpy.array([[rank[name] for rank in step["ranks"]] for step in steps])


def column(steps, name):
    return numpy.array([step[name] for step in steps])


def test_all_frames_are_complete_and_in_order(run):
    steps, _ = run
    assert [int(step.get("step", 0)) for step in steps] == list(range(STEPS))
    assert all(step["ranksReporting"] == step["directions"] == RANKS for step in steps)


def test_norms_agree(run):
    steps, truth = run
    numpy.testing.assert_allclose(of_ranks(steps, "gradientNorm"), truth.norms, rtol=1e-5)
    numpy.testing.assert_allclose(
        column(steps, "gradientNormMean"), truth.norms.mean(1), rtol=1e-5
    )


def test_dispersions_agree(run):
    steps, truth = run
    losses = truth.losses.T
    weighted = losses @ truth.weights / truth.weights.sum()
    numpy.testing.assert_allclose(column(steps, "lossMean"), weighted, rtol=1e-12)
    numpy.testing.assert_allclose(column(steps, "lossStddev"), losses.std(1), rtol=1e-9)
    numpy.testing.assert_allclose(column(steps, "lossRange"), numpy.ptp(losses, 1), rtol=1e-9)
    # Norms agree to 1e-5; so does their spread, relative to their size.
    for name, expected in (
        ("gradientNormStddev", truth.norms.std(1)),
        ("gradientNormRange", numpy.ptp(truth.norms, 1)),
    ):
        difference = abs(column(steps, name) - expected)
        assert (difference <= 2e-5 * truth.norms.mean(1)).all()


def test_mean_cosine_agrees_within_four_standard_errors(run):
    steps, truth = run
    error = abs(column(steps, "gradientCosineMean") - truth.cosine_mean)
    allowed = [4 * mean_error(cosine) for cosine in truth.cosine_mean]
    assert (error <= allowed).all(), (error / allowed).max()


def test_rank_cosines_agree_within_four_standard_errors(run):
    steps, truth = run
    error = abs(of_ranks(steps, "gradientCosine") - truth.rank_cosines)
    allowed = 4 * pair_error(truth.rank_cosines)
    assert (error <= allowed).all(), (error / allowed).max()


def test_noise_scale_agrees_within_four_standard_errors_of_the_cosine(run):
    steps, truth = run
    published = 0
    for step in range(STEPS):
        if "gradientNoiseScale" not in steps[step]:
            continue
        published += 1
        gradient_square, square = truth.averages(step)
        # An error of the mean cosine moves |G|² by that share of mean n². The
        # projection is fixed, so averaging over steps is not counted on.
        error = 4 * square * mean_error(gradient_square / square)
        lowest, highest = (
            truth.batch * (square - moved) / moved
            for moved in (gradient_square + error, gradient_square - error)
        )
        assert lowest <= steps[step]["gradientNoiseScale"] <= highest
        assert not steps[step].get("noiseScaleInBatches", False)
    assert published >= STEPS - MINIMUM_FRAMES
