"""The time for which a rank waits for others before the model's own forward pass."""

from __future__ import annotations

import logging
import time
from typing import Any, Mapping, Optional

import torch

_log = logging.getLogger("muster")

# Constant to torch's compiler, which then leaves out what is behind it.
_is_compiling = getattr(getattr(torch, "compiler", None), "is_compiling", lambda: False)


class ForwardWaits:
    """Measures, for each step, what DDP does between the start of its forward pass
    and that of its module: above all the broadcast of buffers, in which ranks wait
    for each other.

    The module's hook is there in this time only: nobody finds it in a copy of the
    module, or in a file. A module that is compiled in place, or that takes no hooks,
    is not measured. Never raises.
    """

    def __init__(self, monitor: Any, ddp: torch.nn.Module) -> None:
        self._since_end = 0.0
        self._before_gradient = 0.0
        self._started = 0.0
        self._handle: Any = None
        self._hook: Any = None
        try:
            monitor.at_end_step(self)
            self._hook = ddp.register_forward_pre_hook(self._start)
        except Exception as error:
            self._give_up(error)

    def observed(self) -> None:
        """A gradient was seen: what comes later is not between it and the step before."""
        self._before_gradient = self._since_end

    def _start(self, ddp: torch.nn.Module, *_: Any) -> None:
        module = ddp.module
        if _is_compiling() or getattr(module, "_compiled_call_impl", None) is not None:
            return
        self._remove()  # of a forward pass that an exception ended
        try:
            self._handle = module.register_forward_pre_hook(self._end)
            # Before hooks of others, which are the rank's own work.
            module._forward_pre_hooks.move_to_end(self._handle.id, last=False)
        except Exception as error:
            self._remove()
            self._give_up(error)
        self._started = time.perf_counter()

    def _end(self, *_: Any) -> None:
        self._since_end += time.perf_counter() - self._started
        self._remove()

    def _remove(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _give_up(self, error: Exception) -> None:
        if self._hook is not None:
            self._hook.remove()
        _log.warning("muster: waits of the forward pass are not measured: %r", error)

    def __call__(self, step: int) -> Optional[Mapping[str, Any]]:
        waited = self._before_gradient
        self._since_end = self._before_gradient = 0.0
        return {"waited_seconds": waited}
