"""Pages in a real Chromium: nothing is refused or fetched, axe-core finds nothing, and no page scrolls sideways."""

import importlib.util
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoqec.history import open_ledger
from autoqec.reporting.lab_diagnoses import NO_DIAGNOSES
from autoqec.reporting.pages import report_page as report_page_module
from autoqec.reporting.pages.report_page import report_page
from autoqec.reporting.recorded_lab import read_lab
from autoqec.testing import figures, make_tiny_lab, record_round, record_run

TESTS = Path(__file__).parents[1]

EVIL = "</script><script>window.evil = 1</script><img src=x onerror='window.evil=1'>"

CHROMIUM = os.environ.get("AUTOQEC_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def chromium():
    """A browser."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed; AUTOQEC_TEST_CHROMIUM names one")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'autoqec[browser]'")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, *, width=1280, scheme="light", script=True):
    """A page as a browser shows it; its console stays silent, and it asks for no other file."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, java_script_enabled=script
    )
    context.set_default_timeout(300_000)  # a machine may be busy
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(Path(path).as_uri())
    yield page
    context.close()
    assert said == []
    assert {url.partition("#")[0] for url in asked if not url.startswith("data:")} == {Path(path).as_uri()}


def accessible(page):
    """What axe-core finds; none of the rules of WCAG 2.2 AA may be broken."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install 'autoqec[browser]'")
    page.evaluate("document.querySelectorAll('section').forEach(each => { each.style.contentVisibility = 'visible' })")
    found = axe.Axe().run(page).response
    assert "color-contrast" in {each["id"] for each in found["passes"]}  # it has looked
    return [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found["violations"]]


def holds_still(page):
    """Whether the page is no wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture(scope="module")
def sweep_page(tmp_path_factory):
    """A sweep as a page."""
    spec = importlib.util.spec_from_file_location("sweep_views", TESTS / "views/test_sweep_views.py")
    views = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(views)
    path = tmp_path_factory.mktemp("sweep") / "sweep.html"
    views.write_page(views.swept(decoders=("<script>alert(1)</script>", views.ROUND)), path)
    return path


