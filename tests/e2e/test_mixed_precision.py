"""Under a loss scaler norms are those of the true gradient, and steps whose
gradient overflows are counted, left out of the measures and, now and then,
healthy."""

import forked_ranks
import numpy
import pytest
import torch
import torch_variants
from conftest import wait_for

import muster
import muster.torch

INFINITY = float("inf")


def steps_and_ranks(musterd):
    """Each step of the run, with the reports of its ranks in their order."""
    return musterd.get("/api/v1/runs/run/steps", ranks=1)["steps"]


def fired(musterd):
    alerts = musterd.get("/api/v1/alerts").get("alerts", [])
    return [(alert["kind"], alert["subject"], alert["firstStep"]) for alert in alerts]


# --- A scale that the script states


def _report(address, gradients):
    """gradients: (true gradient, scale or None) of each step."""
    with muster.start(address, "run", 0, 1) as monitor:
        for step, (gradient, scale) in enumerate(gradients):
            monitor.observe(0, numpy.array(gradient, numpy.float32) * (scale or 1))
            monitor.end_step(step, loss=1.0, grad_scale=scale)


GOOD = [3.0, 4.0]
BAD = [3.0, INFINITY]


def test_stated_scale_is_divided_out_and_overflows_are_skipped(musterd):
    scales = [65536.0, 65536.0, 32768.0, 1.0]
    gradients = list(zip([GOOD, BAD, GOOD, GOOD], scales))
    forked_ranks.call(_report, musterd.grpc, gradients)
    steps = steps_and_ranks(musterd)
    reports = [step["ranks"][0] for step in steps]
    assert [report.get("gradientNorm") for report in reports] == [5, None, 5, 5]
    assert [int(report["nonfiniteCount"]) for report in reports] == [0, 1, 0, 0]
    assert [step["directions"] for step in steps] == [1, 0, 1, 1]
    assert [step.get("gradientNormMean") for step in steps] == [5, None, 5, 5]
    assert fired(musterd) == []


def test_scale_that_is_no_scale_gives_no_norm(musterd):
    forked_ranks.call(_report, musterd.grpc, [(GOOD, 1.0), (GOOD, -2.0), (GOOD, INFINITY)])
    reports = [step["ranks"][0] for step in steps_and_ranks(musterd)]
    assert [report.get("gradientNorm") for report in reports] == [5, None, None]


# (scale, overflowing steps in a row): the step at which the alert says it began.
@pytest.mark.parametrize(
    "scale, overflows, began", [(1024.0, 4, None), (1024.0, 5, 1), (None, 1, 1)]
)
def test_overflows_in_a_row(musterd, scale, overflows, began):
    gradients = [(GOOD, scale)] + [(BAD, scale)] * overflows + [(GOOD, scale)]
    forked_ranks.call(_report, musterd.grpc, gradients)
    path = "/api/v1/runs/run/steps"
    wait_for(lambda: len(musterd.get(path)["steps"]) == len(gradients), "all steps")
    expected = [] if began is None else [("NonFinite", "gradient", str(began))]
    assert fired(musterd) == expected


# --- A scaler under DDP


class Scaler:
    """What torch's GradScaler does, which in 1.13 asks for CUDA: a step whose
    gradient overflows is skipped and halves the scale."""

    def __init__(self, scale):
        self._scale = scale

    def is_enabled(self):
        return True

    def get_scale(self):
        return self._scale

    def step(self, optimizer, model):
        """True if the step was taken."""
        for parameter in model.parameters():
            parameter.grad /= self._scale
        finite = all(bool(p.grad.isfinite().all()) for p in model.parameters())
        if finite:
            optimizer.step()
        else:
            self._scale /= 2
        return finite


def _train(rank, address):
    """For each step: (norm of this rank's true gradient, whether it was taken)."""
    variant = torch_variants.VARIANTS["plain"]
    model, ddp = torch_variants.build(variant)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    # Beyond float32 at first; then elements whose squares are.
    scaler = Scaler(2.0**130)
    done = []
    with muster.start(address, "run", rank, 2) as monitor:
        muster.torch.watch(monitor, ddp, scaler=scaler)
        for step in range(8):
            true = torch_variants.local_gradient(model, variant, rank, step)
            optimizer.zero_grad()
            ((images, targets, use_side),) = torch_variants.micro_batches(variant, rank, step)
            loss = torch.nn.functional.cross_entropy(ddp(images, use_side), targets)
            (loss * scaler.get_scale()).backward()
            monitor.end_step(step, loss=loss)
            done.append((float(true.double().norm()), scaler.step(optimizer, model)))
    return done


def test_scaler_under_ddp(musterd):
    ranks = forked_ranks.run(2, _train, musterd.grpc)
    taken = [step[1] for step in ranks[0]]
    assert 2 <= taken.count(False) <= 4 and taken == sorted(taken)
    steps = wait_for(
        lambda: (found := steps_and_ranks(musterd)) and len(found) == 8 and found, "all steps"
    )
    for number, step in enumerate(steps):
        for rank, report in enumerate(step["ranks"]):
            if taken[number]:
                assert report["gradientNorm"] == pytest.approx(ranks[rank][number][0], rel=1e-5)
                assert report["nonfiniteCount"] == "0"
            else:
                assert "gradientNorm" not in report
                assert int(report["nonfiniteCount"]) > 0
        assert step["directions"] == (2 if taken[number] else 0)
    assert fired(musterd) == []
