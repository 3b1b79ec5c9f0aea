"""What a report of a long history costs: to write it, in bytes, and to open it in a browser.

The bars: 5,000 rounds are less than 10 MB, and are open within 2 s in Chromium, on one core of a machine that does nothing else.
Open means that the page has loaded, its script has run, and the first two frames are drawn. A browser's wall times say little on
a busy machine; `cpu` are seconds of the processor in the page's main thread. Chromium is `AUTOQEC_TEST_CHROMIUM`, or the first
on the path.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from _common import arguments, show
from history import make_lab

from autoqec.config import load_settings
from autoqec.plugins import load_plugins
from autoqec.reporting.lab_diagnoses import read_diagnoses
from autoqec.reporting.pages.report_page import report_page
from autoqec.reporting.recorded_lab import read_lab

FLAGS = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"

#: Two frames: what was laid out is on the screen then.
DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def written(folder: Path, rounds: int) -> tuple[str, dict[str, float]]:
    """A report of a lab of so many rounds, and the processor seconds of each part of writing it."""
    ledger = make_lab(folder, rounds)
    began = process_time()
    lab = read_lab(ledger)
    read = process_time()
    diagnoses = read_diagnoses(lab, load_plugins(), load_settings(folder))
    diagnosed = process_time()
    page = report_page(lab, diagnoses)
    return page, {
        "read cpu": read - began,
        "diagnosed cpu": diagnosed - read,
        "written cpu": process_time() - diagnosed,
        "MB": len(page.encode()) / 1e6,
        "charts MB": sum(map(len, re.findall("<svg.*?</svg>", page, re.DOTALL))) / 1e6,
        "packed MB": sum(map(len, re.findall('<script type="text/plain".*?</script>', page, re.DOTALL))) / 1e6,
    }


def opened(path: Path, repeats: int) -> dict[str, Any]:
    """Seconds to open a page, to open a packed round, and to sort the table: the least of several."""
    from playwright.sync_api import sync_playwright

    binary = os.environ.get("AUTOQEC_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    rows = []
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=binary, args=FLAGS.split())
        for _ in range(repeats):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            session = page.context.new_cdp_session(page)
            session.send("Performance.setTimeDomain", {"timeDomain": "threadTicks"})
            session.send("Performance.enable")

            def cpu(session: Any = session) -> float:
                found = session.send("Performance.getMetrics")["metrics"]
                return next(each["value"] for each in found if each["name"] == "TaskDuration")

            row, marks = {}, [(perf_counter(), cpu())]
            page.goto(path.as_uri())
            page.evaluate(DRAWN)
            marks.append((perf_counter(), cpu()))
            page.evaluate("location.hash = document.querySelector('table.rounds tbody a').getAttribute('href')")
            page.locator("details.round[open]").first.wait_for()
            marks.append((perf_counter(), cpu()))
            page.locator("table.rounds thead button").nth(3).click()
            page.evaluate(DRAWN)
            marks.append((perf_counter(), cpu()))
            for name, before, after in zip(("open", "round", "sort"), marks, marks[1:], strict=False):
                row |= {f"{name} s": after[0] - before[0], f"{name} cpu": after[1] - before[1]}
            rows.append(row)
            page.close()
        version = browser.version
        browser.close()
    return {name: round(min(row[name] for row in rows), 3) for name in rows[0]} | {"chromium": version}


def main() -> None:
    """Write and open reports of a short and a long history."""
    options = arguments(
        str(__doc__).split("\n")[0],
        rounds=(5000, "rounds of the long history"),
        repeats=(5, "times that a page is opened"),
    )
    os.environ.setdefault("GIT_CONFIG_GLOBAL", os.devnull)
    os.environ["AUTOQEC_TRUST_LABS"] = "1"
    rows, version = [], ""
    with tempfile.TemporaryDirectory() as top:
        for rounds in (100, options.rounds):
            page, cost = written(Path(top) / str(rounds), rounds)
            path = Path(top) / f"{rounds}.html"
            path.write_text(page)
            times = opened(path, options.repeats)
            version = times.pop("chromium")
            rows.append({"rounds": rounds, **{name: round(value, 2) for name, value in cost.items()}, **times})
    show("report", rows, {"chromium": version}, as_json=options.json)


if __name__ == "__main__":
    main()
