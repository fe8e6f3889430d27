#!/usr/bin/env python3
"""Prints what `scripts/bench detection --json FILE` wrote as tables, or puts them into a page.

    detection_table.py FILE [--update PAGE]

In the page they replace what stands between the two lines that say `bench detection`.
"""

import json
import pathlib
import sys

RULES = ["mean_loss", "sigma_and_10pct", "mad", "cosine_below_0p2", "weight_hash"]
WORLDS = [4, 8, 64, 512]
BEGIN, END = "<!-- bench detection: begin -->", "<!-- bench detection: end -->"


def number(value):
    return "–" if value is None else f"{value:.3g}"


def cell(values, key):
    recall = values[f"{key}.recall"]
    if not recall:
        return "0"
    median, p90 = (number(values[f"{key}.delay_{each}"]) for each in ("median", "p90"))
    return f"{recall:.2f} · {median} · {p90} · {number(values[f'{key}.right_rank'])}"


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def tables(values):
    # Written once for each world and rule; names keep the order of the file.
    faults = list(dict.fromkeys(key.split(".")[1] for key in values if key.startswith("fault.")))
    kinds = list(dict.fromkeys(key.split(".")[1] for key in values if key.startswith("healthy.") and ".n8." in key))
    suffix = "false_alarms_per_million_steps"
    lines = ["Share found within 500 frames · median delay · its 90th percentile · share of those found whose first alert names the right rank:", ""]
    lines += [row("fault", *(f"{n} ranks" for n in WORLDS)), row(*["---"] * (len(WORLDS) + 1))]
    lines += [row(f"`{f}`", *(cell(values, f"fault.{f}.n{n}") for n in WORLDS)) for f in faults]
    lines += ["", "The same runs of 8 ranks, judged by what people use today:", ""]
    lines += [row("fault", *(f"`{r}`" for r in RULES)), row(*["---"] * (len(RULES) + 1))]
    lines += [row(f"`{f}`", *(cell(values, f"baseline.{r}.fault.{f}.n8") for r in RULES)) for f in faults]
    lines += ["", "False alarms in 10⁶ healthy steps:", ""]
    lines += [row("run", "musterd", *(f"`{r}`" for r in RULES)), row(*["---"] * (len(RULES) + 2))]
    for kind in kinds:
        lines.append(row(f"`{kind}`", number(values[f"healthy.{kind}.{suffix}"]), *(number(values[f"baseline.{r}.healthy.{kind}.{suffix}"]) for r in RULES)))
    lines += ["", "Alarms in 10⁶ healthy steps with `target_frames` at 10³ (at most 1,000 expected):", ""]
    worlds = [f"n{n}" for n in WORLDS] + ["n8_sketches"]
    lines += [row("run", *worlds), row(*["---"] * (len(worlds) + 1))]
    lines += [row(f"`{k}`", *(number(values[f"healthy.{k}.{w}.target_1000.{suffix}"]) for w in worlds)) for k in kinds]
    return "\n".join(lines) + "\n"


def main():
    text = tables(json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")))
    if sys.argv[2:3] != ["--update"]:
        print(text)
        return
    page = pathlib.Path(sys.argv[3])
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
