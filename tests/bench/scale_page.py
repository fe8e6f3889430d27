"""Puts what `scripts/bench scale` measured into docs/scale.md, and draws its growth with ranks.

    python3 tests/bench/scale_page.py FILE docs/scale.md docs/images/scale.svg
"""

import json
import math
import pathlib
import re
import sys

COLUMNS = [
    ("runs", "runs"),
    ("ranks", "ranks of each"),
    ("streams", "streams"),
    ("width", "k"),
    ("rate", "steps/s"),
    ("reports_per_s", "reports/s"),
    ("cpu_share", "cores"),
    ("cpu_us_per_report", "µs of CPU a report"),
    ("peak_rss_mib", "peak MiB"),
    ("delay_p50_s", "delay p50, ms"),
    ("delay_p99_s", "p99"),
    ("delay_worst_s", "worst"),
    ("acknowledged_within_s", "all acknowledged, worst ms"),
]
# As the page has them.
INK, SOFT, LINE, BLUE, ORANGE = "#1d2126", "#565e68", "#e4e5e1", "#1666ad", "#ad4602"
WIDTH, HEIGHT, LEFT, TOP = 250, 170, 52, 34


def cell(case, key):
    value = case[key]
    if key.endswith("_s") and key != "reports_per_s":
        return f"{1000 * value:.3g}"
    if key == "rate" and case["history"]:
        return f"{value}, with history"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}" if value < 100 else f"{value:,.0f}"


def table(cases):
    head = [name for _, name in COLUMNS]
    lines = [head, ["---"] * len(head)] + [[cell(case, key) for key, _ in COLUMNS] for case in cases]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def decades(values):
    """From the power of ten below all values to that above."""
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))


def panel(left, title, unit, cases, series):
    """Ranks against `series`, [(key, name, colour, factor)], both logarithmic."""
    columns = decades([case["ranks"] for case in cases])
    rows = decades([case[key] * factor for case in cases for key, _, _, factor in series])

    def x(value):
        return left + WIDTH * (math.log10(value) - columns[0]) / (columns[1] - columns[0])

    def y(value):
        return TOP + HEIGHT * (rows[1] - math.log10(value)) / (rows[1] - rows[0])

    parts = [f'<text x="{left}" y="18" font-weight="600" fill="{INK}">{title}, {unit}</text>']
    for power in range(rows[0], rows[1] + 1):
        at = y(10**power)
        parts.append(f'<path d="M{left} {at:.1f}h{WIDTH}" stroke="{LINE}"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:,.7g}</text>')
    for power in range(columns[0], columns[1] + 1):
        at = x(10**power)
        parts.append(f'<path d="M{at:.1f} {TOP}v{HEIGHT}" stroke="{LINE}"/>')
        parts.append(f'<text x="{at:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{10**power:,}</text>')
    for key, name, colour, factor in series:
        points = [(x(case["ranks"]), y(case[key] * factor)) for case in cases]
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>' for px, py in points]
        if name:
            px, py = points[1]
            above = -10 if key == series[-1][0] else 18
            parts.append(f'<text x="{px:.1f}" y="{py + above:.1f}" text-anchor="middle" fill="{colour}">{name}</text>')
    return parts


def picture(cases):
    """Processor time, memory and delay of one run at one step a second, by its ranks."""
    cases = sorted(
        (c for c in cases if (c["runs"], c["width"], c["rate"], c["history"]) == (1, 1024, 1, False)),
        key=lambda case: case["ranks"],
    )
    panels = [
        ("Processor", "cores", [("cpu_share", "", BLUE, 1)]),
        ("Memory", "peak MiB", [("peak_rss_mib", "", BLUE, 1)]),
        ("Last report to judged", "ms", [("delay_p50_s", "median", BLUE, 1000), ("delay_worst_s", "worst", ORANGE, 1000)]),
    ]
    step = WIDTH + LEFT + 22
    width, height = step * len(panels) + 14, TOP + HEIGHT + 46
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' font-family="system-ui, sans-serif" font-size="12" fill="{SOFT}" role="img">',
        "<title>One daemon against the ranks of one run: processor, memory and delay</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for i, (title, unit, series) in enumerate(panels):
        parts += panel(LEFT + 8 + i * step, title, unit, cases, series)
    middle = f'x="{width / 2}" y="{height - 8}" text-anchor="middle"'
    parts.append(f"<text {middle}>ranks of one run, 1 step/s, k = 1,024, 8 ranks to a stream</text>")
    return "\n".join([*parts, "</svg>", ""])


def main():
    if len(sys.argv) != 4:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        sys.exit(2)
    cases, page, image = (pathlib.Path(name) for name in sys.argv[1:])
    cases = json.loads(cases.read_text(encoding="utf-8"))
    cases.sort(key=lambda c: (c["history"], c["rate"], c["runs"], c["width"] != 1024, c["ranks"], c["width"]))
    marks = re.compile(r"(<!-- table -->\n).*?(<!-- end of table -->)", re.DOTALL)
    text = page.read_text(encoding="utf-8")
    page.write_text(marks.sub(lambda match: f"{match[1]}{table(cases)}\n{match[2]}", text), encoding="utf-8")
    image.write_text(picture(cases), encoding="utf-8")


if __name__ == "__main__":
    main()
