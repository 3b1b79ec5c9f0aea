"""Compares a chart with its golden file: the same elements and texts, at the same places within half a point.

Versions of matplotlib differ in digits that nobody sees, and in names of what is used more than once. `python
tests/reporting/golden_svg.py` draws the golden files anew; look at them before you commit them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

GOLDEN = Path(__file__).parents[1] / "data" / "charts"

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_USED = re.compile(r"#?\b[mpCh][0-9a-f]{10}\b|(?<=url\()#\w+(?=\))")

#: How far apart, in points, a number may be.
_NEAR = 0.5


def parts(svg):
    """Every element with its texts, and its numbers apart."""
    for element in ElementTree.fromstring(svg).iter():
        told = {name.rpartition("}")[2]: _USED.sub("#", value) for name, value in element.attrib.items()}
        words = {
            name: _NUMBER.sub("0", value) if name not in ("id", "data-round") else value for name, value in told.items()
        }
        numbers = [
            float(each) for name, value in sorted(told.items()) if name != "style" for each in _NUMBER.findall(value)
        ]
        yield (element.tag.rpartition("}")[2], sorted(words.items()), (element.text or "").strip()), numbers


def difference(svg, golden):
    """The first place at which two charts differ; None if there is none."""
    ours, theirs = list(parts(svg)), list(parts(golden))
    for (what, numbers), (expected, others) in zip(ours, theirs, strict=False):
        if what != expected:
            return f"{what} in the place of {expected}"
        if len(numbers) != len(others) or any(abs(a - b) > _NEAR for a, b in zip(numbers, others, strict=True)):
            return f"{what}: {numbers} in the place of {others}"
    return None if len(ours) == len(theirs) else f"{len(ours)} elements in the place of {len(theirs)}"


def main():
    """Draw all golden files anew."""
    sys.path.insert(0, str(Path(__file__).parent))
    import charted
    import test_charts

    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, make in test_charts.CHARTS.items():
        (GOLDEN / f"{name}.svg").write_text(make(charted.sample()).svg())


if __name__ == "__main__":
    main()
