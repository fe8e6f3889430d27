"""The communication hook sees the local gradient and changes nothing."""

import functools
import logging

import forked_ranks
import numpy
import pytest
import torch
import torch.distributed as dist
import torch_variants
from torch.nn.parallel import DistributedDataParallel
from torch_variants import BUCKET_VIEW, VARIANTS

import muster
import muster.torch

STEPS = 20
SIZES = (3, 6, 8)


class StubMonitor:
    """Takes part in place of a Monitor, without library or daemon."""

    enabled = True
    parameter_count = 0

    def __init__(self):
        self.rank = dist.get_rank()
        self.world_size = dist.get_world_size()

    def observe(self, offset, data, grad_scale=None):
        pass

    def facts(self, **facts):
        pass

    def show_facts(self, **facts):
        pass

    def at_end_step(self, source):
        pass


class RecordingMonitor(StubMonitor):
    def __init__(self, count):
        super().__init__()
        self.stated = {}
        self.scales = set()
        self._count = count
        self.start_step()

    def start_step(self):
        self.gradient = numpy.full(self._count, numpy.nan, numpy.float32)
        self.observed_twice = 0

    def observe(self, offset, data, grad_scale=None):
        place = self.gradient[offset : offset + data.numel()]
        self.observed_twice += int(numpy.count_nonzero(~numpy.isnan(place)))
        place[:] = data.numpy()
        self.scales.add(grad_scale)

    def facts(self, **facts):
        self.stated.update(facts)


class ThrowingMonitor(StubMonitor):
    def observe(self, offset, data, grad_scale=None):
        raise RuntimeError("observe")

    def facts(self, **facts):
        raise RuntimeError("facts")

    def at_end_step(self, source):
        raise RuntimeError("at_end_step")


class ThrowingScaler:
    def is_enabled(self):
        raise RuntimeError("scaler")


def _watch(monitor_type, ddp):
    muster.torch.watch(monitor_type(), ddp)


def _differences(one, other):
    """Elements that are not the same to the bit."""
    bits = [
        torch.cat([tensor.flatten() for tensor in parameters.values()]).numpy().view(numpy.int32)
        for parameters in (one, other)
    ]
    return int(numpy.count_nonzero(bits[0] != bits[1]))


def _train_all_variants(rank):
    """For each variant: differences to training without a hook, with a silent
    and with a throwing monitor; and whether training moved at all."""
    logging.disable(logging.WARNING)
    results = {}
    for name, variant in VARIANTS.items():
        alone = torch_variants.train(variant, rank, STEPS)
        start = torch_variants.train(variant, rank, 0)
        for monitor_type in (StubMonitor, ThrowingMonitor):
            watched = torch_variants.train(
                variant, rank, STEPS, functools.partial(_watch, monitor_type)
            )
            results[name, monitor_type.__name__] = _differences(alone, watched)
        results[name, "moved"] = _differences(alone, start)
    results["bucket_view"] = _train_bucket_view(rank)
    return results


def _train_bucket_view(rank):
    """(differing parameters after 20 steps, worst ulps of this rank's share of a
    gradient, worst difference of the mean over what such shares allow)."""
    watch = functools.partial(_watch, StubMonitor)
    alone = torch_variants.train(BUCKET_VIEW, rank, STEPS)
    watched = torch_variants.train(BUCKET_VIEW, rank, STEPS, watch)
    gradients = []
    for prepare in (lambda ddp: None, watch):
        model, ddp = torch_variants.build(BUCKET_VIEW)
        prepare(ddp)
        for step in range(3):
            # Gradients that stay in their bucket are what DDP divides.
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.zero_()
            torch_variants.backward(ddp, BUCKET_VIEW, rank, step)
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]).numpy())

    size = dist.get_world_size()
    local = torch_variants.local_gradient(model, BUCKET_VIEW, rank, step)
    divided, multiplied = (local / size).numpy(), (local * (1.0 / size)).numpy()
    unit = numpy.spacing(abs(divided))
    share_ulps = float((abs(divided - multiplied) / unit).max())
    # One ulp for each share, and what rounding each of N - 1 sums may add: half
    # an ulp in either training.
    total = torch.from_numpy(numpy.stack([unit, abs(divided)]))
    dist.all_reduce(total)
    allowed = total[0].numpy() + (size - 1) * numpy.spacing(total[1].numpy())
    excess = float((abs(gradients[0] - gradients[1]) / allowed).max())
    return _differences(alone, watched), share_ulps, excess


@functools.lru_cache(maxsize=None)
def trained(size):
    return forked_ranks.run(size, _train_all_variants)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", SIZES)
def test_parameters_are_bit_identical_with_and_without_hook(size, variant):
    for result in trained(size):
        assert result[variant, "moved"] > 1000
        assert result[variant, "StubMonitor"] == 0


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", SIZES)
def test_throwing_monitor_leaves_training_bit_identical(size, variant):
    for result in trained(size):
        assert result[variant, "ThrowingMonitor"] == 0


@pytest.mark.parametrize("size", SIZES)
def test_gradient_as_bucket_view_differs_by_at_most_one_ulp_a_share(size):
    for result in trained(size):
        differing_parameters, share_ulps, excess = result["bucket_view"]
        if size == 8:
            assert (differing_parameters, share_ulps, excess) == (0, 0, 0)
        else:
            assert share_ulps == 1
            assert 0 < excess <= 1


