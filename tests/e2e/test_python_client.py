"""The Python package, alone and against the real daemon."""

import array
import ctypes
import logging
import os
import subprocess
import sys
import threading
import time

import forked_ranks
import numpy
import pytest
import torch
from conftest import ROOT, wait_for

import muster
from muster import _buffers, _library

UNREACHABLE = "127.0.0.1:1"
GOOD = {"address": UNREACHABLE, "run_id": "run", "rank": 0, "world_size": 2}


def read_back(data):
    """(name of the type, numbers) that the library would see."""
    view = _buffers.view(data)
    size = {_library.FLOAT32: 4, _library.FLOAT16: 2, _library.BFLOAT16: 2}[view.type]
    raw = ctypes.string_at(view.address, view.count * size)
    if view.type == _library.FLOAT32:
        return "float32", numpy.frombuffer(raw, numpy.float32).tolist()
    if view.type == _library.FLOAT16:
        return "float16", numpy.frombuffer(raw, numpy.float16).tolist()
    widened = numpy.frombuffer(raw, numpy.uint16).astype(numpy.uint32) << 16
    return "bfloat16", widened.view(numpy.float32).tolist()


@pytest.mark.parametrize(
    "data, type_name",
    [
        (torch.tensor([1.5, -2, 3]), "float32"),
        (torch.tensor([1.5, -2, 3], requires_grad=True), "float32"),
        (torch.tensor([1.5, -2, 3], dtype=torch.float16), "float16"),
        (torch.tensor([1.5, -2, 3], dtype=torch.bfloat16), "bfloat16"),
        (torch.tensor([1.5, -2, 3], dtype=torch.float64), "float32"),
        (torch.tensor([1.5, 9, -2, 9, 3, 9])[::2], "float32"),
        (numpy.array([1.5, -2, 3], numpy.float32), "float32"),
        (numpy.array([1.5, -2, 3], numpy.float16), "float16"),
        (numpy.array([1.5, -2, 3], numpy.float64), "float32"),
        (numpy.array([1.5, 9, -2, 9, 3, 9], numpy.float32)[::2], "float32"),
        (array.array("f", [1.5, -2, 3]), "float32"),
        (array.array("d", [1.5, -2, 3]), "float32"),
        (array.array("f", [1.5, -2, 3]).tobytes(), None),
        (memoryview(array.array("f", [1.5, -2, 3]).tobytes()).cast("f"), "float32"),
        (memoryview(array.array("f", [1.5, 9, -2, 9, 3, 9]))[::2], "float32"),
    ],
)
def test_library_sees_the_numbers(data, type_name):
    if type_name is None:
        # Plain bytes are small integers to Python, and so they are here.
        assert read_back(data) == ("float32", [float(byte) for byte in data])
    else:
        assert read_back(data) == (type_name, [1.5, -2.0, 3.0])


def test_library_sees_memory_order():
    images = torch.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)
    expected = images.permute(0, 2, 3, 1).flatten().tolist()
    assert expected != images.flatten().tolist()
    assert read_back(images)[1] == expected
    columns = numpy.asfortranarray(numpy.arange(6, dtype=numpy.float32).reshape(2, 3))
    assert read_back(columns)[1] == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize(
    "wrong, named",
    [
        ({"rank": 2}, "rank"),
        ({"rank": -1}, "rank"),
        ({"rank": "0"}, "rank"),
        ({"rank": None}, "RANK"),
        ({"world_size": None}, "WORLD_SIZE"),
        ({"world_size": 0}, "world_size"),
        ({"run_id": None}, "MUSTER_RUN_ID"),
        ({"run_id": "two words"}, "run_id"),
        ({"run_id": "x" * 129}, "run_id"),
        ({"address": "nowhere"}, "address"),
        ({"sketch_width": 1000}, "sketch_width"),
        ({"sketch_width": 32}, "sketch_width"),
        ({"ring_capacity": 0}, "ring_capacity"),
        ({"flush_timeout": -1}, "flush_timeout"),
        ({"parameter_count": -1}, "parameter_count"),
        ({"facts": {"x" * 65: 1}}, "65 bytes"),
        ({"facts": {"name": "x" * 257}}, "name"),
    ],
)
def test_wrong_arguments_are_value_errors_that_name_them(wrong, named):
    def start():
        with pytest.raises(ValueError, match=named):
            muster.start(**{**GOOD, "flush_timeout": 0.01, **wrong})

    forked_ranks.call(start)


