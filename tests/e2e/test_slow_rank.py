"""A rank of a synchronous run that computes more slowly than the others is named."""

import statistics
import time

import forked_ranks
import torch
from conftest import wait_for
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import muster
import muster.torch

RANKS = 4
SLOW = 2
STEPS = 80
FORWARD_SECONDS = 0.02


class Net(nn.Module):
    """Its forward pass sleeps: what it takes does not depend on the other processes."""

    def __init__(self, seconds):
        super().__init__()
        self.body = nn.Linear(16, 16)
        self.head = nn.Linear(16, 4)
        self._seconds = seconds

    def forward(self, x):
        time.sleep(self._seconds)
        return self.head(torch.tanh(self.body(x)))


def _train(rank, address):
    torch.manual_seed(7)
    seconds = FORWARD_SECONDS * (2 if rank == SLOW else 1)
    ddp = DistributedDataParallel(Net(seconds), bucket_cap_mb=0.001)
    optimizer = torch.optim.SGD(ddp.parameters(), lr=0.1)
    with muster.start(address, "slow", rank, RANKS) as monitor:
        muster.torch.watch(monitor, ddp, optimizer=optimizer)
        for step in range(STEPS):
            generator = torch.Generator().manual_seed(1000 * step + rank)
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


def test_rank_with_a_slow_forward_pass_is_named(musterd):
    forked_ranks.run(RANKS, _train, musterd.grpc)
    alert = wait_for(lambda: _alert_of_step_time(musterd), "the alert")
    assert alert["ranks"] == [SLOW]
    steps = musterd.get("/api/v1/runs/slow/steps", limit=4096, ranks=1)["steps"]
    assert len(steps) == STEPS
    assert not any("computeSeconds" in rank for rank in steps[0]["ranks"])

    def median(field, rank):
        return statistics.median(step["ranks"][rank][field] for step in steps[1:])

    others = [rank for rank in range(RANKS) if rank != SLOW]
    for rank in others:
        # The step lasts as long as the slow rank's, for all.
        ratio = median("stepDurationSeconds", SLOW) / median("stepDurationSeconds", rank)
        assert 0.8 < ratio < 1.25, ratio
        assert median("stepDurationSeconds", rank) >= 2 * FORWARD_SECONDS
        assert median("computeSeconds", SLOW) > 1.4 * median("computeSeconds", rank)