def _train_with_torch_hook(rank):
    """Differences that torch's own allreduce_hook makes."""
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

    variant = VARIANTS["plain"]
    alone = torch_variants.train(variant, rank, STEPS)
    hooked = torch_variants.train(
        variant, rank, STEPS, lambda ddp: ddp.register_comm_hook(None, allreduce_hook)
    )
    return _differences(alone, hooked)


def test_comparison_is_sharp_enough_to_see_a_division():
    assert min(forked_ranks.run(3, _train_with_torch_hook)) > 0


def _observe_all_variants(rank):
    """For each variant and step: what differs from the gradient without DDP."""
    results = {}
    for name, variant in VARIANTS.items():
        buckets = []
        count = sum(p.numel() for p in torch_variants.build(variant)[0].parameters())
        monitor = RecordingMonitor(count)
        expected = []

        def reduce(group, bucket):
            buckets.append(bucket.index())
            return muster.torch.default_reduce(group, bucket)

        def prepare(ddp):
            muster.torch.watch(monitor, ddp, hook=reduce, state=ddp.process_group)

        def each_step(model, step):
            check()
            monitor.start_step()
            expected.append(torch_variants.local_gradient(model, variant, rank, step).numpy())

        def check():
            if expected:
                same = numpy.array_equal(monitor.gradient, expected[-1], equal_nan=True)
                steps.append((same, monitor.observed_twice))

        steps = []
        torch_variants.train(variant, rank, 4, prepare, each_step)
        check()
        observed = int(numpy.count_nonzero(~numpy.isnan(expected[-1])))
        results[name] = steps, max(buckets) + 1, observed, count, monitor.stated
    return results


@functools.lru_cache(maxsize=None)
def observed():
    return forked_ranks.run(3, _observe_all_variants)


@pytest.mark.parametrize("variant", VARIANTS)
def test_observed_gradient_is_the_local_one(variant):
    for result in observed():
        steps, buckets, elements, count, _ = result[variant]
        assert steps == [(True, 0)] * 4
        assert buckets >= 3
        frozen = 8 * 3 * 9 + 10 if variant == "frozen" else 0
        assert elements == count - frozen


def test_facts_of_the_model_are_stated():
    for result in observed():
        _, _, _, count, stated = result["plain"]
        assert len(stated.pop("parameter_shapes")) == 16
        assert "cudnn.benchmark=False" in stated.pop("determinism")
        assert stated == {
            "torch_version": torch.__version__,
            "parameter_dtype": "float32",
            "flat_parameter_count": count,
            "module_mode": "train",
            **muster._training.versions(),
        }


def _misuse(rank):
    """What watch answers to wrong use, on each rank."""
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("muster").addHandler(handler)
    variant = VARIANTS["plain"]

    _, ddp = torch_variants.build(variant)
    calls = []

    def mine(state, bucket):
        calls.append(state)
        return muster.torch.default_reduce(None, bucket)

    ddp.register_comm_hook("mine", mine)
    muster.torch.watch(StubMonitor(), ddp)
    torch_variants.backward(ddp, variant, rank, 0)
    warned = [message for message in messages if "already" in message]

    wrong = StubMonitor()
    wrong.world_size += 1
    try:
        muster.torch.watch(wrong, torch_variants.build(variant)[1])
        refused = ""
    except ValueError as error:
        refused = str(error)

    subgroup = dist.new_group([0, 1])
    if rank < 2:
        ddp = DistributedDataParallel(torch_variants.Net(), process_group=subgroup)
        monitor = RecordingMonitor(10**5)
        monitor.world_size = 2
        muster.torch.watch(monitor, ddp, scaler=torch.cuda.amp.GradScaler(enabled=False))
        torch_variants.backward(ddp, variant, rank, 0)
        assert monitor.scales == {None}
    messages.clear()
    _, ddp = torch_variants.build(variant)
    muster.torch.watch(StubMonitor(), ddp, scaler=ThrowingScaler())
    for step in range(2):
        torch_variants.backward(ddp, variant, rank, step)
    return len(warned), set(calls), refused, len(messages)


def test_wrong_use_is_answered_and_training_goes_on():
    for rank, (warned, states, refused, messages) in enumerate(forked_ranks.run(3, _misuse)):
        assert warned == 1
        assert states == {"mine"}
        assert f"rank {rank} of 3" in refused and f"rank {rank} of 4" in refused
        assert messages == 1


def _scaled(rank):
    """The scale that reaches the monitor from a scaler."""

    class Scaler:
        def is_enabled(self):
            return True

        def get_scale(self):
            return 1024.0

    _, ddp = torch_variants.build(VARIANTS["plain"])
    monitor = RecordingMonitor(10**5)
    muster.torch.watch(monitor, ddp, scaler=Scaler())
    torch_variants.backward(ddp, VARIANTS["plain"], rank, 0)
    return monitor.scales


def test_scale_in_force_at_backward_is_reported():
    assert forked_ranks.run(2, _scaled) == [{1024.0}, {1024.0}]
