"""Pages in a real Chromium: nothing is refused or fetched, axe-core finds nothing, and no page scrolls sideways."""

import importlib.util
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = os.environ.get("AUTOQEC_TEST_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync"
)
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")


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
    found = axe.Axe().run(page).response
    assert "color-contrast" in {each["id"] for each in found["passes"]}  # it has looked
    return [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found["violations"]]


def holds_still(page):
    """Whether the page is no wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.fixture(scope="module")
def sweep_page(tmp_path_factory):
    """A sweep as a page."""
    spec = importlib.util.spec_from_file_location(
        "sweep_views", Path(__file__).parent.parent / "views/test_sweep_views.py"
    )
    views = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(views)
    path = tmp_path_factory.mktemp("sweep") / "sweep.html"
    views.write_page(views.swept(decoders=("<script>alert(1)</script>", views.ROUND)), path)
    return path


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_sweep_is_a_page_for_all(chromium, sweep_page, width, scheme):
    with opened(chromium, sweep_page, width=width, scheme=scheme) as page:
        assert accessible(page) == []
        assert holds_still(page)


def test_points_tell_their_figures_to_pointer_and_keys(chromium, sweep_page):
    with opened(chromium, sweep_page) as page:
        said = page.locator("#said")
        page.locator(".chart").focus()
        page.keyboard.press("ArrowRight")
        assert "shots failed" in said.inner_text()
        first = said.inner_text()
        page.keyboard.press("ArrowRight")
        assert said.inner_text() != first
        page.keyboard.press("Escape")
        assert not said.is_visible()
        box = page.locator("#sweep-point-0").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2 + 3)
        assert said.inner_text() == first


def test_a_page_without_script_has_all_figures(chromium, sweep_page):
    with opened(chromium, sweep_page, script=False) as page:
        assert "shots failed" in page.locator("#sweep-point-0 title").text_content()
        assert page.locator("tbody tr").count() > 10
