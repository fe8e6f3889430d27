"""The sketch's committed vectors and published numbers follow from its reference.

The C++ kernels are checked against the vectors by sketch_test; here the vectors
and the tables of docs/sketch.md are held to the NumPy implementation, and the
formulas for accuracy to simulation.
"""

import pathlib
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "testing"))

import sketch_reference as reference  # noqa: E402

WIDTH = 1024


def test_vectors_are_what_the_reference_writes():
    committed = (ROOT / "tests/testing/sketch_vectors.txt").read_text(encoding="utf-8")
    assert committed.splitlines() == list(reference.vectors())


@pytest.mark.parametrize("writer", [reference.table, reference.accuracy, reference.fingerprints])
def test_documented_tables_are_what_the_reference_writes(writer):
    assert "\n".join(writer()) in (ROOT / "docs/sketch.md").read_text(encoding="utf-8")


def project(vectors, spec):
    """Rows of `vectors` projected at once."""
    index = np.arange(vectors.shape[1], dtype=np.uint64)
    bucket, sign = spec.bucket(index).astype(np.int64), spec.sign(index)
    rows = [np.bincount(bucket, row * sign, minlength=spec.width) for row in vectors]
    return np.array(rows)


def test_one_projection_at_once_is_the_sketch():
    spec = reference.Spec(WIDTH, 3)
    vector = np.random.default_rng(1).standard_normal(5000)
    together = project(vector[None, :], spec)[0]
    assert np.array_equal(together, reference.sketch(spec, 0, vector).values)


def correlated(rng, elements, count, rho):
    """`count` unit vectors, every pair of which has the cosine rho exactly."""
    basis, _ = np.linalg.qr(rng.standard_normal((elements, count + 1)))
    common, own = basis[:, :1], basis[:, 1:]
    return (np.sqrt(rho) * common + np.sqrt(1 - rho) * own).T


def mean_cosine(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    m = len(rows)
    return (np.linalg.norm(unit.sum(axis=0)) ** 2 - m) / (m * (m - 1))


# 300 seeds: the ratio has a standard error of 0.04, and the band is 3.7 of them.
@pytest.mark.parametrize("rho", [0.0, 0.2, 0.5, 0.84])
def test_mean_over_pairs_errs_as_documented(rho):
    ranks = correlated(np.random.default_rng(7), 32 * WIDTH, 8, rho)
    errors = [
        mean_cosine(project(ranks, reference.Spec(WIDTH, seed))) - rho
        for seed in range(300)
    ]
    predicted = reference.mean_of_pairs_error(rho, 8, WIDTH)
    assert 0.85 < np.sqrt(np.mean(np.square(errors))) / predicted < 1.15


# 2,000 seeds: standard error 0.016, band 4.4 of them for nearly normal errors.
def test_vectors_of_few_blocks_err_less_as_documented():
    rng = np.random.default_rng(9)
    u, v = correlated(rng, 4 * WIDTH, 2, 0.3)
    errors = []
    for seed in range(2000):
        a, b = project(np.stack([u, v]), reference.Spec(WIDTH, seed))
        errors.append(reference.cosine(a, b) - 0.3)
    rms = np.sqrt(np.mean(np.square(errors)))
    exact = reference.pair_error_of_blocks(u, v, WIDTH)
    assert 0.93 < rms / exact < 1.07
    assert rms < 0.93 * reference.pair_error(0.3, WIDTH)


def test_half_precision_moves_a_cosine_by_less_than_the_documented_bound():
    rng = np.random.default_rng(4)
    for seed in range(100):
        spec = reference.Spec(WIDTH, seed)
        u, v = correlated(rng, 8 * WIDTH, 2, 0.84)
        exact = [reference.sketch(spec, 0, x) for x in (u, v)]
        sent = [np.frombuffer(r.wire(), "<f2").astype(np.float64) for r in exact]
        assert abs(
            reference.cosine(*sent) - reference.cosine(*(r.values for r in exact))
        ) < 5e-5
