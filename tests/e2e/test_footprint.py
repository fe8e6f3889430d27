"""The client adds one thread and little memory, however many cores there are."""

import footprint
import pytest


@pytest.mark.parametrize("cores", footprint.CORES)
@pytest.mark.parametrize("beside", footprint.BESIDE)
def test_one_thread_and_little_memory(musterd, tmp_path, beside, cores):
    added = footprint.measure(musterd.grpc, beside, cores, tmp_path)
    assert added.threads == 1
    assert added.megabytes <= footprint.MOST_MEGABYTES
    assert added.growth_megabytes <= footprint.MOST_GROWTH_MEGABYTES
