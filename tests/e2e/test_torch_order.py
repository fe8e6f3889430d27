"""Facts, samples, replicas and local updates of real runs, judged by the daemon."""

import math

import forked_ranks
import numpy
import pytest
import torch
import torch.distributed as dist
from conftest import wait_for
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils import data
from torch.utils.data.distributed import DistributedSampler

import muster
import muster.torch

RANKS = 8


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Dropout(0.1))
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(self.body(x))


def build():
    torch.manual_seed(7)
    ddp = DistributedDataParallel(Net(), bucket_cap_mb=0.001)
    return ddp, torch.optim.SGD(ddp.parameters(), lr=0.1, momentum=0.9)


def backward(ddp, optimizer, inputs):
    optimizer.zero_grad()
    loss = (ddp(inputs) ** 2).mean()
    loss.backward()
    return loss


def inputs_of(rank, step):
    generator = torch.Generator().manual_seed(1000 * step + rank)
    return torch.randn(8, 16, generator=generator)


def steps_of(musterd, run, count, **query):
    def judged():
        try:
            steps = musterd.get(f"/api/v1/runs/{run}/steps", limit=4096, **query)
        except OSError:  # 404: not heard of yet
            return None
        steps = steps.get("steps", [])
        return steps if len(steps) >= count else None

    return wait_for(judged, f"{count} frames of {run}")


def alerts_of(musterd, run):
    return [a for a in musterd.get("/api/v1/alerts").get("alerts", []) if a["run"] == run]


# Replicas


def _train_replicas(rank, address, run, steps, missed):
    """`missed`: (rank, step) of an update from the rank's own gradient of `head`,
    as if it had missed that all-reduce."""
    ddp, optimizer = build()
    prints = []
    with muster.start(address, run, rank, RANKS) as monitor:
        muster.torch.watch(monitor, ddp, optimizer=optimizer)
        muster.torch.check_replicas(monitor, ddp, every=2)
        for step in range(steps):
            loss = backward(ddp, optimizer, inputs_of(rank, step))
            monitor.end_step(step, loss=loss)
            prints.append(torch.cat([p.detach().flatten() for p in ddp.parameters()]).numpy())
            if (rank, step) == missed:
                alone = Net()
                alone.load_state_dict(ddp.module.state_dict())
                torch.manual_seed(step)
                (alone(inputs_of(rank, step)) ** 2).mean().backward()
                ddp.module.head.weight.grad.copy_(alone.head.weight.grad)
                ddp.module.head.bias.grad.copy_(alone.head.bias.grad)
            optimizer.step()
    return numpy.stack(prints)


