#!/usr/bin/python3
"""Writes numpy_reference.h: the measures of a small run, from their definitions
(all pairs, explicit weights of the averages) instead of the daemon's formulas.

    /usr/bin/python3 make_numpy_reference.py | clang-format > numpy_reference.h
"""
import numpy as np

FRAMES, RANKS, WIDTH, DECAY = 12, 5, 64, 0.95


def noise(x):
    """A whole number in -300 ... 300 for any x."""
    return ((x * 2654435761 % 2**32) >> 8) % 601 - 300


def gradient(frame, rank):
    return np.array([
        2 * noise(j) + noise(1000 * (frame + 1) + j) +
        noise(10**6 + 10**5 * frame + 1000 * rank + j) for j in range(WIDTH)
    ], dtype=np.float64)


def present(frame):
    return [i for i in range(RANKS) if (frame, i) != (5, 2)]


def weight(frame, rank):
    return 4.0 + 3 * rank + frame % 2


def loss(frame, rank):
    return 3 - 0.125 * frame + 0.25 * rank * rank


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


def age_weights(count):
    return DECAY ** np.arange(count - 1, -1, -1.0)


squares, traces, mean_directions = [], [], []
rows = []
for f in range(FRAMES):
    ranks = present(f)
    g = {i: gradient(f, i) for i in ranks}
    u = {i: g[i] / np.linalg.norm(g[i]) for i in ranks}
    pairs = [(i, j) for i in ranks for j in ranks if i != j]
    w = np.array([weight(f, i) for i in ranks])
    losses = np.array([loss(f, i) for i in ranks])
    norms = np.array([np.linalg.norm(g[i]) for i in ranks])
    row = [
        (w * losses).sum() / w.sum(),
        losses.std(),
        norms.mean(),
        norms.std(),
        np.mean([cosine(g[i], g[j]) for i, j in pairs]),
    ]
    rank_cosine = {
        i: cosine(u[i], sum(u[j] for j in ranks if j != i)) for i in ranks
    }
    row.append(min(rank_cosine.values()))

    b = len(w) / (1 / w).sum()
    squares.append(np.mean([g[i] @ g[j] for i, j in pairs]))
    traces.append(b * ((norms**2).mean() - squares[-1]))
    a = age_weights(f + 1)
    a /= a.sum()
    square = a @ squares
    trace = a @ traces
    row += [square, trace]
    scale = np.nan
    if f >= 7:
        spread = a @ (np.array(squares) - square)**2 / (1 - a @ a)
        error = np.sqrt(spread * (a @ a))
        scale = trace / square if square > 3 * error else np.nan
    row += [scale, 1 / (1 + scale / b)]

    mean_direction = sum(u.values()) / len(ranks)
    row.append(
        cosine(mean_direction, mean_directions[-1]) if f > 0 else np.nan)
    divergence = {i: np.nan for i in ranks}
    if f > 0:
        r = sum(x * d for x, d in zip(age_weights(f), mean_directions))
        divergence = {i: 1 - cosine(g[i], r) for i in ranks}
    mean_directions.append(mean_direction)
    for values in (rank_cosine, divergence):
        row += [values.get(i, np.nan) for i in range(RANKS)]
    rows.append(row)


def text(x):
    return "kAbsent" if np.isnan(x) else repr(float(x))


print(f"""// Written by make_numpy_reference.py; do not edit.
#ifndef MUSTER_TESTS_DAEMON_CONSISTENCY_NUMPY_REFERENCE_H_
#define MUSTER_TESTS_DAEMON_CONSISTENCY_NUMPY_REFERENCE_H_

#include <limits>

namespace muster::consistency {{

inline constexpr int kReferenceFrames = {FRAMES};
inline constexpr int kReferenceRanks = {RANKS};
inline constexpr int kReferenceWidth = {WIDTH};
inline constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

struct ReferenceFrame {{
  double loss_mean, loss_stddev, norm_mean, norm_stddev, cosine_mean,
      cosine_min, gradient_square, covariance_trace, noise_scale,
      cosine_expected, step_cosine;
  double rank_cosine[kReferenceRanks];
  double divergence[kReferenceRanks];
}};

inline constexpr ReferenceFrame kReference[kReferenceFrames] = {{""")
for row in rows:
    head, c, d = row[:11], row[11:11 + RANKS], row[11 + RANKS:]
    print("    {" + ", ".join(map(text, head)) + ",")
    print("     {" + ", ".join(map(text, c)) + "},")
    print("     {" + ", ".join(map(text, d)) + "}},")
print("""};

}  // namespace muster::consistency

#endif  // MUSTER_TESTS_DAEMON_CONSISTENCY_NUMPY_REFERENCE_H_""")
