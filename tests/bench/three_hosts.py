"""What a training notices, and what becomes of its reports, while hosts, network and Muster fail one after the other.

usage: three_hosts.py [--short] [--frame-wait SECONDS] [--folder FOLDER]

tests/e2e/three_hosts.py has the scenario. Prints a table; exits with 1 if a report is neither judged once nor counted
as dropped, if an alert does not come back, or if steps with Muster take more than 1.02 times those without: in the
median of all pairs of blocks, or beyond doubt in one phase, which has fewer. As root: hosts are network namespaces.
"""

import argparse
import dataclasses
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "e2e")]

import three_hosts  # noqa: E402
import wire  # noqa: E402

MOST = 1.02  # of the ratio of step times


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="the faults as short as in the end-to-end test")
    parser.add_argument("--frame-wait", type=float, help="frames.timeout and frames.overflow_after of the daemon")
    parser.add_argument("--folder", help="an empty one, for what ranks and daemons write")
    options = parser.parse_args()
    why_not = wire.why_not()
    if why_not:
        parser.error(why_not)
    lengths = three_hosts.SHORT if options.short else three_hosts.FULL
    if options.frame_wait:
        lengths = dataclasses.replace(lengths, frame_wait=options.frame_wait)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.folder or temporary)
        scenario = three_hosts.Scenario(folder, lengths, lambda phase: print(phase, file=sys.stderr, flush=True)).run()
    print(three_hosts.table(scenario.rows))
    print(f"dropped: {scenario.dropped}")
    pairs = sorted(ratio for row in scenario.rows for ratio in row["ratios"])
    median = pairs[len(pairs) // 2]
    low, high = three_hosts.interval(pairs)
    print(f"steps with / without Muster: {median:.4f}, 95 % from {low:.4f} to {high:.4f}, {len(pairs)} pairs of blocks")
    problems = scenario.problems
    if median > MOST:
        problems.append(f"a step takes {median:.4f} times as long")
    for row in scenario.rows:
        if three_hosts.interval(row["ratios"])[0] > MOST:
            problems.append(f"{row['phase']}: steps take longer with Muster")
    for problem in problems:
        print(f"untrue: {problem}")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
