#!/usr/bin/python3
"""Prints what is found in the stored real runs as a table, or puts it into a page.

    fault_runs_table.py [--preset release] [--update PAGE]

In the page it replaces what stands between the two lines that say `fault runs`.
"""

import argparse
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e" / "fault_runs"))

import judged  # noqa: E402
from faults import FAULTS  # noqa: E402

BEGIN, END = "<!-- fault runs: begin -->", "<!-- fault runs: end -->"
HEADER = ("run", "kind", "found", "right rank", "delay: median", "largest", "`silent`", "mean loss outside its band by then", "so by chance")


def row(*cells) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def share(count: int, total: int) -> str:
    return f"{count} of {total}"


def fault_row(name: str, runs: list, rate: float) -> str:
    if not any(run.found for run in runs):
        return row(f"`{name}`", f"`{FAULTS[name].kind}`", share(0, len(runs)), *["–"] * 6)
    found = [run for run in runs if run.found]
    delays = sorted(run.delay for run in found)
    return row(
        f"`{name}`",
        f"`{FAULTS[name].kind}`",
        share(len(found), len(runs)),
        share(sum(run.names_right_ranks for run in found), len(found)),
        f"{statistics.median(delays):g}",
        delays[-1],
        share(sum(run.found["silent"] for run in found), len(found)),
        share(sum(run.mean_loss_saw_it for run in found), len(found)),
        f"{sum(1 - (1 - rate) ** delay for delay in delays):.1f}",
    )


def table(muster: pathlib.Path) -> str:
    judged_runs = {name: judged.judge(name, muster) for name in FAULTS}
    healthy = {name: runs for name, runs in judged_runs.items() if not FAULTS[name].kind}
    frames = {name: sum(len(run.steps) for run in runs) for name, runs in healthy.items()}
    outside = {name: sum(len(run.outside_band) for run in runs) for name, runs in healthy.items()}
    rate = sum(outside.values()) / sum(frames.values())
    lines = [row(*HEADER), row(*["---"] * len(HEADER))]
    lines += [fault_row(name, runs, rate) for name, runs in judged_runs.items() if name not in healthy]
    lines += ["", row("healthy", "runs", "frames", "alerts", "frames with the mean loss outside its band"), row(*["---"] * 5)]
    for name, runs in healthy.items():
        lines.append(row(f"`{name}`", len(runs), frames[name], sum(len(run.alerts) for run in runs), outside[name]))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="release", help="build folder of muster")
    parser.add_argument("--update", type=pathlib.Path, metavar="PAGE")
    options = parser.parse_args()
    text = table(ROOT / "build" / options.preset / "cli" / "muster")
    if options.update is None:
        print(text)
        return
    before, rest = options.update.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    options.update.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
