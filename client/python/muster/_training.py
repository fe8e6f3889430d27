"""What a training process says of itself: versions, flags, optimizer, random
numbers; and what may change with the step."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import random
import re
import sys
from typing import Any, Mapping, Optional

import torch
import torch.distributed

_log = logging.getLogger("muster")

# Steps between two looks at the state of random-number generators.
_RNG_EVERY = 1000
_MAX_VALUE_BYTES = 256
# Hyperparameters that are reported with each step, or change with it.
_PER_STEP = ("params", "lr", "initial_lr")


def follow(monitor: Any, ddp: torch.nn.Module, optimizer: Any) -> None:
    """States what is known of the training now, and follows it at each end_step.
    Never raises."""
    try:
        monitor.facts(
            **versions(),
            determinism=determinism(),
            parameter_shapes=shapes_hash(ddp.module),
            **({} if optimizer is None else optimizer_facts(optimizer)),
        )
        monitor.show_facts(rng_seed_torch=torch.initial_seed(), **rng_states())
        monitor.at_end_step(_Follower(monitor, ddp, optimizer))
    except Exception as error:
        _log.warning("muster: facts of the training were not stated: %r", error)


def versions() -> dict[str, str]:
    """CUDA, NCCL and driver, where torch has them."""
    found: dict[str, str] = {}
    if torch.version.cuda:
        found["cuda_version"] = torch.version.cuda
    if torch.cuda.is_available() and torch.distributed.is_nccl_available():
        found["nccl_version"] = ".".join(map(str, torch.cuda.nccl.version()))
    try:
        with open("/proc/driver/nvidia/version") as file:
            match = re.search(r"Kernel Module.*?(\d+(?:\.\d+)+)", file.read())
        if match:
            found["driver_version"] = match.group(1)
    except OSError:
        pass  # no such driver
    return found


def determinism() -> str:
    flags = {
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "cudnn.tf32": _tf32(torch.backends.cudnn),
        "matmul.tf32": _tf32(torch.backends.cuda.matmul),
    }
    return " ".join(f"{name}={value}" for name, value in flags.items())


def _tf32(backend: Any) -> Any:
    try:
        return backend.allow_tf32
    except RuntimeError:
        # From PyTorch 2.9 on, once the setting that replaces it is used.
        return getattr(backend, "fp32_precision", "unknown")


def shapes_hash(module: torch.nn.Module) -> str:
    """Of names, shapes and types of all parameters, in their order."""
    lines = (
        f"{name} {tuple(parameter.shape)} {parameter.dtype}"
        for name, parameter in module.named_parameters()
    )
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def optimizer_facts(optimizer: Any) -> dict[str, str]:
    """Its type, and the hyperparameters of its groups but for the learning rate."""
    groups = [
        ", ".join(
            f"{name}={value}" for name, value in group.items() if name not in _PER_STEP
        )
        for group in optimizer.param_groups
    ]
    distinct = list(dict.fromkeys(groups))
    text = " | ".join(distinct)
    if len(groups) > 1:
        text += f" | {len(groups)} groups"
    if len(text.encode()) > _MAX_VALUE_BYTES:
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        text = text.encode()[: _MAX_VALUE_BYTES - 24].decode("utf-8", "ignore") + f"… {digest}"
    return {"optimizer": type(optimizer).__name__, "optimizer_hyperparameters": text}


def rng_states() -> dict[str, str]:
    """Fingerprints of the generators' states: equal ones draw the same numbers."""
    states = {"rng_torch": _bytes(torch.get_rng_state())}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states["rng_cuda"] = _bytes(torch.cuda.get_rng_state())
    states["rng_python"] = repr(random.getstate()).encode()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        name, keys, *rest = numpy.random.get_state()
        states["rng_numpy"] = name.encode() + keys.tobytes() + repr(rest).encode()
    return {
        name: hashlib.blake2b(state, digest_size=6).hexdigest()
        for name, state in states.items()
    }


def _bytes(state: torch.Tensor) -> bytes:
    return ctypes.string_at(state.data_ptr(), state.numel())


class _Follower:
    """Counts forward passes, reads the learning rate and the generators."""

    def __init__(self, monitor: Any, ddp: torch.nn.Module, optimizer: Any) -> None:
        self._monitor = monitor
        self._optimizer = optimizer
        self._forwards = 0
        self._accumulation = 0
        self._ends = 0
        ddp.register_forward_pre_hook(self._count)

    def _count(self, *_: Any) -> None:
        # What is computed without gradients is no part of a step.
        if torch.is_grad_enabled():
            self._forwards += 1

    def __call__(self, step: int) -> Optional[Mapping[str, Any]]:
        if self._forwards not in (0, self._accumulation):
            self._accumulation = self._forwards
            self._monitor.facts(gradient_accumulation=self._forwards)
        self._forwards = 0
        self._ends += 1
        if self._ends % _RNG_EVERY == 0:
            self._monitor.show_facts(**rng_states())
        if self._optimizer is None:
            return None
        return {"lr": self._optimizer.param_groups[0]["lr"]}