@pytest.fixture(scope="module")
def report_file(tmp_path_factory):
    """A report of the recorded lab of the documents, all of whose rounds are VERIFIED."""
    folder = tmp_path_factory.mktemp("recorded")
    for command in (
        ["init", "-q", "-b", "nothing"],
        ["fetch", "-q", str(TESTS / "data/recorded-lab.bundle"), "+refs/*:refs/*"],
        ["symbolic-ref", "HEAD", "refs/heads/main"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    path = folder / "report.html"
    path.write_text(report_page(read_lab(open_ledger(folder)), NO_DIAGNOSES))
    return path


@pytest.fixture(scope="module")
def packed_file(tmp_path_factory):
    """A report of a few rounds of which none stands in full, so that all are packed."""
    ledger = make_tiny_lab(tmp_path_factory.mktemp("packed") / "lab")
    run = record_run(ledger, "tiny-abcd")
    told = figures(delta_ler=0.006, delta_ler_ci=[0.0059, 0.0061], flops_per_shot=2000, params=20)
    for number in range(3):
        verdict = {"verdict": "FAILED", "reason": "not_better", **figures()}
        files = {"output.yaml": b"mode: weights\n"}
        record_round(ledger, run, files, hypothesis=f"idea {number} {EVIL}", metrics=told, verdict=verdict)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_page_module, "FULL_BYTES", 0)
        page = report_page(read_lab(ledger), NO_DIAGNOSES)
    path = ledger.workdir / "report.html"
    path.write_text(page)
    return path


@pytest.mark.parametrize("which", ["sweep_page", "report_file"])
def test_a_page_is_for_all(chromium, request, which):
    """In light and in dark, wide and narrow, closed and with a round open."""
    path = request.getfixturevalue(which)
    with opened(chromium, path) as page:
        for scheme, width in (("light", 1280), ("dark", 390))[which == "sweep_page" :]:
            page.set_viewport_size({"width": width, "height": 844})
            page.emulate_media(color_scheme=scheme)
            some = ".charts > :first-child details, details.round:first-of-type"
            page.evaluate(f"document.querySelectorAll('{some}').forEach(each => {{ each.open = true }})")
            assert holds_still(page)
            assert accessible(page) == []


def test_on_a_phone_no_row_is_tall_because_of_words_and_a_shade_says_that_a_table_goes_on(chromium, report_file):
    with opened(chromium, report_file, width=390) as page:
        height = "each => each.getBoundingClientRect().height"
        rows = page.locator("table.rounds tbody tr")
        assert max(rows.evaluate_all(f"rows => rows.map({height})")) < 40
        shade = page.locator(".scroll:has(table.rounds)").evaluate(
            "each => getComputedStyle(each).backgroundAttachment"
        )
        assert shade == "local, local, scroll, scroll"


def test_points_tell_their_figures_to_pointer_and_keys(chromium, report_file):
    with opened(chromium, report_file) as page:
        said, box = page.locator("#said"), page.locator(".chart").first
        box.focus()
        page.keyboard.press("ArrowRight")
        first = said.inner_text()
        assert re.match(r"surface-d5-depol-q7is/\d: VERIFIED\nratio 0\.\d{3} \[", first)
        page.keyboard.press("ArrowRight")
        assert said.inner_text() != first
        page.keyboard.press("Escape")
        assert not said.is_visible()
        place = page.locator(".chart [data-round]").first.bounding_box()
        page.mouse.move(place["x"] + place["width"] / 2 + 3, place["y"] + place["height"] / 2 + 3)
        assert said.inner_text() == first
        page.mouse.down()
        page.mouse.up()
        name = first.partition(":")[0]
        assert page.locator(f"details[open][data-round='{name}']").count() == 1


def test_a_page_without_script_has_all_figures(chromium, report_file):
    with opened(chromium, report_file, script=False) as page:
        assert "ratio 0." in page.locator(".chart [data-round] title").first.text_content()
        assert page.locator("table.rounds tbody tr").count() == 5
        assert not page.locator("form.filter").is_visible()
        page.locator("table.rounds a").nth(2).click()
        assert page.locator("details[open] h3").first.inner_text() == "exp/surface-d5-depol-q7is/3"


def test_the_table_of_rounds_sorts_and_filters(chromium, report_file):
    with opened(chromium, report_file) as page:
        rows = page.locator("table.rounds tbody tr:not([hidden]) th")
        assert rows.all_text_contents() == ["1", "2", "3", "4", "5"]
        page.get_by_role("button", name="ratio (95 %)").click()
        assert rows.all_text_contents() == ["2", "5", "4", "1", "3"]
        assert page.locator("table.rounds th[aria-sort=ascending]").inner_text() == "ratio (95 %) "[:-1]
        page.get_by_role("button", name="FLOPs").click()
        assert rows.all_text_contents() == ["3", "1", "4", "5", "2"]
        page.get_by_label("Words").fill("ENSEMBLE")
        assert rows.all_text_contents() == ["2"]
        assert "1 of 5 rounds shown" in page.locator("form.filter output").inner_text()


def test_what_is_packed_opens_and_says_nothing_but_text(chromium, packed_file):
    with opened(chromium, packed_file) as page:
        link = page.locator("table.rounds a").nth(1)
        link.wait_for()
        assert page.locator("details.round").count() == 0
        link.click()
        page.locator("details.round[open]").wait_for()
        assert "exp/tiny-abcd/2" in page.locator("details.round h3").first.inner_text()
        assert "idea 1" in page.locator("details.round blockquote").first.inner_text()
        page.locator(".lost a").first.click()
        page.wait_for_function("document.querySelectorAll('details.round[open]').length === 2")
        assert page.evaluate("window.evil") is None
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_all_of_it_is_printed(chromium, report_file):
    with opened(chromium, report_file) as page:
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details.round[open]").count() == 5
        assert not page.locator("nav.contents").is_visible()
        assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).maxHeight") == "none"