@pytest.mark.parametrize(
    "variables, run_id",
    [
        ({"MUSTER_RUN_ID": "a", "TORCHELASTIC_RUN_ID": "b", "SLURM_JOB_ID": "3"}, "a"),
        ({"TORCHELASTIC_RUN_ID": "b", "SLURM_JOB_ID": "3"}, "b"),
        ({"TORCHELASTIC_RUN_ID": "none", "SLURM_JOB_ID": "3"}, "3"),
        ({"MUSTER_RUN_ID": "", "SLURM_JOB_ID": "3"}, "3"),
    ],
)
def test_environment_names_run_rank_and_address(monkeypatch, variables, run_id):
    for name in ("MUSTER_RUN_ID", "TORCHELASTIC_RUN_ID", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    launcher = {"MUSTER_ADDRESS": UNREACHABLE, "RANK": "3", "WORLD_SIZE": "5"}
    for name, value in {**variables, **launcher}.items():
        monkeypatch.setenv(name, value)

    def start():
        with muster.start(flush_timeout=0.01) as monitor:
            return monitor.enabled, monitor.run_id, monitor.rank, monitor.world_size

    assert forked_ranks.call(start) == (True, run_id, 3, 5)


def test_number_in_environment_that_is_none_is_named(monkeypatch):
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(ValueError, match="RANK: 'first'"):
        muster.start()


def test_without_an_address_nothing_happens_and_it_is_said_once(caplog):
    with muster.start() as monitor:
        assert not monitor.enabled
        monitor.observe(0, [])
        monitor.end_step(0, loss=1.0)
        monitor.facts(a=1)
        assert monitor.alerts() == [] and monitor.stats() == muster.Stats()
    assert len(caplog.records) == 1 and "MUSTER_ADDRESS" in caplog.text


def _train_without_daemon():
    started = time.monotonic()
    monitor = muster.start(**GOOD, flush_timeout=0.3)
    for step in range(300):
        monitor.observe(0, numpy.ones(1000, numpy.float32))
        monitor.end_step(step, loss=1.0)
    trained = time.monotonic()
    stats = monitor.stats()
    monitor.close()
    closed = time.monotonic()
    monitor.end_step(300)
    monitor.close()
    return stats, trained - started, closed - trained


def test_unreachable_daemon_costs_nothing_but_data():
    stats, training_seconds, closing_seconds = forked_ranks.call(_train_without_daemon)
    assert (stats.made, stats.dropped, stats.queued) == (300, 44, 256)
    assert not stats.connected
    assert training_seconds < 2
    assert closing_seconds < 2


def _misuse():
    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("muster").addHandler(handler)
    monitor = muster.start(**GOOD, flush_timeout=0.01)
    for _ in range(2):
        monitor.observe(0, object())
        monitor.observe("offset", numpy.ones(3))
        monitor.end_step("step")
        monitor.end_step(0, loss=torch.ones(2))
        monitor.end_step(1, sample_ids=5)
        monitor.facts(long="x" * 1000)
        monitor.show_facts(**{"": "unnamed"})
    made = monitor.stats().made
    monitor.close()
    return messages, made


def test_wrong_use_never_raises_and_is_said_once_each():
    messages, made = forked_ranks.call(_misuse)
    assert made == 2  # the loss of two elements is left out, its step is not
    assert all(message.endswith("(said once)") for message in messages)
    for word in ("observe", "end_step", "loss", "fact long", "fact :"):
        assert sum(f": {word}" in message for message in messages) == 1 + (word == "end_step"), word


def _use_in_child():
    monitor = muster.start(**GOOD, flush_timeout=0.01)
    monitor.end_step(0)

    def child():
        monitor.observe(0, numpy.ones(3, numpy.float32))
        monitor.end_step(1)
        monitor.facts(a=1)
        monitor.close()
        return monitor.enabled

    child_enabled = forked_ranks.call(child)
    monitor.end_step(2)
    return child_enabled, monitor.enabled, monitor.stats().made


def test_forked_child_is_inert_and_parent_goes_on():
    assert forked_ranks.call(_use_in_child) == (False, True, 2)


def _report_from_forked_ranks(address):
    parent = muster.start(address, "forked", 0, 3)
    parent.end_step(0, loss=1.0)
    wait_for(lambda: parent.stats().acknowledged == 1, "the parent's report")

    def rank(number):
        with muster.start(address, "forked", number, 3) as monitor:
            monitor.end_step(0, loss=1.0)
            wait_for(lambda: monitor.stats().acknowledged == 1, f"the report of rank {number}")
            return monitor.stats()

    ranks = [forked_ranks.call(rank, number) for number in (1, 2)]
    parent.end_step(1, loss=1.0)
    wait_for(lambda: parent.stats().acknowledged == 2, "the parent's second report")
    stats = parent.stats()
    parent.close()
    return stats, ranks


def test_forked_ranks_start_clients_of_their_own_beside_the_parents(musterd):
    parent, ranks = forked_ranks.call(_report_from_forked_ranks, musterd.grpc)
    assert (parent.acknowledged, parent.reconnects) == (2, 0)
    assert [(stats.made, stats.acknowledged) for stats in ranks] == [(1, 1), (1, 1)]
    reporting = musterd.get("/api/v1/runs/forked/ranks")["ranks"]
    assert sorted(int(rank.get("rank", 0)) for rank in reporting) == [0, 1, 2]


LOSSES = {
    "number": 1.25,
    "tensor": torch.tensor(1.25),
    "tensor of one element": torch.tensor([1.25]),
    "graph": torch.tensor(2.5, requires_grad=True) * 0.5,
    "float16": torch.tensor(1.25, dtype=torch.float16),
    "bfloat16": torch.tensor(1.25, dtype=torch.bfloat16),
    "float64": torch.tensor(1.25, dtype=torch.float64),
    "numpy": numpy.float32(1.25),
}


def _report_losses(address):
    with muster.start(address, "losses", 0, 1, parameter_count=7) as monitor:
        monitor.facts(sampler_seed=3)
        monitor.show_facts(generator_seed=4)
        for step, loss in enumerate(LOSSES.values()):
            monitor.observe(4, torch.tensor([0.0, 3.0, 4.0]) * 8)
            monitor.observe(0, numpy.zeros(4, numpy.float16))
            monitor.end_step(step, loss=loss, weight=16, grad_scale=8.0)


def test_daemon_receives_what_was_reported(musterd):
    forked_ranks.call(_report_losses, musterd.grpc)
    path = "/api/v1/runs/losses"
    steps = musterd.get(f"{path}/steps", ranks=1)["steps"]
    assert [int(step.get("step", 0)) for step in steps] == list(range(len(LOSSES)))
    for step in steps:
        assert step["lossMean"] == 1.25
        assert step["ranks"][0]["weight"] == 16
        assert step["ranks"][0]["gradientNorm"] == pytest.approx(5, rel=1e-6)
    (rank,) = musterd.get(f"{path}/ranks")["ranks"]
    facts = {fact["name"]: (fact["value"], fact.get("shownOnly", False)) for fact in rank["facts"]}
    assert facts["sampler_seed"] == ("3", False)
    assert facts["generator_seed"] == ("4", True)
    assert rank["departed"] is True


def _wait_for_alert(address):
    calls = []
    inside = threading.Event()

    def on_alert(alert):
        calls.append((alert, inside.is_set(), threading.current_thread().name))
        raise RuntimeError("of the user's own")

    with muster.start(address, "alert", 0, 1, on_alert=on_alert) as monitor:
        steps = iter(range(10**6))

        def step_on():
            inside.set()
            monitor.end_step(next(steps), loss=float("nan"))
            inside.clear()
            return calls

        wait_for(step_on, "an alert")
        firing = monitor.alerts()
        for _ in range(20):
            step_on()
    return calls, firing


def test_alerts_are_told_inside_end_step(musterd):
    calls, firing = forked_ranks.call(_wait_for_alert, musterd.grpc)
    ((alert, inside, thread),) = calls
    assert inside and thread == "MainThread"
    assert (alert.kind, alert.ranks) == ("NonFinite", (0,))
    assert alert.evidence
    assert [entry.id for entry in firing] == [alert.id]


def test_script_that_forgets_close_still_flushes(musterd):
    script = (
        "import muster\n"
        "monitor = muster.start(rank=0, world_size=1)\n"
        "monitor.end_step(5, loss=1.0)\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "client" / "python"),
        "MUSTER_ADDRESS": musterd.grpc,
        "MUSTER_RUN_ID": "forgetful",
    }
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=30)
    steps = musterd.get("/api/v1/runs/forgetful/steps")["steps"]
    assert [int(step["step"]) for step in steps] == [5]
