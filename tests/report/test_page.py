"""The page in a real browser: no error, no network, nothing that keeps a reader out, on a desk, a phone and paper."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from exporters.report.build import build
from exporters.report.files import save, written
from gameday.sdk import Sealed
from tests.exporters.recorded import RUNS

from .test_report import HOSTILE, hostile_run, radius_run

DESK, PHONE = (1200, 900), (390, 844)


class Opened:
    """A page that is open, with all that it said and asked for."""

    def __init__(self, browser: Browser, path: Path, size: tuple[int, int], scheme: str) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if scheme == "dark" else "light"
        )
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())


def opened(
    browser: Browser, events: list[Sealed], folder: Path, size: tuple[int, int] = DESK, scheme: str = "light"
) -> Opened:
    path = folder / "report.html"
    save(written(build(events), "html"), path)
    return Opened(browser, path, size, scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("name", ["radius", "incomplete"])
def test_the_page_keeps_nobody_out(
    browser: Browser, tmp_path: Path, name: str, size: tuple[int, int], scheme: str
) -> None:
    events = radius_run() if name == "radius" else RUNS[name]()
    here = opened(browser, events, tmp_path, size, scheme)
    here.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = Axe().run(here.page)
    serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    assert not serious, [(one["id"], one["nodes"][0]["html"]) for one in serious]
    assert here.said == []
    assert [url for url in here.asked if not url.startswith("file:")] == []
    too_wide = here.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide <= 0, "the page itself never scrolls sideways"


def test_a_hostile_bucket_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    here = opened(browser, hostile_run(), tmp_path)
    assert here.page.locator("script").count() == 1
    assert "<script>alert(1)</script>" in here.page.locator("h1").inner_text()
    assert here.said == [] and HOSTILE.startswith("<script>")


def test_a_table_is_sorted_by_a_click(browser: Browser, tmp_path: Path) -> None:
    here = opened(browser, RUNS["passed"](), tmp_path)
    head = here.page.locator("table.sortable th button", has_text="phase")
    head.click()
    cells = here.page.locator("table.sortable tbody td:nth-child(2)").all_inner_texts()
    assert cells == sorted(cells) and len(set(cells)) > 1
    head.click()
    assert here.page.locator("table.sortable tbody td:nth-child(2)").all_inner_texts() == sorted(cells, reverse=True)
