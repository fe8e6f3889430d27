"""Numbers of `scripts/bench client` as one JSON file, and as tables for the docs.

usage: tables.py merge FILE PART…    writes the numbers of all PARTs into FILE
       tables.py check FILE PARTS    fails unless the keys of PARTS (a,b,…) are there
       tables.py print FILE          prints Markdown tables of FILE
       tables.py write FILE DOC      puts them between the marks in DOC:
                                     <!-- table PART --> … <!-- end -->
"""

import json
import math
import pathlib
import re
import sys

BAD_DAEMONS = (
    "absent",
    "black_hole",
    "one_byte_a_second",
    "stopped",
    "killed_and_restarted",
    "refusing",
)
# What each part owes, and its aim: (largest, smallest) or None.
KEYS = {
    "sketch": {
        "sketch.f32.k1024.over_sum_of_squares": (1.20, None),
        "sketch.f32.k4096.over_sum_of_squares": (1.30, None),
        "sketch.bf16.k1024.over_sum_of_squares": (1.6, None),
        "sketch.f32.k1024.in_cache_over_sum_of_squares": (1.7, None),
        "sketch.f32.k1024.speedup_over_hashed": (None, 30),
        "sketch.f32.k1024.gb_per_s": (None, None),
    },
    "end_step": {
        "end_step.p50_us": (2, None),
        "end_step.p99_us": (20, None),
        "end_step.allocations": (0, None),
    },
    "ddp": {
        "ddp.step_ratio": (1.02, None),
        "ddp.p99_ratio": (None, None),
        "ddp.sketch_share": (None, None),
        **{f"ddp.{name}.step_ratio": (1.02, None) for name in BAD_DAEMONS},
        **{f"ddp.{name}.p99_ratio": (1.25, None) for name in BAD_DAEMONS},
    },
    "footprint": {
        "footprint.threads": (1, None),
        "footprint.rss_mb": (3, None),
        "footprint.rss_growth_mb": (0.25, None),
        "footprint.libraries": (None, None),
    },
}
# Present only on some machines.
AIMS = {
    "sketch.f32.k1024.over_torch_norm": (1.15, None),
    "sketch.f32.k1024.avx2_over_sum_of_squares": (1.6, None),
    "sketch.f32.k1024.avx2_instructions_per_element": (2.2, None),
    **{key: aim for part in KEYS.values() for key, aim in part.items()},
}


def read(path):
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def write(path, numbers):
    text = json.dumps(numbers, indent=2, sort_keys=True) + "\n"
    pathlib.Path(path).write_text(text, encoding="utf-8")


def merge(path, parts):
    numbers = {}
    for part in parts:
        numbers.update(read(part))
    write(path, numbers)


def check(path, parts):
    """The first thing that is wrong, or None."""
    numbers = read(path)
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return f"{key} is {value!r}, not a number"
    missing = [key for part in parts for key in KEYS[part] if key not in numbers]
    return f"no number for {', '.join(missing)}" if missing else None


def tables(numbers):
    """{part: Markdown table}"""
    result = {}
    for part in KEYS:
        lines = ["| key | value | aim |", "| --- | --- | --- |"]
        # In the order of AIMS first: what the aims are about leads.
        mine = [key for key in numbers if key.startswith(part + ".")]
        for key in sorted(mine, key=lambda key: (key not in AIMS, key)):
            lines.append(f"| `{key}` | {numbers[key]:.6g} | {aim(key, numbers[key])} |")
        if mine:
            result[part] = "\n".join(lines)
    return result


def aim(key, value):
    most, least = AIMS.get(key, (None, None))
    if most is None and least is None:
        return ""
    good = (most is None or value <= most) and (least is None or value >= least)
    text = f"≤ {most:g}" if most is not None else f"≥ {least:g}"
    return text if good else f"{text}, missed"


def rewrite(document, numbers):
    for part, table in tables(numbers).items():
        marks = re.compile(rf"(<!-- table {part} -->\n).*?(<!-- end -->)", re.DOTALL)
        document = marks.sub(lambda match: f"{match[1]}{table}\n{match[2]}", document)
    return document


def main(arguments):
    match arguments:
        case ["merge", path, *parts] if parts:
            merge(path, parts)
        case ["check", path, parts]:
            problem = check(path, parts.split(","))
            if problem:
                sys.exit(f"scripts/bench: {problem}")
        case ["print", path]:
            for part, table in tables(read(path)).items():
                print(f"{part}\n\n{table}\n")
        case ["write", path, document]:
            file = pathlib.Path(document)
            file.write_text(rewrite(file.read_text(encoding="utf-8"), read(path)), encoding="utf-8")
        case _:
            print(__doc__.split("\n\n")[1], file=sys.stderr)
            sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
