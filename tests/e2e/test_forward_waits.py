"""What is taken out of a rank's own time: its waits at the start of DDP's forward pass."""

import copy
import pickle

import pytest
import torch
from torch import nn

from muster import _waiting

WAIT, WORK = 7.0, 100.0


class Clock:
    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class Model(nn.Module):
    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.fails = False

    def forward(self, x):
        self.clock.now += WORK
        if self.fails:
            raise RuntimeError("out of memory")
        return x


class Ddp(nn.Module):
    """Waits before the forward pass of its module, as DDP does."""

    def __init__(self, clock):
        super().__init__()
        self.module = Model(clock)
        self.clock = clock
        self.fails = False

    def forward(self, x):
        self.clock.now += WAIT
        if self.fails:
            raise RuntimeError("connection closed by peer")
        return self.module(x)


class Monitor:
    def at_end_step(self, source):
        self._source = source

    def waited(self):
        return self._source(1)["waited_seconds"]


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_waiting, "time", clock)
    return clock


@pytest.fixture
def watched(clock):
    ddp, monitor = Ddp(clock), Monitor()
    return ddp, monitor, _waiting.ForwardWaits(monitor, ddp)


def test_waits_of_several_forward_passes_add_up_and_the_work_is_not_among_them(watched):
    ddp, monitor, waits = watched
    for _ in range(3):
        ddp(torch.ones(1))
    waits.observed()
    assert monitor.waited() == 3 * WAIT
    ddp(torch.ones(1))
    waits.observed()
    assert monitor.waited() == WAIT


def test_waits_after_the_gradient_are_not_taken_out(watched):
    ddp, monitor, waits = watched
    ddp(torch.ones(1))
    waits.observed()
    ddp(torch.ones(1))  # an evaluation before end_step
    assert monitor.waited() == WAIT
    waits.observed()
    assert monitor.waited() == 0


def test_hooks_of_others_on_the_module_are_the_ranks_own_work(watched, clock):
    ddp, monitor, waits = watched

    def slow_hook(module, arguments):
        clock.now += WORK

    ddp.module.register_forward_pre_hook(slow_hook)
    ddp(torch.ones(1))
    waits.observed()
    assert monitor.waited() == WAIT
    assert list(ddp.module._forward_pre_hooks.values()) == [slow_hook]


def test_a_forward_pass_that_fails_leaves_nothing_behind(watched):
    ddp, monitor, waits = watched
    for part in (ddp, ddp.module):
        part.fails = True
        with pytest.raises(RuntimeError):
            ddp(torch.ones(1))
        part.fails = False
    ddp(torch.ones(1))
    waits.observed()
    # Of the first one it is not known how long it would have waited.
    assert monitor.waited() == 2 * WAIT
    assert not ddp.module._forward_pre_hooks


def test_a_copy_of_the_module_and_its_file_know_nothing_of_it(watched):
    ddp, _, _ = watched
    ddp(torch.ones(1))
    assert not copy.deepcopy(ddp.module)._forward_pre_hooks
    assert b"muster" not in pickle.dumps(ddp.module)


def test_a_module_compiled_in_place_is_left_alone(watched):
    ddp, monitor, waits = watched
    ddp.module._compiled_call_impl = ddp.module._call_impl
    ddp(torch.ones(1))
    waits.observed()
    assert monitor.waited() == 0


def test_a_module_that_takes_no_hooks_is_left_alone_with_one_warning(watched, caplog):
    ddp, monitor, waits = watched

    def refuse(hook):
        raise RuntimeError("register_forward_pre_hook is not supported")

    ddp.module.register_forward_pre_hook = refuse
    for _ in range(2):
        ddp(torch.ones(1))
    waits.observed()
    assert monitor.waited() == 0
    assert len(caplog.records) == 1
    assert "not measured" in caplog.text
