"""What a training notices, and what becomes of its reports, while hosts, network and Muster fail one after the other.

usage: three_hosts.py [--short]

tests/e2e/three_hosts.py has the scenario. Prints a table; exits with 1 if a report is neither judged once nor counted as
dropped, if an alert does not come back, or if the median step with Muster takes more than 1.02 times that without in any phase.
As root: the hosts are network namespaces.
"""

import argparse
import pathlib
import statistics
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
    options = parser.parse_args()
    if wire.why_not():
        parser.error(wire.why_not())
    lengths = three_hosts.SHORT if options.short else three_hosts.FULL
    with tempfile.TemporaryDirectory() as folder:
        scenario = three_hosts.Scenario(
            pathlib.Path(folder), lengths, lambda phase: print(phase, file=sys.stderr, flush=True)
        ).run()
    print(three_hosts.table(scenario.rows))
    print(f"dropped: {scenario.dropped}")
    for row in scenario.rows:
        if row["ratios"] and statistics.median(row["ratios"]) > MOST:
            scenario.problems.append(f"{row['phase']}: a step takes {statistics.median(row['ratios']):.3f} times as long")
    for problem in scenario.problems:
        print(f"untrue: {problem}")
    sys.exit(bool(scenario.problems))


if __name__ == "__main__":
    main()
