"""Each scenario of the demo raises the alerts that it should, and no other."""

import json
import os
import subprocess

import pytest
from conftest import BUILD, ROOT, Musterd

RANKS = 8
ALL = list(range(RANKS))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What demo.py wrote, by scenario."""
    folder = tmp_path_factory.mktemp("demo")
    daemon = Musterd(folder)
    summary = folder / "demo.json"
    try:
        subprocess.run(
            [
                "/usr/bin/python3",
                ROOT / "examples" / "torch_ddp" / "demo.py",
                f"--address={daemon.grpc}",
                f"--http={daemon.http}",
                f"--json={summary}",
            ],
            env={**os.environ, "MUSTER_LIBRARY": str(BUILD / "client" / "libmuster.so")},
            check=True,
            timeout=900,
        )
    finally:
        daemon.stop()
    return {result["scenario"]: result for result in json.loads(summary.read_text())}


def alerts(results, scenario):
    """(kind, subject, ranks) of each alert."""
    return [
        (alert["kind"], alert.get("subject", ""), alert.get("ranks", []))
        for alert in results[scenario]["alerts"]
    ]


def test_every_frame_was_judged(results):
    assert {name: result["steps"] for name, result in results.items()} == {
        "strict": 100,
        "mild": 60,
        "significant": 60,
        "duplicate-shard": 60,
        "noisy-labels": 100,
        "scaled-gradient": 100,
        "nan": 60,
    }


def test_strict_raises_no_alert(results):
    assert alerts(results, "strict") == []


def test_mild_names_rank_0_for_its_sampler_seed(results):
    assert ("FactMismatch", "sampler_seed", [0]) in alerts(results, "mild")


def test_significant_names_all_ranks_for_their_sampler_seeds(results):
    seeds = [a for a in alerts(results, "significant") if a[0] == "FactMismatch"]
    assert [subject for _, subject, _ in seeds] == ["sampler_seed"]
    assert seeds[0][2] == ALL


def test_duplicate_shard_names_all_ranks(results):
    raised = alerts(results, "duplicate-shard")
    assert {kind for kind, _, _ in raised} == {"DuplicateShard"}
    assert raised[0][2] == ALL


@pytest.mark.parametrize("scenario, rank", [("noisy-labels", 3), ("scaled-gradient", 5)])
def test_outlier_names_its_rank_and_no_other(results, scenario, rank):
    raised = alerts(results, scenario)
    assert raised
    assert {(kind, *ranks) for kind, _, ranks in raised} == {("RankOutlier", rank)}


def test_nan_names_rank_and_step(results):
    raised = results["nan"]["alerts"]
    assert [(a["kind"], a["ranks"]) for a in raised] == [("NonFinite", [2])]
    assert int(raised[0]["firstStep"]) == 30
    assert "Rank 2" in raised[0]["evidence"] and "step 30" in raised[0]["evidence"]