def test_replicas_of_plain_ddp_are_the_same_to_the_bit(musterd):
    steps = 12
    results = forked_ranks.run(RANKS, _train_replicas, musterd.grpc, "same", steps, None)
    for other in results[1:]:
        assert numpy.array_equal(results[0].view(numpy.int32), other.view(numpy.int32))
    judged = steps_of(musterd, "same", steps)
    values = [step.get("replicaValues", 0) for step in judged]
    assert values == [1, 0] * (steps // 2)
    assert all(step["replicaSpread"] == 0 for step in judged[::2])
    assert alerts_of(musterd, "same") == []


def test_rank_that_missed_one_all_reduce_is_named_with_the_group(musterd):
    steps, missed = 10, (2, 3)
    results = forked_ranks.run(RANKS, _train_replicas, musterd.grpc, "missed", steps, missed)
    judged = steps_of(musterd, "missed", steps, ranks=1)
    (alert,) = [a for a in alerts_of(musterd, "missed") if a["kind"] == "ReplicaDrift"]
    assert alert["ranks"] == [2]
    # Parameters are looked at before the update of the same step.
    assert int(alert["firstStep"]) == 4
    assert "head.weight, head.bias" in alert["evidence"]
    parameters = numpy.stack(results).astype(numpy.float64)  # (ranks, steps, d)
    for step in (4, 6, 8):
        assert judged[step]["replicaValues"] == 2
        x = parameters[:, step]
        agreed = numpy.delete(x, 2, axis=0).mean(0)
        true = numpy.linalg.norm(x[2] - agreed) / numpy.linalg.norm(agreed)
        shown = judged[step]["ranks"][2]
        assert shown["replicaDiffers"]
        # Four standard errors of a ratio of two norms, each 1/√(2k).
        assert shown["replicaDistance"] == pytest.approx(true, rel=4 / math.sqrt(1024))
        mean = x.mean(0)
        spread = math.sqrt(((x - mean) ** 2).sum() / RANKS) / numpy.linalg.norm(mean)
        assert judged[step]["replicaSpread"] == pytest.approx(spread, rel=4 / math.sqrt(1024))


# Local updates


def _train_locally(rank, address, steps, period):
    torch.manual_seed(7)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    changes = []
    with muster.start(address, "local", rank, RANKS) as monitor:
        updates = muster.torch.LocalUpdates(monitor, model)
        common = torch.cat([p.detach().flatten() for p in model.parameters()])
        for step in range(steps):
            optimizer.zero_grad()
            loss = (model(inputs_of(rank, step) + rank) ** 2).mean()
            loss.backward()
            optimizer.step()
            now = torch.cat([p.detach().flatten() for p in model.parameters()])
            changes.append((now - common).double().numpy())
            monitor.end_step(step, loss=loss)
            if step % period == period - 1:
                for parameter in model.parameters():
                    dist.all_reduce(parameter.data)
                    parameter.data /= RANKS
                updates.synchronised()
                common = torch.cat([p.detach().flatten() for p in model.parameters()])
    return numpy.stack(changes)


def test_consensus_distance_is_that_of_numpy(musterd):
    steps = 9
    results = forked_ranks.run(RANKS, _train_locally, musterd.grpc, steps, 4)
    changes = numpy.stack(results)  # (ranks, steps, d)
    judged = steps_of(musterd, "local", steps, ranks=1)
    for step in range(steps):
        d = changes[:, step]
        norms = numpy.linalg.norm(d, axis=1)
        shown = [rank["localDistance"] for rank in judged[step]["ranks"]]
        assert shown == pytest.approx(norms.tolist(), rel=1e-5)
        assert judged[step]["localDistanceMean"] == pytest.approx(norms.mean(), rel=1e-5)
        true = math.sqrt(((d - d.mean(0)) ** 2).sum() / RANKS)
        error = judged[step]["consensusError"]
        assert error == pytest.approx(judged[step]["consensusDistance"] / math.sqrt(2 * 1024))
        assert abs(judged[step]["consensusDistance"] - true) <= 4 * error


# Samples


def _draw(rank, address, run, length, epochs, sampling, workers, watched):
    """The ids that this rank drew in each epoch."""
    dataset = data.TensorDataset(torch.arange(length, dtype=torch.float32).unsqueeze(1))
    shuffled = torch.Generator().manual_seed(rank)
    sampler = {
        "distributed": lambda: DistributedSampler(dataset, RANKS, rank, seed=5),
        "never reshuffled": lambda: DistributedSampler(dataset, RANKS, rank, seed=5),
        "not of its rank": lambda: data.RandomSampler(dataset, generator=shuffled),
        "one batch": lambda: DistributedSampler(dataset, RANKS, rank, seed=5),
    }[sampling]()
    inner = sampler
    drawn = []
    with muster.start(address, run, rank, RANKS) as monitor:
        if watched == "sampler":
            sampler = muster.torch.watch_sampler(monitor, sampler)
        loader = data.DataLoader(dataset, 8, sampler=sampler, num_workers=workers)
        if watched == "loader":
            loader = muster.torch.watch_loader(monitor, loader)
        step = 0
        for epoch in range(epochs):
            if sampling == "distributed":
                inner.set_epoch(epoch)
            ids = []
            for (batch,) in loader:
                ids += batch.flatten().int().tolist()
                if sampling == "one batch" and rank == 1:
                    monitor.end_step(step, sample_ids=range(8), epoch=epoch)
                else:
                    monitor.end_step(step)
                step += 1
            drawn.append(ids)
    return drawn, step


def exact_figures(drawn, length):
    """(shared, undrawn, repeats) of one epoch's ids by rank, by set arithmetic."""
    sets = [set(ids) for ids in drawn]
    union = set.union(*sets)
    shared = [sample for sample in union if sum(sample in one for one in sets) > 1]
    draws = sum(map(len, drawn))
    repeats = draws - sum(map(len, sets))
    return len(shared) / len(union), 1 - len(union) / length, repeats / draws


def final_figures(judged):
    return {
        int(step["samples"].get("epoch", 0)): step["samples"]
        for step in judged
        if step.get("samples", {}).get("closed", False)
    }


@pytest.mark.parametrize("watched, workers", [("sampler", 0), ("sampler", 2), ("loader", 2)])
def test_healthy_sampler_raises_nothing_and_is_counted_exactly(musterd, watched, workers):
    length, epochs = 803, 3  # padded: 803 is no multiple of 8
    results = forked_ranks.run(
        RANKS, _draw, musterd.grpc, "healthy", length, epochs, "distributed", workers, watched
    )
    judged = steps_of(musterd, "healthy", results[0][1])
    final = final_figures(judged)
    # The last epoch has no later one that closes it.
    assert sorted(final) == list(range(epochs - 1))
    for epoch, figures in final.items():
        shared, undrawn, repeats = exact_figures([r[0][epoch] for r in results], length)
        assert figures["sharedShare"] == pytest.approx(shared, abs=1e-12) and shared > 0
        assert figures["undrawnShare"] == pytest.approx(undrawn, abs=1e-12)
        assert figures["repeatShare"] == pytest.approx(repeats, abs=1e-12)
        assert figures.get("sharedError", 0) == 0
    assert alerts_of(musterd, "healthy") == []


def shard_alerts(musterd, run):
    return {a["subject"]: a for a in alerts_of(musterd, run) if a["kind"] == "ShardOverlap"}


def test_sampler_that_ignores_the_rank_overlaps(musterd):
    length = 400
    results = forked_ranks.run(
        RANKS, _draw, musterd.grpc, "ignores", length, 2, "not of its rank", 0, "sampler"
    )
    judged = steps_of(musterd, "ignores", results[0][1])
    alert = shard_alerts(musterd, "ignores")["overlap"]
    assert alert.get("ranks", []) == []  # all of them
    assert int(alert["firstStep"]) < length // 8 // 2
    figures = final_figures(judged)[0]
    assert figures["sharedShare"] == 1  # each rank draws all data once
    assert figures["undrawnShare"] == 0
    assert "drawn by more than one rank" in alert["evidence"]


def test_sampler_that_never_reshuffles_is_told(musterd):
    results = forked_ranks.run(
        RANKS, _draw, musterd.grpc, "stale", 800, 3, "never reshuffled", 0, "loader"
    )
    steps_of(musterd, "stale", results[0][1])
    alerts = shard_alerts(musterd, "stale")
    assert set(alerts) == {"order"}
    # 13 batches an epoch; 64 draws are 8 of them.
    assert int(alerts["order"]["firstStep"]) == 13 + 8 - 1
    assert "set_epoch" in alerts["order"]["evidence"]


def test_rank_that_repeats_one_batch_is_named(musterd):
    results = forked_ranks.run(
        RANKS, _draw, musterd.grpc, "repeats", 400, 1, "one batch", 0, "sampler"
    )
    steps_of(musterd, "repeats", results[0][1])
    alert = shard_alerts(musterd, "repeats")["repeats"]
    assert alert["ranks"] == [1]
    assert int(alert["firstStep"]) == 3  # 32 draws


class Stream(data.IterableDataset):
    """Batches that two ranks share."""

    def __init__(self, rank):
        super().__init__()
        self.rank = max(rank, 1)  # rank 0 reads what rank 1 reads

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.rank)
        for _ in range(48):
            yield torch.randn(3, generator=generator)


