"""Tensors in the memory of a device, and their way to the host.

CUDA memory is read where it is, by libmuster_cuda.so. What that cannot read
(no such library, a second device, another kind of device) is copied into host
memory without waiting, and sketched there by the training thread when the copy
has come: at the end of the same step or of a later one.
"""

from __future__ import annotations

import collections
import sys
import time
from typing import Any, Callable, Iterator, NamedTuple

# Steps whose copies may be on their way; each holds a gradient in host memory.
MAX_WAITING_STEPS = 2
# Longest that close() waits for the last copies, in seconds.
LAST_WAIT = 1.0


def is_on_device(data: Any) -> bool:
    """Whether `data` is a tensor outside the host's memory."""
    return hasattr(data, "data_ptr") and data.device.type != "cpu"


def is_cuda(data: Any) -> bool:
    return data.device.type == "cuda"


def index(data: Any) -> int:
    """Number of the tensor's device."""
    return data.device.index or 0


def cuda_stream(data: Any) -> tuple[int, int]:
    """The tensor's device, and the stream that is current there."""
    stream = sys.modules["torch"].cuda.current_stream(data.device)
    return index(data), stream.cuda_stream


class Copy(NamedTuple):
    """A tensor on its way to host memory."""

    data: Any
    is_ready: Callable[[], bool]


def copy_to_host(data: Any) -> Copy:
    """Queues a copy behind what the current stream does now."""
    data = data.detach()
    torch = sys.modules["torch"]
    if not is_on_device(data):
        return Copy(data.clone(), lambda: True)
    kind = getattr(torch, data.device.type, None)
    if not hasattr(kind, "Event") or not hasattr(kind, "current_stream"):
        # Nothing would tell when the copy has come.
        return Copy(data.cpu(), lambda: True)
    host = torch.empty_like(data, device="cpu", pin_memory=is_cuda(data))
    host.copy_(data, non_blocking=True)
    event = kind.Event()
    event.record(kind.current_stream(data.device))
    return Copy(host, event.query)


class CopiedStep:
    """What a step observed, and its report."""

    def __init__(self) -> None:
        self.report: Any = None
        self._chunks: list[tuple[int, Copy]] = []
        self._numbers: dict[str, Copy] = {}
        self._given_up = False

    def add(self, offset: int, data: Any) -> None:
        self._chunks.append((offset, copy_to_host(data)))

    def end(self, report: Any, numbers: dict[str, Any]) -> None:
        self.report = report
        self._numbers = {field: copy_to_host(value) for field, value in numbers.items()}

    def is_ready(self) -> bool:
        copies = [copy for _, copy in self._chunks] + list(self._numbers.values())
        return all(copy.is_ready() for copy in copies)

    def give_up(self) -> None:
        """Its report goes without gradient and loss: what is not there is not waited for."""
        self._given_up = True

    def gradient(self) -> Iterator[tuple[int, Any]]:
        if not self._given_up:
            for offset, copy in self._chunks:
                yield offset, copy.data

    def numbers(self) -> Iterator[tuple[str, Any]]:
        """Fields of the report, with their values."""
        if not self._given_up:
            for field, copy in self._numbers.items():
                yield field, copy.data


class Copies:
    """Steps in order, the last one still going on."""

    def __init__(self) -> None:
        self._current = CopiedStep()
        self._ended: collections.deque[CopiedStep] = collections.deque()

    def observe(self, offset: int, data: Any) -> None:
        self._current.add(offset, data if hasattr(data, "detach") else _as_tensor(data))

    def end_step(self, report: Any, numbers: dict[str, Any]) -> None:
        """`numbers`: tensors of one element for fields of the report."""
        self._current.end(report, numbers)
        self._ended.append(self._current)
        self._current = CopiedStep()

    def discard(self) -> bool:
        """Forgets the step that is going on; True if an earlier one waits."""
        self._current = CopiedStep()
        return bool(self._ended)

    def take(self) -> Iterator[CopiedStep]:
        """Those that have come, and those that too many wait behind."""
        while self._ended:
            if not self._ended[0].is_ready():
                if len(self._ended) <= MAX_WAITING_STEPS:
                    return
                self._ended[0].give_up()
            yield self._ended.popleft()

    def take_last(self) -> Iterator[CopiedStep]:
        """All, after a short wait."""
        deadline = time.monotonic() + LAST_WAIT
        while self._ended:
            while not self._ended[0].is_ready() and time.monotonic() < deadline:
                time.sleep(0.001)
            if not self._ended[0].is_ready():
                self._ended[0].give_up()
            yield self._ended.popleft()


def _as_tensor(data: Any) -> Any:
    return sys.modules["torch"].as_tensor(data)
