#!/usr/bin/env python3
"""Trains each scenario of train.py in turn and shows what musterd says of it."""

import argparse
import json
import math
import statistics
import sys
import time
import urllib.parse
import urllib.request

import train

# What these show takes tens of steps to show; the others show it at once.
SLOW_SCENARIOS = ("strict", "noisy-labels", "scaled-gradient")

COLUMNS = (
    ("mean loss", "lossMean"),
    ("loss dispersion", "lossStddev"),
    ("norm dispersion", "gradientNormStddev"),
    ("mean cosine", "gradientCosineMean"),
)


def get(http: str, path: str, **query) -> dict:
    """The JSON that musterd answers."""
    url = f"http://{http}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def judged_steps(http: str, run: str, last_step: int) -> list[dict]:
    """The run's steps, once the last one has been judged."""
    deadline = time.monotonic() + 40
    while True:
        steps = get(http, f"runs/{run}/steps", limit=4096).get("steps", [])
        if steps and int(steps[-1].get("step", 0)) >= last_step:
            return steps
        if time.monotonic() > deadline:
            raise TimeoutError(f"musterd has not judged step {last_step} of run {run}")
        time.sleep(0.1)


def alerts_of(http: str, run: str) -> list[dict]:
    """Alerts of the run that fired, resolved ones too, in the order they began."""
    alerts = get(http, "alerts").get("alerts", [])
    fired = [a for a in alerts if a["run"] == run and a.get("state") in ("FIRING", "RESOLVED")]
    return sorted(fired, key=lambda alert: int(alert["id"]))


def run_scenario(options: argparse.Namespace, scenario: str) -> dict:
    """Trains it, and sums up what was seen."""
    run = f"{options.run_prefix}{scenario}"
    short = options.steps * 3 // 5
    steps = options.steps if scenario in SLOW_SCENARIOS else short
    arguments = ["--scenario", scenario, "--address", options.address, "--run-id", run]
    arguments += ["--ranks", str(options.ranks), "--steps", str(steps)]
    started = time.monotonic()
    train.launch(train.parse(arguments))
    seconds = time.monotonic() - started
    judged = judged_steps(options.http, run, steps - 1)
    # The same steps of all runs, so that their numbers can be compared.
    compared = judged[short // 2 : short]
    means = {}
    for _, name in COLUMNS:
        values = [step[name] for step in compared if name in step]
        means[name] = statistics.fmean(values) if values else math.nan
    return {
        "scenario": scenario,
        "run": run,
        "steps": len(judged),
        "seconds": round(seconds, 1),
        **means,
        "alerts": alerts_of(options.http, run),
    }


def describe(alert: dict, ranks: int) -> str:
    """"RankOutlier (loss): rank 3, from step 31"."""
    concerned = alert.get("ranks", [])
    if not concerned:
        who = "the run"
    elif len(concerned) == ranks:
        who = "all ranks"
    else:
        who = ("ranks " if len(concerned) > 1 else "rank ") + ", ".join(map(str, concerned))
    subject = f" ({alert['subject']})" if alert.get("subject") else ""
    return f"{alert['kind']}{subject}: {who}, from step {alert.get('firstStep', 0)}"


def print_table(results: list[dict], options: argparse.Namespace) -> None:
    short = options.steps * 3 // 5
    print(f"\nMeans over steps {short // 2} to {short - 1}; dispersion is the standard deviation")
    print("over ranks. An alert's step is the first with evidence, not that of the alarm.")
    header = ["scenario", *(title for title, _ in COLUMNS), "alerts"]
    rows = []
    for result in results:
        numbers = [f"{result[name]:.3f}" for _, name in COLUMNS]
        alerts = [describe(alert, options.ranks) for alert in result["alerts"]] or ["none"]
        rows.append([result["scenario"], *numbers, alerts[0]])
        rows += [[""] * (len(header) - 1) + [alert] for alert in alerts[1:]]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header) - 1)]
    for row in [header, *rows]:
        cells = [f"{row[0]:<{widths[0]}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(row[1:-1], widths[1:])]
        print("  ".join([*cells, row[-1]]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True, help="HOST:PORT of musterd's gRPC")
    parser.add_argument("--http", required=True, help="HOST:PORT of musterd's HTTP")
    parser.add_argument("--scenarios", nargs="+", choices=train.SCENARIOS, metavar="NAME",
                        default=list(train.SCENARIOS), help="default: all")
    parser.add_argument("--ranks", type=int, default=8, help="of each run (default 8)")
    parser.add_argument("--steps", type=int, default=100, help="of the longer runs (default 100)")
    parser.add_argument("--run-prefix", default="", help="put before the scenario's name")
    parser.add_argument("--json", help="file for the results")
    options = parser.parse_args()

    results = []
    for number, scenario in enumerate(options.scenarios, 1):
        print(f"[{number}/{len(options.scenarios)}] {scenario}", flush=True)
        results.append(run_scenario(options, scenario))
        print(f"  {results[-1]['seconds']:.0f} s", flush=True)
    print_table(results, options)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
