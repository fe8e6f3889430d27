"""Tensors that say they lie on a device, in the host's memory: what the client
does with device memory, where there is none."""

import contextlib
import types
from unittest import mock

import torch
from conftest import BUILD

from muster import _device

LIBRARY = str(BUILD / "tests" / "client" / "libfake_muster_cuda.so")
STREAM = 0x5000


class Waited(Exception):
    """Something has waited for the device."""


class DeviceTensor:
    """A tensor on device `kind`:`index`, and what may be asked of one without
    waiting. All else is an AttributeError."""

    def __init__(self, data, index=0, kind="cuda"):
        self._data = data
        self.device = types.SimpleNamespace(type=kind, index=index)
        for name in ("data_ptr", "numel", "is_contiguous", "stride", "dim"):
            setattr(self, name, getattr(data, name))
        self.dtype = data.dtype

    def detach(self):
        return self

    def float(self):
        return DeviceTensor(self._data.float(), self.device.index, self.device.type)

    def item(self):
        raise Waited("item")

    def cpu(self):
        raise Waited("cpu")

    __float__ = tolist = numpy = item


@contextlib.contextmanager
def cuda():
    """torch.cuda as far as the client needs it; nothing may wait."""

    def waits(*_):
        raise Waited("synchronize")

    stream = types.SimpleNamespace(cuda_stream=STREAM, synchronize=waits)
    with mock.patch.multiple(
        torch.cuda, current_stream=lambda device: stream, synchronize=waits
    ):
        yield


class LateCopies:
    """Stands in for copy_to_host: a copy has come `steps` steps later."""

    def __init__(self, steps):
        self.steps = steps
        self.now = 0

    def __call__(self, tensor):
        due = self.now + self.steps
        data = tensor._data if isinstance(tensor, DeviceTensor) else tensor
        return _device.Copy(data.clone(), lambda: self.now >= due)


@contextlib.contextmanager
def every_tensor_on_device():
    """What is in host memory passes for device memory, as in a bucket of DDP;
    .item() raises."""

    def item(tensor):
        raise Waited("item")

    with cuda(), mock.patch.multiple(
        _device,
        is_on_device=lambda data: isinstance(data, torch.Tensor),
        is_cuda=lambda data: True,
        index=lambda data: 0,
    ), mock.patch.object(torch.Tensor, "item", item):
        yield
