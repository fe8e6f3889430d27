"""Real runs of 8 ranks under faults, stored and judged again: what is found, when, and whom it names.

fault_runs/record.py trained them; fault_runs/faults.py says what each should raise.
"""

import pathlib
import statistics
import sys

import numpy
import pytest
from conftest import BUILD, ROOT

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "fault_runs"))

import judged  # noqa: E402
from faults import FAULTS  # noqa: E402

HEALTHY = [name for name, fault in FAULTS.items() if not fault.kind]
FAULTY = [name for name in FAULTS if name not in HEALTHY]
# Reported without a bound: whatever is found names the right rank.
UNBOUNDED = ["labels_2pct", "gradient_1p2x", "exponent_bits_23_to_29"]
# One run each, and the frames within which it is found.
AT_ONCE = {
    "nan": 1,
    "eval_mode": 1,
    "mild": 1,
    "significant": 1,
    "no_shards": 3,
    "zero_layer": 3,
    "missed_reduction": 5,  # replicas are checked at each fifth step
    "never_reshuffles": 16,  # within the second epoch
}
# What does not show in the mean loss.
QUIET = ["gradient_1p3x", "exponent_bit_30", "labels_5pct", "slow_2x", "zero_layer", "missed_reduction", "nan"]


@pytest.fixture(scope="module")
def runs():
    """The judged runs of a fault, each fault judged once."""
    known = {}

    def of(name):
        if name not in known:
            known[name] = judged.judge(name, BUILD / "cli" / "muster")
        return known[name]

    return of


def delays(runs):
    """Frames until the right rank was named; infinite where it was not."""
    return [run.delay if run.names_right_ranks else numpy.inf for run in runs]


@pytest.mark.parametrize("name", FAULTS)
def test_every_frame_is_stored(runs, name):
    for run in runs(name):
        assert run.steps == list(range(len(run.steps)))
        # The newest frames of a run that has lost a rank wait for it.
        waiting = 16 if run.run.fault.dies else 0
        assert len(run.steps) == run.run.fault.steps - waiting


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_runs_raise_nothing(runs, name):
    assert [run.alerts for run in runs(name)] == [[]] * FAULTS[name].seeds


@pytest.mark.parametrize("name", FAULTY)
def test_nothing_is_raised_before_the_fault_and_nobody_else_is_named_after_it(runs, name):
    for run in runs(name):
        assert run.false_alarms == []
        for alert in run.alerts:
            assert set(alert["ranks"]) <= set(run.run.ranks), alert


def test_20_percent_random_labels_are_found_within_20_frames_in_90_percent_of_runs(runs):
    found = delays(runs("labels_20pct"))
    assert len(found) >= 10
    assert sum(delay <= 20 for delay in found) >= 0.9 * len(found), found


def test_5_percent_random_labels_are_found_within_60_frames(runs):
    found = delays(runs("labels_5pct"))
    assert all(delay <= 60 for delay in found), found


def test_a_gradient_1p3_times_too_large_is_found_within_60_frames_in_the_median(runs):
    found = delays(runs("gradient_1p3x"))
    assert statistics.median(found) <= 60, found


def test_one_flipped_exponent_bit_30_is_found_in_its_frame(runs):
    assert delays(runs("exponent_bit_30")) == [1] * FAULTS["exponent_bit_30"].seeds


@pytest.mark.parametrize("name", ["repeated_batch", "slow_2x"])
def test_it_is_found(runs, name):
    assert all(run.names_right_ranks for run in runs(name))


@pytest.mark.parametrize("name, within", AT_ONCE.items())
def test_what_can_be_seen_at_once_is(runs, name, within):
    found = delays(runs(name))
    assert all(delay <= within for delay in found), found


def test_a_rank_that_died_is_missed_after_the_default_30_seconds(runs):
    (run,) = runs("rank_dies")
    assert run.names_right_ranks
    # Its last report is that of the onset.
    assert run.found["first_step"] == run.run.fault.onset + 1
    assert 30 <= run.found["value"] < 60


@pytest.mark.parametrize("name", FAULTY)
def test_first_step_is_not_long_before_the_onset(runs, name):
    """An estimate of a change point may be a little early, by chance."""
    for run in runs(name):
        if run.found and run.run.fault.kind == "RankOutlier":
            assert run.found["first_step"] >= run.run.fault.onset - 20
        elif run.found:
            assert run.found["first_step"] >= run.run.fault.onset


@pytest.mark.parametrize("name", UNBOUNDED)
def test_what_is_found_without_a_bound_names_the_right_rank(runs, name):
    assert all(run.names_right_ranks for run in runs(name) if run.found)


@pytest.mark.parametrize("name", FAULTY)
def test_silent_is_that_the_mean_loss_alarmed_no_more_often_than_by_chance(runs, name):
    """Bands and binomial tails are computed here from the stored losses."""
    for run in runs(name):
        if run.found:
            # Frames wait for a lost rank, and are not judged by then.
            newest = run.found["last_step"] - (16 if run.run.fault.dies else 0)
            assert run.found["silent"] != run.loss_shows(run.found["first_step"], newest), run.run.id


def test_the_chance_is_that_of_gaussian_losses():
    losses = numpy.random.default_rng(1).standard_normal(10_000)
    deviations = judged.deviations(losses)[32:]
    rate = float(judged.RATE)
    # Three standard errors, and alarms come in clusters a little.
    assert (abs(deviations) > 2.5).mean() == pytest.approx(rate, abs=4 * (rate / len(deviations)) ** 0.5)


def test_healthy_runs_leave_the_band_no_more_often_than_that(runs):
    healthy = [run for name in HEALTHY for run in runs(name)]
    frames = sum(numpy.isfinite(run.deviations).sum() for run in healthy)
    alarms = sum(len(run.outside_band) for run in healthy)
    assert judged.at_least(alarms, int(frames), judged.RATE) > 0.01


def test_20_percent_random_labels_that_the_mean_loss_shows_are_not_silent(runs):
    """It leaves its band in each of these runs; in half of them more than once or
    twice, which is more than chance does."""
    silent = [run.found["silent"] for run in runs("labels_20pct")]
    assert silent.count(False) >= 5


def test_incidents_that_leave_the_mean_loss_in_its_band_are_silent_and_its_rule_misses_them(runs):
    """These faults are not in the losses, or too little: the rule of the mean loss
    alarms before Muster's alert in no more of the runs than it does without a fault."""
    incidents = [run for name in QUIET for run in runs(name)]
    missed = [run for run in incidents if not run.mean_loss_saw_it]
    # A chance exit, in the alert's own frame too, makes none of them known.
    assert all(run.found["silent"] for run in incidents)
    healthy = [run for name in HEALTHY for run in runs(name)]
    rate = sum(len(run.outside_band) for run in healthy) / sum(len(run.steps) for run in healthy)
    expected = sum(1 - (1 - rate) ** run.delay for run in incidents)
    # The number of runs with a chance alarm has a smaller variance than Poisson's.
    assert len(incidents) - len(missed) <= expected + 3 * expected**0.5
    assert len(missed) >= 0.7 * len(incidents)


def test_the_page_has_these_figures():
    sys.path.insert(0, str(ROOT / "tests" / "bench"))
    import fault_runs_table

    page = (ROOT / "docs" / "detection.md").read_text(encoding="utf-8")
    assert fault_runs_table.table(BUILD / "cli" / "muster") in page
