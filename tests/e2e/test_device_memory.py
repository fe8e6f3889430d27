"""Gradients and losses on a device: nothing waits for it, nothing is lost.

The device is the host (tests/testing/fake_cuda_runtime.cc); the rest is real."""

import logging
import os
from unittest import mock

import device_tensors
import forked_ranks
import pytest
import torch
import torch.distributed as dist
from conftest import wait_for
from device_tensors import DeviceTensor
from torch.nn.parallel import DistributedDataParallel

import muster
import muster.torch
from muster import _device

GRADIENT = torch.tensor([3.0, 0, -4, 12] * 500)
NORM = 13 * 500**0.5
STEPS = 6


def _use_library(path=device_tensors.LIBRARY):
    os.environ["MUSTER_CUDA_LIBRARY"] = path


def _train(address, run, tensors, losses, copies=device_tensors.LateCopies(0)):
    """One rank's steps, each of a gradient in two chunks; its stats at the end."""
    with muster.start(address, run, 0, 1) as monitor:
        for step in range(STEPS):
            if step % 2:
                monitor.observe(3, tensors(GRADIENT[3:9]))
                monitor.discard_step()
            monitor.observe(1000, tensors(GRADIENT[1000:]))
            scale = DeviceTensor(torch.tensor(2.0)) if step % 2 else 2.0
            monitor.observe(0, tensors(GRADIENT[:1000]), grad_scale=scale)
            monitor.end_step(step, loss=losses(step), weight=3)
            copies.now += 1
        copies.now += copies.steps
        fewest = STEPS - _device.MAX_WAITING_STEPS
        wait_for(lambda: monitor.stats().acknowledged >= fewest, "the reports")
        return monitor.stats()


def _check_steps(musterd, run, count=STEPS, norm=NORM / 2):
    steps = musterd.get(f"/api/v1/runs/{run}/steps", ranks=1)["steps"]
    assert [int(step.get("step", 0)) for step in steps] == list(range(count))
    for step in steps:
        (rank,) = step["ranks"]
        assert rank.get("loss", 0) == pytest.approx(0.25 * int(step.get("step", 0)))
        assert rank.get("gradientNorm") == (norm and pytest.approx(norm))


def _on_cuda(address, run, dtype, loss_type):
    _use_library()
    with device_tensors.cuda():
        return _train(
            address,
            run,
            lambda data: DeviceTensor(data.to(dtype)),
            lambda step: DeviceTensor(torch.tensor(0.25 * step, dtype=loss_type)),
        )


@pytest.mark.parametrize(
    "dtype, loss_type",
    [
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float16),
        (torch.float64, torch.float64),
    ],
)
def test_cuda_tensors_are_read_where_they_are(musterd, dtype, loss_type):
    stats = forked_ranks.call(_on_cuda, musterd.grpc, "cuda", dtype, loss_type)
    assert (stats.made, stats.device_dropped) == (STEPS, 0)
    _check_steps(musterd, "cuda")


def _copied(address, late, kind, library):
    """Without the library, or with it and the second chunk on another device."""
    _use_library(library)

    def tensors(data):
        second = library == device_tensors.LIBRARY and data.data_ptr() == GRADIENT.data_ptr()
        return DeviceTensor(data, int(second), kind)

    copies = device_tensors.LateCopies(late)
    with device_tensors.cuda(), mock.patch.object(_device, "copy_to_host", copies):
        losses = lambda step: DeviceTensor(torch.tensor(0.25 * step), 0, kind)  # noqa: E731
        return _train(address, "copied", tensors, losses, copies)


@pytest.mark.parametrize("late", [0, 1, 2])
@pytest.mark.parametrize(
    "kind, library",
    [("cuda", "/nowhere"), ("xpu", device_tensors.LIBRARY), ("cuda", device_tensors.LIBRARY)],
    ids=["no library", "another kind of device", "two devices"],
)
def test_other_device_memory_is_copied_and_sketched_later(musterd, late, kind, library):
    stats = forked_ranks.call(_copied, musterd.grpc, late, kind, library)
    assert stats.device_dropped == 0
    _check_steps(musterd, "copied")


