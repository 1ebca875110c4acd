"""The report in a real browser: wide, on a phone, and in dark colours."""

import re
import shutil

import pytest
from test_page_in_browser import CHROMIUM, CHROMIUM_FLAGS, PHONE, WIDE

import apps
from evaluation import report
from evaluation.run_report import files
from training.run import Run

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not CHROMIUM, reason="needs the program chromium"),
]


@pytest.mark.parametrize("app", apps.ALL, ids=lambda app: app.name())
def test_the_report_fits_a_phone_and_has_dark_colours(app, tiny_run, tmp_path):
    run = Run.load(shutil.copytree(tiny_run(app).path, tmp_path / "run"))
    run.remember(splits=tiny_run(app).splits, model=tiny_run(app).model)
    report.evaluate(run)
    requested = []
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        for scheme, viewport in (("light", WIDE), ("dark", PHONE)):
            page = browser.new_page(viewport=viewport, color_scheme=scheme)
            page.on("request", lambda request: requested.append(request.url))
            page.goto((run.path / files.PAGE).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
            color = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, re.findall(r"\d+", color))) < 150) == (scheme == "dark")
            sizes = page.evaluate("[...document.images].map(one => one.naturalWidth)")
            assert len(sizes) > 1
            assert min(sizes) > 0
            assert page.locator("h1").bounding_box()["y"] < 100
        browser.close()
    assert all(url.startswith(("file:", "data:")) for url in requested)
