"""A page in a real browser: headless Chromium, as the system has it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from triplicate.reports import report
from triplicate.reports.page import index

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is here: scripts/browser installs it")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def told() -> list[str]:
    """What the browser complains about, and what it asks of others, in all of these tests."""
    return []


@pytest.fixture(scope="module")
def page(browser: Browser, sweep: Path, told: list[str]) -> Page:
    report.write(sweep)
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    _listen(opened, told)
    opened.goto((sweep / "report.html").as_uri())
    opened.wait_for_selector("body[data-ready]")
    return opened


def _listen(page: Page, told: list[str]) -> None:
    page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda asked: None if asked.is_navigation_request() else told.append(asked.url))


def test_it_opens_without_a_complaint_or_a_request(page: Page, told: list[str]) -> None:
    assert page.locator("#curves .chart svg").count() == 2
    assert page.locator("#traces .chart svg").count() == 1
    assert [line for line in told if not line.startswith("data:")] == []


def test_the_table_shows_the_numbers_of_table_csv(page: Page, sweep: Path) -> None:
    frame = pd.read_csv(sweep / "table.csv")
    shown = page.locator("#results tr.row td[data-column=test_accuracy_mean]")
    means = [f"{100 * mean:.2f} ± {100 * std:.2f}" for mean, std in _pairs(frame, "test_accuracy")]
    assert shown.all_inner_texts() == means


def _pairs(frame: pd.DataFrame, measure: str) -> list[tuple[float, float]]:
    return list(zip(frame[f"{measure}_mean"], frame[f"{measure}_std"], strict=True))


def test_a_heading_sorts_by_mouse_and_by_key(page: Page) -> None:
    heading = page.locator("#results thead th").nth(1)
    values = page.locator("#results tr.row td[data-column=test_accuracy_mean]")

    def order() -> list[float]:
        return [float(value.get_attribute("data-value") or "nan") for value in values.all()]

    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert order() == sorted(order(), reverse=True)
    heading.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert order() == sorted(order())


def test_the_filter_and_the_seeds(page: Page) -> None:
    page.locator("#filter").fill("script")
    assert page.locator("#results tr.row:visible").count() == 1
    assert page.locator("#filtered").inner_text() == "1 of 3 rows"
    page.locator("#filter").fill("")
    assert page.locator("#results tr.seed:visible").count() == 0
    page.get_by_role("button", name="Every seed").click()
    assert page.locator("#results tr.seed:visible").count() == 8
    page.get_by_role("button", name="Every seed").click()


def test_the_legend_hides_a_curve(page: Page) -> None:
    lines = "#curves .chart svg .mark-line path"
    row = page.locator("#curves .legend tbody button").first
    before = page.locator(lines).count()
    row.click()
    page.wait_for_function(f"document.querySelectorAll('{lines}').length < {before}")
    assert row.get_attribute("aria-pressed") == "false"
    row.press("Enter")
    page.wait_for_function(f"document.querySelectorAll('{lines}').length == {before}")
    assert row.get_attribute("aria-pressed") == "true"


def test_the_switches_of_the_curves(page: Page) -> None:
    part = page.locator("#curves")
    before = part.locator(".mark-line path").count()
    part.get_by_role("button", name="Single seeds").click()
    page.wait_for_function(f"document.querySelectorAll('#curves .mark-line path').length > {before}")
    part.get_by_role("button", name="Single seeds").click()
    part.get_by_label("Measure").select_option(label="loss")
    page.wait_for_selector("#curves .panel h3:has-text('training loss')")
    part.get_by_role("button", name="Logarithmic").click()
    assert part.get_by_role("button", name="Logarithmic").get_attribute("aria-pressed") == "true"


def test_a_drag_zooms_and_pointing_tells_the_values(page: Page) -> None:
    part = page.locator("#traces")
    part.scroll_into_view_if_needed()
    box = part.locator(".chart svg").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 100)
    step = part.locator("[data-at]").inner_text()
    assert step.startswith("step ")
    assert step != "step 40"
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 100, steps=5)
    page.mouse.up()
    page.wait_for_function("document.querySelector('#traces [data-role=to]').value != 40")
    low, high = (int(part.locator(f"[data-role={role}]").input_value()) for role in ("from", "to"))
    assert 1 < low < high < 40
    part.get_by_role("button", name="All", exact=True).click()
    assert part.locator("[data-role=to]").input_value() == "40"


def test_another_confusion_matrix(page: Page) -> None:
    cell = page.locator("#counts td").first
    assert cell.inner_text() == "1"
    page.locator("#matrix").select_option(index=1)
    assert cell.inner_text() == "1"
    assert page.locator("#counts td").count() == 9


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_hinders_a_reader(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
    page.locator("summary").first.click()
    assert _violations(page, *(["color-contrast"] if scheme == "dark" else [])) == []
    page.emulate_media(color_scheme="light")


def _violations(page: Page, *rules: str) -> list[str]:
    """What axe-core finds that is serious or worse, by some rules or by all."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    found = page.evaluate("options => axe.run(options)", {"resultTypes": ["violations"], **only})["violations"]
    return [
        f"{one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_does_not_scroll_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(100)
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_index_opens_too(browser: Browser, sweep: Path) -> None:
    report.write_sweep(sweep)
    complaints: list[str] = []
    opened = browser.new_page(viewport={"width": 400, "height": 900})
    _listen(opened, complaints)
    opened.goto(index.write(sweep.parent).as_uri())
    assert opened.locator("#results tr.row").count() == 1
    assert opened.evaluate("document.documentElement.scrollWidth") == 400
    opened.locator("summary").first.click()
    assert _violations(opened) == []
    opened.get_by_role("link", name="sweep").last.click()
    opened.wait_for_selector("body[data-ready]")
    assert complaints == []


def test_all_of_it_went_without_a_complaint(told: list[str]) -> None:
    assert [line for line in told if not line.startswith("data:")] == []
