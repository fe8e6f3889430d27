"""What the client adds to a process, as tests/e2e/test_footprint.py measures it.

usage: footprint_bench.py [--json FILE]

The keys without a setting are the largest of all settings. What needs PyTorch is
left out where there is none.
"""

import argparse
import importlib.util
import json
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import conftest  # noqa: E402
import footprint  # noqa: E402


def measure():
    """{setting: Footprint}"""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        musterd = conftest.Musterd(path)
        try:
            for beside in footprint.BESIDE:
                if beside == "torch" and importlib.util.find_spec("torch") is None:
                    print("footprint: no PyTorch, so not measured beside it")
                    continue
                for cores in footprint.CORES:
                    results[f"{beside}.{cores}_cores"] = footprint.measure(
                        musterd.grpc, beside, cores, path
                    )
        finally:
            musterd.stop()
    return results


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--json")
    arguments = parser.parse_args()
    names = {
        "threads": "threads",
        "rss_mb": "megabytes",
        "rss_growth_mb": "growth_megabytes",
        "libraries": "libraries",
    }
    results = measure()
    numbers = {}
    for key, field in names.items():
        numbers[f"footprint.{key}"] = max(getattr(added, field) for added in results.values())
        for setting, added in results.items():
            numbers[f"footprint.{setting}.{key}"] = getattr(added, field)
    for key, value in numbers.items():
        print(f"{key:<46} {value:8.3f}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({key: float(f"{v:.6g}") for key, v in numbers.items()}, file)


if __name__ == "__main__":
    main()
