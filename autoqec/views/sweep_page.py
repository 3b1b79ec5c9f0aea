"""A sweep as one HTML file: the plot, the table, and a few lines of script that show a point's figures; it works without them.

What comes from elsewhere, such as names of decoders, is text: it passes through the writer of XML or `escape`.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from xml.etree import ElementTree

from autoqec.results.sweep_records import Sweep, SweepPoint
from autoqec.views.line_styles import FORMATS
from autoqec.views.sweep_plot import save_plot, svg_of
from autoqec.views.sweep_words import factor_text, left_out_words, per_words
from autoqec.whole_files import write_file

_SVG = "http://www.w3.org/2000/svg"
_POINT = re.compile(r"point-(\d+)")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
body {{ margin: 2rem auto; max-width: 70rem; padding: 0 1rem; background: #fff; color: #111; font: 15px/1.45 sans-serif; }}
svg {{ max-width: 100%; height: auto; }}
table {{ border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .15rem .8rem .15rem 0; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }}
th:first-child, td:first-child {{ text-align: left; }}
#said {{ position: fixed; display: none; padding: .3rem .6rem; background: #fff; border: 1px solid #555; white-space: pre-line; }}
</style>
</head>
<body>
<h1>{title}</h1>
{svg}
{tables}
<div id="said" role="status"></div>
<script>
const said = document.getElementById("said");
for (const point of document.querySelectorAll('g[id^="point-"]')) {{
  const title = point.querySelector("title");
  if (!title) continue;
  const text = title.textContent;
  title.remove();
  point.setAttribute("aria-label", text);
  point.style.pointerEvents = "bounding-box";
  point.addEventListener("mousemove", event => {{
    said.textContent = text;
    said.style.display = "block";
    said.style.left = Math.min(event.clientX + 12, innerWidth - said.offsetWidth - 8) + "px";
    said.style.top = Math.min(event.clientY + 12, innerHeight - said.offsetHeight - 8) + "px";
  }});
  point.addEventListener("mouseleave", () => {{ said.style.display = "none"; }});
}}
</script>
</body>
</html>
"""


#: File formats of plots of sweeps.
SWEEP_FORMATS = (*FORMATS, ".html")


def plot_sweep(sweep: Sweep, path: Path) -> None:
    """Draw a sweep into a file, whose extension is one of `SWEEP_FORMATS`.

    Raises:
        UsageError: Nothing was counted, or there are too many panels.
        AutoQECError: The file cannot be written.
    """
    (write_page if path.suffix == ".html" else save_plot)(sweep, path)


def write_page(sweep: Sweep, path: Path) -> None:
    """Write a sweep as an HTML file that needs no other file.

    Raises:
        UsageError: As for `plot_sweep`.
        UsageError, AutoQECError: The file cannot be written.
    """
    title = escape(f"Logical error rates of {sweep.env}")
    page = _PAGE.format(title=title, svg=_titled(sweep), tables="\n".join(_tables(sweep)))
    write_file(path, page.encode())


def _titled(sweep: Sweep) -> str:
    """The plot's SVG, in which each point has its figures as a title: a viewer shows it without any script."""
    for prefix, uri in (("", _SVG), ("xlink", "http://www.w3.org/1999/xlink")):
        ElementTree.register_namespace(prefix, uri)
    root = ElementTree.fromstring(svg_of(sweep))  # noqa: S314 - matplotlib wrote it
    for group in root.iter(f"{{{_SVG}}}g"):
        match = _POINT.fullmatch(group.get("id", ""))
        if match:
            title = ElementTree.Element(f"{{{_SVG}}}title")
            title.text = point_words(sweep, sweep.points[int(match[1])])
            group.insert(0, title)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    return ElementTree.tostring(root, encoding="unicode")


def point_words(sweep: Sweep, point: SweepPoint) -> str:
    """The figures of a point, in lines."""
    low, high = point.interval(sweep.per)
    return (
        f"{point.decoder}\n{point.place.label}\n{point.rate(sweep.per):.3g} [{low:.3g}, {high:.3g}] per {per_words(sweep)}\n"
        f"{point.errors:,} of {point.shots:,} shots failed, {point.microseconds:.3g} µs per shot"
    )


def _tables(sweep: Sweep) -> list[str]:
    rows = []
    for point in sweep.counted():
        low, high = point.interval(sweep.per)
        rows.append(
            [
                point.decoder,
                point.place.label,
                f"{point.errors:,}",
                f"{point.shots:,}",
                f"{point.rate(sweep.per):.3g}",
                f"[{low:.3g}, {high:.3g}]",
                f"{point.microseconds:.3g}",
            ]
        )
    heads = ["decoder", "place", "failures", "shots", f"rate per {per_words(sweep)}", "95 % interval", "µs per shot"]
    found = [_table(heads, rows)]
    factors = [
        [
            each.decoder,
            "" if each.p is None else f"{each.p:g}",
            ", ".join(map(str, each.distances)),
            factor_text(each),
            "" if each.fit.line_p is None else f"{each.fit.line_p:.2g}",
        ]
        for each in sweep.suppressions
    ]
    if factors:
        heads = ["decoder", "p", "distances", "Λ per round (95 %)", "p-value of the line"]
        found += ["<h2>Error suppression factor Λ</h2>", _table(heads, factors)]
    found += [f"<p>{escape(words)}</p>" for words in left_out_words(sweep)]
    return found


def _table(heads: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str], kind: str) -> str:
        return "<tr>" + "".join(f"<{kind}>{escape(cell)}</{kind}>" for cell in cells) + "</tr>"

    return "\n".join(["<table>", line(heads, "th"), *(line(row, "td") for row in rows), "</table>"])
