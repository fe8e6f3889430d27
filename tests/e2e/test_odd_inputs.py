"""What a training script may hand over that nobody thought of: training goes
on."""

import logging

import pytest
import torch
from torch.utils import data

import muster
import muster.torch
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