def _read_stream(rank, address):
    with muster.start(address, "stream", rank, RANKS) as monitor:
        loader = muster.torch.watch_loader(
            monitor, data.DataLoader(Stream(rank), batch_size=None, num_workers=1)
        )
        for step, _ in enumerate(loader):
            monitor.end_step(step)


def test_streams_without_ids_are_recorded_by_batch(musterd):
    forked_ranks.run(RANKS, _read_stream, musterd.grpc)
    judged = steps_of(musterd, "stream", 48)
    assert judged[-1]["samples"]["batches"]
    assert "undrawnShare" not in judged[-1]["samples"]
    assert judged[-1]["samples"]["sharedShare"] == pytest.approx(1 / 7)
    assert shard_alerts(musterd, "stream")["overlap"]["ranks"] == [0, 1]


# Facts


def _train_with_facts(rank, address, run, odd_rank, odd):
    ddp, optimizer = build()
    if odd == "generator" and rank == odd_rank:
        torch.manual_seed(8)
    if odd == "hyperparameters" and rank == odd_rank:
        optimizer.param_groups[0]["momentum"] = 0.8
    with muster.start(address, run, rank, RANKS) as monitor:
        muster.torch.watch(monitor, ddp, optimizer=optimizer)
        for step in range(8):
            if rank == odd_rank and odd == "eval":
                ddp.eval()
            if rank == odd_rank and odd == "part in eval":
                ddp.module.body.eval()
            if rank == odd_rank and odd == "learning rate":
                optimizer.param_groups[0]["lr"] = 0.05
            if rank == odd_rank and odd == "zero":
                ddp.module.body[0].weight.register_hook(torch.zeros_like)
            optimizer.zero_grad()
            micro_batches = 3 if odd == "accumulation" and rank == odd_rank else 2
            for micro in range(micro_batches):
                inputs = inputs_of(rank, 10 * step + micro)
                if micro < micro_batches - 1:
                    with ddp.no_sync():
                        loss = (ddp(inputs) ** 2).mean()
                        loss.backward()
                else:
                    loss = (ddp(inputs) ** 2).mean()
                    loss.backward()
            monitor.end_step(step, loss=loss)
            optimizer.step()


