"""A rank of a synchronous run that takes longer by itself than the others is named."""

import statistics
import time

import forked_ranks
import pytest
import torch
from conftest import wait_for
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import muster
import muster.torch

RANKS = 4
STEPS = 80
SECONDS = 0.02


class Net(nn.Module):
    """Its forward pass sleeps: what it takes does not depend on the other processes."""

    def __init__(self, seconds, with_buffer):
        super().__init__()
        if with_buffer:
            # DDP broadcasts it before each forward pass, and ranks wait for each other.
            self.register_buffer("scale", torch.ones(16))
        self.body = nn.Linear(16, 16)
        self.head = nn.Linear(16, 4)
        self._seconds = seconds

    def forward(self, x):
        time.sleep(self._seconds)
        return self.head(torch.tanh(self.body(x)))


def _train(rank, address, slow, loads):
    """What takes its time is loading the data, for a model with a buffer, or the
    forward pass."""
    torch.manual_seed(7)
    seconds = SECONDS * (2 if rank == slow else 1)
    net = Net(0 if loads else seconds, with_buffer=loads)
    ddp = DistributedDataParallel(net, bucket_cap_mb=0.001)
    optimizer = torch.optim.SGD(ddp.parameters(), lr=0.1)
    with muster.start(address, "slow", rank, RANKS) as monitor:
        muster.torch.watch(monitor, ddp, optimizer=optimizer)
        for step in range(STEPS):
            generator = torch.Generator().manual_seed(1000 * step + rank)
            if loads:
                time.sleep(seconds)
            optimizer.zero_grad()
            loss = (ddp(torch.randn(8, 16, generator=generator)) ** 2).mean()
            loss.backward()
            optimizer.step()
            monitor.end_step(step, loss=loss)


def _alert_of_step_time(musterd):
    for alert in musterd.get("/api/v1/alerts").get("alerts", []):
        subjects = [piece["subject"] for piece in alert.get("pieces", [])]
        if alert["kind"] == "RankOutlier" and "step_time" in subjects:
            return alert
    return None


@pytest.mark.parametrize(
    "slow, loads",
    [
        pytest.param(2, False, id="rank 2, forward pass"),
        pytest.param(3, True, id="rank 3, before buffers are broadcast"),
        pytest.param(0, True, id="rank 0, before buffers are broadcast"),
    ],
)
def test_slow_rank_is_named(musterd, slow, loads):
    forked_ranks.run(RANKS, _train, musterd.grpc, slow, loads)
    alert = wait_for(lambda: _alert_of_step_time(musterd), "the alert")
    assert alert["ranks"] == [slow]
    steps = musterd.get("/api/v1/runs/slow/steps", limit=4096, ranks=1)["steps"]
    assert len(steps) == STEPS
    assert not any("computeSeconds" in rank for rank in steps[0]["ranks"])

    def median(field, rank):
        return statistics.median(step["ranks"][rank][field] for step in steps[1:])

    others = [rank for rank in range(RANKS) if rank != slow]
    for rank in others:
        # The step lasts as long as the slow rank's, for all.
        ratio = median("stepDurationSeconds", slow) / median("stepDurationSeconds", rank)
        assert 0.8 < ratio < 1.25, ratio
        assert median("stepDurationSeconds", rank) >= 2 * SECONDS
        assert median("computeSeconds", slow) > 1.4 * median("computeSeconds", rank)
        # What it waits for the slow one is not its own.
        assert median("computeSeconds", rank) < 1.7 * SECONDS