def _never_ready(address):
    _use_library("/nowhere")
    with device_tensors.cuda(), mock.patch.object(_device, "LAST_WAIT", 0.01), mock.patch.object(
        _device, "copy_to_host", device_tensors.LateCopies(10**9)
    ):
        with muster.start(address, "never", 0, 1) as monitor:
            for step in range(STEPS):
                monitor.observe(0, DeviceTensor(GRADIENT))
                monitor.end_step(step, loss=0.25 * step)
                assert monitor.stats().made == max(0, step + 1 - _device.MAX_WAITING_STEPS)


def test_copies_that_never_come_cost_the_gradient_alone(musterd):
    forked_ranks.call(_never_ready, musterd.grpc)
    _check_steps(musterd, "never", norm=None)


def _host_tensors_between(address):
    """In host memory or not, a step's chunks stay together and in order."""
    _use_library("/nowhere")
    copies = device_tensors.LateCopies(2)
    with device_tensors.cuda(), mock.patch.object(_device, "copy_to_host", copies):
        with muster.start(address, "mixed", 0, 1) as monitor:
            for step in range(STEPS):
                monitor.observe(500, DeviceTensor(GRADIENT))
                monitor.discard_step()
                host = GRADIENT[:1000].clone()
                monitor.observe(1000, DeviceTensor(GRADIENT[1000:]))
                monitor.observe(0, host)
                host.zero_()
                monitor.end_step(step, loss=0.25 * step, grad_scale=2.0)
                copies.now += 1
            copies.now += 2


def test_host_and_copied_memory_add_up(musterd):
    forked_ranks.call(_host_tensors_between, musterd.grpc)
    _check_steps(musterd, "mixed")


def _loss_of_two_elements(address):
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("muster").addHandler(handler)
    _use_library()
    with device_tensors.cuda(), muster.start(address, "two", 0, 1) as monitor:
        monitor.observe(0, DeviceTensor(GRADIENT))
        monitor.end_step(0, loss=DeviceTensor(torch.zeros(2)))
        monitor.end_step(1, loss=1.0)
    return messages


def test_a_loss_that_is_no_number_is_left_out(musterd):
    messages = forked_ranks.call(_loss_of_two_elements, musterd.grpc)
    steps = musterd.get("/api/v1/runs/two/steps", ranks=1)["steps"]
    assert [int(step.get("step", 0)) for step in steps] == [0, 1]
    assert "loss" not in steps[0]["ranks"][0]
    assert any("loss" in message for message in messages)


def _ddp(rank, address, on_device):
    _use_library()
    torch.manual_seed(7)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 10))
    ddp = DistributedDataParallel(model, bucket_cap_mb=0.01)
    run = "device" if on_device else "host"
    with muster.start(address, run, rank, dist.get_world_size()) as monitor:
        muster.torch.watch(monitor, ddp)
        for step in range(STEPS):
            loss = ddp(torch.full((8, 64), 1.0 + rank)).square().mean()
            if on_device:
                with device_tensors.every_tensor_on_device():
                    loss.backward()
                    monitor.end_step(step, loss=loss)
            else:
                loss.backward()
                monitor.end_step(step, loss=loss)
            ddp.zero_grad()
        wait_for(lambda: monitor.stats().acknowledged == STEPS, "the reports")
        stats = monitor.stats()
    return stats.device_dropped


def test_the_hook_sees_on_a_device_what_it_sees_on_the_host(musterd):
    assert forked_ranks.run(2, _ddp, musterd.grpc, True) == [0, 0]
    assert forked_ranks.run(2, _ddp, musterd.grpc, False) == [0, 0]
    device, host = (
        musterd.get(f"/api/v1/runs/{run}/steps", ranks=1)["steps"] for run in ("device", "host")
    )
    assert len(device) == len(host) == STEPS
    for one, other in zip(device, host):
        for a, b in zip(one["ranks"], other["ranks"]):
            assert a["gradientNorm"] == pytest.approx(b["gradientNorm"], rel=1e-6)
            assert a["loss"] == b["loss"]
        assert one["gradientCosineMean"] == pytest.approx(other["gradientCosineMean"], abs=1e-3)
