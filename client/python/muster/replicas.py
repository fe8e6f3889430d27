"""Whether the ranks' parameters are the same, and how far apart they are."""

from __future__ import annotations

import logging
from typing import Any, Iterable, Mapping, Optional

import torch

_log = logging.getLogger("muster")

_MAX_GROUPS = 32
_MAX_NAME = 64
_MAX_VALUE = 256


def check_replicas(
    monitor: Any, model: torch.nn.Module, every: int = 100, tolerance: float = 0.0
) -> None:
    """Fingerprints the model's parameters in each ``end_step`` whose step is a
    multiple of `every`, so that the daemon can say which rank's differ
    (``ReplicaDrift``), in which part of the model, and how far.

    The parameters are read as they are when ``end_step`` runs: where it is called
    before ``optimizer.step()``, they are those after the previous update. Reading
    them costs about two passes over memory; on another device they are copied to
    the CPU first, which waits for the device: choose `every` accordingly.

    tolerance: largest distance from the other ranks, as a share of the norm, that
        is healthy; by default ranks must be equal to the bit. The same on all ranks.
    """
    if every < 1:
        raise ValueError(f"every: {every} is not at least 1")
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance: {tolerance} is not a finite number of at least 0")
    if not monitor.enabled:
        return
    names, groups = parameter_groups(name for name, _ in model.named_parameters())
    parameters = [parameter for _, parameter in model.named_parameters()]
    facts: dict[str, Any] = dict(_packed(names))
    if tolerance > 0:
        facts["replica_tolerance"] = repr(float(tolerance))
    monitor.facts(**facts)

    def observe(step: int) -> None:
        if step % every:
            return
        offset = 0
        for parameter, group in zip(parameters, groups):
            monitor.observe_parameters(group, offset, parameter)
            offset += parameter.numel()

    monitor.at_end_step(observe)


def parameter_groups(names: Iterable[str]) -> tuple[list[str], list[int]]:
    """At most 32 groups: their names, and the number of the group of each name.

    Names are grouped by their first parts (``layers.3``), as many as give no more
    than 32 groups; where the first part alone gives more, the last group has what
    is left.
    """
    parts = [name.removeprefix("module.").split(".") for name in names]
    depth = 1
    while depth < max(map(len, parts), default=1):
        if len({tuple(part[: depth + 1]) for part in parts}) > _MAX_GROUPS:
            break
        depth += 1
    numbers: dict[str, int] = {}
    groups = []
    for part in parts:
        name = ".".join(part[:depth]).replace(",", "_")[:_MAX_NAME]
        if name not in numbers and len(numbers) >= _MAX_GROUPS - 1:
            name = "others"
        groups.append(numbers.setdefault(name, len(numbers)))
    return list(numbers), groups


def _packed(names: list[str]) -> Mapping[str, str]:
    """As facts `replica_groups`, `replica_groups.1`, … of names with commas."""
    values: list[str] = []
    for name in names:
        if values and len(f"{values[-1]},{name}".encode()) <= _MAX_VALUE:
            values[-1] += f",{name}"
        else:
            values.append(name)
    return {
        "replica_groups" + (f".{number}" if number else ""): value
        for number, value in enumerate(values)
    }


class LocalUpdates:
    """Reports how far a rank's parameters have moved since all ranks had the same
    ones: for local SGD, DiLoCo and other training with rare synchronisation.

        updates = muster.torch.LocalUpdates(monitor, model)
        for step, batch in enumerate(loader):
            ...
            optimizer.step()
            if step % 100 == 99:
                average_parameters(model)
                updates.synchronised()
            monitor.end_step(step, loss=loss)

    Made when the ranks agree, as after the initial broadcast. Keeps a copy of the
    parameters. The change is read as it is when ``end_step`` runs, for steps that
    are a multiple of `every`.
    """

    def __init__(self, monitor: Any, model: torch.nn.Module, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every: {every} is not at least 1")
        self._monitor = monitor
        self._every = every
        self._parameters = list(model.parameters()) if monitor.enabled else []
        self._common: Optional[list[torch.Tensor]] = None
        self.synchronised()
        monitor.at_end_step(self._observe)

    def synchronised(self) -> None:
        """The ranks have the same parameters now. Never raises."""
        try:
            with torch.no_grad():
                self._common = [parameter.detach().clone() for parameter in self._parameters]
        except Exception as error:
            self._common = None
            _log.warning("muster: the common parameters were not kept: %r", error)

    def _observe(self, step: int) -> None:
        if self._common is None or step % self._every:
            return
        offset = 0
        with torch.no_grad():
            for parameter, common in zip(self._parameters, self._common):
                self._monitor.observe_change(offset, parameter.detach() - common)
                offset += parameter.numel()
