"""What a training script may hand over that nobody thought of: training goes
on, and no device is waited for."""

import logging
from unittest import mock

import device_tensors
import pytest
import torch
from device_tensors import DeviceTensor
from torch.utils import data

import muster
import muster.torch
from muster import _training, samples

UNREACHABLE = {"address": "127.0.0.1:1", "run_id": "odd", "rank": 0, "world_size": 1}


@pytest.fixture
def monitor():
    with muster.start(**UNREACHABLE, flush_timeout=0) as started:
        yield started


class SparseStream(data.IterableDataset):
    def __iter__(self):
        for row in range(3):
            yield torch.eye(4)[row].to_sparse()


def test_batches_that_cannot_be_hashed_are_given_out_all_the_same(monitor):
    loader = data.DataLoader(SparseStream(), batch_size=None)
    watched = muster.torch.watch_loader(monitor, loader)
    rows = [batch.to_dense().tolist() for batch in watched]
    assert rows == torch.eye(4)[:3].tolist()


class Index:
    """Fails as soon as one looks at it."""

    def __repr__(self):
        raise RuntimeError("no text")


def test_indices_that_cannot_be_recorded_are_drawn_all_the_same(monitor, caplog):
    indices = [Index(), Index()]
    with caplog.at_level(logging.WARNING, "muster"):
        assert list(muster.torch.watch_sampler(monitor, indices)) == indices
    assert len([r for r in caplog.records if "not recorded" in r.getMessage()]) == 1


class Unsized(data.Dataset):
    def __getitem__(self, index):
        return index

    def __len__(self):
        raise TypeError("length unknown")


class OwnOrder(data.Sampler):
    def __init__(self, dataset):
        self.dataset = dataset

    def __iter__(self):
        return iter([2, 0, 1])


def test_data_without_a_length_are_watched(monitor):
    sampler = muster.torch.watch_sampler(monitor, OwnOrder(Unsized()))
    assert list(sampler) == [2, 0, 1]


def test_a_full_queue_of_one_epoch_leaves_the_next_one_whole():
    draws = samples._Draws(None)
    first = draws.next_epoch(None)
    for index in range(65536):
        draws.add(first, index)
    second = draws.next_epoch(None)
    # mix64(0) is 0, which is below every limit.
    for index in range(5000):
        draws.add(second, index)
    found = {first: [], second: []}
    limits = {}
    for step in range(30):
        taken = draws.take(step)
        found[taken["epoch"]] += taken["sample_ids"]
        limits[taken["epoch"]] = taken["sample_limit"]
    assert limits == {first: 2**63, second: None}
    assert found[first] == [i for i in range(65536) if samples._mix64(i) < 2**63]
    assert found[second] == list(range(5000))


@pytest.mark.parametrize("field", ["weight", "lr", "sample_ids"])
def test_numbers_on_a_device_that_cannot_wait_are_left_out(monitor, caplog, field):
    with device_tensors.cuda(), caplog.at_level(logging.WARNING, "muster"):
        for step in range(2):
            monitor.end_step(step, loss=1.0, **{field: DeviceTensor(torch.tensor(2.0))})
    (message,) = [record.getMessage() for record in caplog.records]
    assert "left out" in message and "Waited" not in message
    assert monitor.stats().made == 2


def test_a_learning_rate_on_a_device_is_not_waited_for(monitor):
    optimizer = mock.Mock(param_groups=[{"lr": DeviceTensor(torch.tensor(0.1))}])
    found = []
    monitor.at_end_step(_training._Follower(monitor, torch.nn.Linear(1, 1), optimizer))
    monitor.at_end_step(found.append)
    with mock.patch.object(DeviceTensor, "__float__") as waits:
        monitor.end_step(0, loss=1.0)
    assert found == [0]
    assert not waits.called


def test_flags_of_newer_versions_are_told_where_the_older_ones_raise():
    class Matmul:
        """Of PyTorch 2.9, once its newer setting is used."""

        fp32_precision = "tf32"

        @property
        def allow_tf32(self):
            raise RuntimeError("mix of the legacy and new APIs")

    with mock.patch.object(torch.backends.cuda, "matmul", Matmul()):
        assert _training.determinism().endswith("matmul.tf32=tf32")


def test_close_closes_where_the_last_copies_fail(monitor):
    monitor._copies = mock.Mock()
    monitor._copies.take_last.side_effect = RuntimeError("gone")
    monitor.close()
    assert not monitor.enabled