def facts_of(musterd, run):
    ranks = musterd.get(f"/api/v1/runs/{run}/ranks")["ranks"]
    return [{fact["name"]: fact for fact in rank["facts"]} for rank in ranks]


def test_facts_are_stated_without_being_asked_for(musterd):
    forked_ranks.run(RANKS, _train_with_facts, musterd.grpc, "facts", None, None)
    steps_of(musterd, "facts", 8)
    stated = facts_of(musterd, "facts")
    values = {name: [facts[name]["value"] for facts in stated] for name in stated[0]}
    for name, value in {
        "module_mode": "train",
        "optimizer": "SGD",
        "gradient_accumulation": "2",
        "parameter_dtype": "float32",
        "torch_version": torch.__version__,
    }.items():
        assert values[name] == [value] * RANKS
    assert "momentum=0.9" in values["optimizer_hyperparameters"][0]
    assert "deterministic_algorithms=False" in values["determinism"][0]
    assert len(set(values["parameter_shapes"])) == 1
    # Shown, not judged: what generators would draw.
    assert all(facts["rng_torch"].get("shownOnly", False) for facts in stated)
    assert len(set(values["rng_torch"])) == 1  # seeded alike when watch() was called
    assert alerts_of(musterd, "facts") == []


def test_generator_that_is_seeded_apart_is_shown_and_not_judged(musterd):
    forked_ranks.run(RANKS, _train_with_facts, musterd.grpc, "seeded", 0, "generator")
    steps_of(musterd, "seeded", 8)
    states = [facts["rng_torch"]["value"] for facts in facts_of(musterd, "seeded")]
    assert len(set(states[1:])) == 1 and states[0] != states[1]
    assert alerts_of(musterd, "seeded") == []


@pytest.mark.parametrize(
    "odd, subject, value",
    [
        ("eval", "module_mode", None),
        ("part in eval", "module_mode", None),
        ("learning rate", "learning_rate", None),
        ("hyperparameters", "optimizer_hyperparameters", None),
        ("accumulation", "gradient_accumulation", None),
        ("zero", "zero_gradient_tensors", 1),
    ],
)
def test_rank_whose_facts_differ_is_named(musterd, odd, subject, value):
    forked_ranks.run(RANKS, _train_with_facts, musterd.grpc, "odd", 3, odd)
    steps_of(musterd, "odd", 8)
    found = [a for a in alerts_of(musterd, "odd") if a["kind"] == "FactMismatch"]
    assert [(a["subject"], a["ranks"]) for a in found] == [(subject, [3])]
    if value is not None:
        assert found[0]["value"] == value
