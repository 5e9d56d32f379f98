"""The page of a night in a real browser: it renders, works by keyboard and is accessible, in light, dark, on a phone.

The fixture `browser` is of `conftest`. Pictures are kept in build/pages.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_report import RESULT, VERDICT, record

from edgesleep import page
from edgesleep.account import Moved, NightRecord
from edgesleep.records import PassScore

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PICTURES = Path(__file__).parents[1] / "build" / "pages"
PATIENCE = 300_000  # milliseconds; a machine that does much else is slow
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True},
}


def full(night: NightRecord) -> NightRecord:
    """With all that a page may show: every pass, and the layers of a model of thirty."""
    passes = tuple(PassScore(n, n / 14, n / 20, 1 - n / 28, n / 400) for n in range(1, 15))
    kinds = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    tensors = tuple(
        Moved(f"blk.{layer}.{kind}.weight", "Q4_1", 100_000, 1000 * (layer + at))
        for layer in range(30)
        for at, kind in enumerate(kinds)
    )
    assert night.account is not None
    return replace(night, passes=passes, account=replace(night.account, tensors=tensors))


REFUSED = replace(VERDICT, outcome="refused", reasons=("Recall of older memories fell by 0.17; 0.10 are allowed.",))
NIGHTS = {
    "promoted": full(record()),
    "rejected": full(record(replace(RESULT, status="rejected", reason="Worse."), REFUSED)),
    "older": NightRecord.of(RESULT, None),
}


class Opened:
    """A page that is open, and all that it complained of or asked for."""

    def __init__(self, page: Page) -> None:
        self.page, self.complaints, self.asked = page, list[str](), list[str]()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))


def found_by_axe(shown: Page) -> list[tuple[str, str, list[str]]]:
    """What is serious of what an automated check of accessibility finds."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    found = axe.Axe().run(shown).response["violations"]
    told = [(one["id"], one["impact"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found]
    return [one for one in told if one[1] in ("serious", "critical")]


def opened(browser: Browser, folder: Path, night: NightRecord, **look: Any) -> Opened:
    path = folder / "night.html"
    path.write_text(page.night(night), "utf-8")
    shown = Opened(browser.new_context(**look).new_page())
    shown.page.goto(path.as_uri())
    return shown


@pytest.fixture(params=NIGHTS)
def night(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("look", LOOKS)
def test_it_renders_without_a_complaint(browser: Browser, tmp_path: Path, night: str, look: str) -> None:
    shown = opened(browser, tmp_path, NIGHTS[night], **LOOKS[look])
    PICTURES.mkdir(parents=True, exist_ok=True)
    shown.page.screenshot(path=PICTURES / f"{night}-{look}.png", full_page=True, timeout=PATIENCE)
    assert shown.complaints == []
    assert [url for url in shown.asked if not url.startswith(("file:", "data:"))] == []
    wide = shown.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], "nothing is cut off at the side"
    assert shown.page.locator("h1").inner_text().startswith("Night 12")
    for picture in shown.page.locator("figure > svg").all():
        box = picture.bounding_box()
        assert box is not None and box["width"] > 200 and box["height"] > 50
    shown.page.context.close()


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_serious(browser: Browser, tmp_path: Path, night: str, look: str) -> None:
    shown = opened(browser, tmp_path, NIGHTS[night], **LOOKS[look])
    assert found_by_axe(shown.page) == []
    shown.page.context.close()


def test_commands_are_copied_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    shown = opened(browser, tmp_path, NIGHTS["promoted"], permissions=["clipboard-read", "clipboard-write"])
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.className") == "skip"
    shown.page.keyboard.press("Tab")
    assert shown.page.evaluate("document.activeElement.ariaLabel") == "Copy edgesleep rollback 6"
    shown.page.keyboard.press("Enter")
    shown.page.wait_for_function("document.querySelector('.said').textContent !== ''")
    assert shown.page.locator(".said").inner_text() == "Copied: edgesleep rollback 6"
    assert shown.page.evaluate("navigator.clipboard.readText()") == "edgesleep rollback 6"
    labels = shown.page.locator("button:visible").evaluate_all("all => all.map(one => one.ariaLabel)")
    assert {"Copy edgesleep forget b2", "Copy edgesleep rollback 0"} <= {*labels}
    shown.page.context.close()


def test_where_a_page_may_not_copy_the_command_is_marked(browser: Browser, tmp_path: Path) -> None:
    shown = opened(browser, tmp_path, NIGHTS["promoted"])
    shown.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }")
    shown.page.locator("button").first.click()
    shown.page.wait_for_function("getSelection().toString() === 'edgesleep rollback 6'")
    assert shown.page.locator(".said").inner_text().startswith("Marked")
    shown.page.context.close()


def test_without_scripts_it_says_all_the_same(browser: Browser, tmp_path: Path) -> None:
    shown = opened(browser, tmp_path, NIGHTS["promoted"], java_script_enabled=False)
    said = shown.page.locator("body").inner_text()
    assert "edgesleep rollback 6" in said and "You live in Skelwick." in said
    assert shown.page.locator("button:visible").count() == 0
    shown.page.context.close()


def test_it_prints_in_ink_without_buttons(browser: Browser, tmp_path: Path) -> None:
    shown = opened(browser, tmp_path, NIGHTS["promoted"], color_scheme="dark")
    shown.page.emulate_media(media="print")
    colours = shown.page.evaluate("['color', 'backgroundColor'].map(name => getComputedStyle(document.body)[name])")
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert shown.page.locator("button:visible").count() == 0
    PICTURES.mkdir(parents=True, exist_ok=True)
    shown.page.pdf(path=PICTURES / "promoted.pdf", format="A4")
    assert (PICTURES / "promoted.pdf").read_bytes().startswith(b"%PDF")
    shown.page.context.close()


def test_nothing_that_was_told_runs(browser: Browser, tmp_path: Path) -> None:
    night = NIGHTS["promoted"]
    assert night.account is not None
    evil = "<img src=x onerror='document.title = 1'><script>document.title = 2</script>"
    lessons = tuple(replace(one, statement=evil, after=evil) for one in night.account.lessons)
    shown = opened(browser, tmp_path, replace(night, account=replace(night.account, lessons=lessons)))
    assert shown.page.title() == "Night 12: promoted - edgesleep" and shown.page.locator("img").count() == 0
    shown.page.context.close()
