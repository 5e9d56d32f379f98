"""The pages of `serve` in a real browser: they render, are accessible, and do what is clicked, without any script.

The fixture `browser` is of `conftest`. Pictures are kept in build/pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from forgetting import left
from grown import CAT, DOG
from serving import SMALL, Running, hosted, serving
from test_browser import LOOKS, PATIENCE, PICTURES, Opened, found_by_axe
from test_memories import heard
from test_web import KEY, pinned, slept

from edgesleep.day.guard import Rules
from edgesleep.forgotten import unfinished
from edgesleep.journal import Journal
from edgesleep.night import owner
from edgesleep.store import Store
from edgesleep.web import Web

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES = {
    "last": "/",
    "memories": "/memories",
    "withheld": "/memories?state=withheld",
    "forget": f"/forget/{CAT}",
    "forgetting": "/forgetting",
}


@pytest.fixture
def running(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server with a key, a night, and a secret that waits to be approved."""
    monkeypatch.setattr(owner, "curate", heard)
    slept(store.home, "rejected")
    slept(store.home)
    with Journal.open(store.home) as journal:
        journal.log("user", "My door code is 4471.")
    rules = Rules("127.0.0.1", KEY)
    pages = Web(store.home, SMALL, rules)
    with serving(store.home, recall=False, rules=rules, pages=pages) as running:
        yield running
    pages.close()


def entered(browser: Browser, running: Running, **look: Any) -> Opened:
    """The first page, after the key was given."""
    shown = Opened(browser.new_context(**look).new_page())
    shown.page.goto(f"{running.url}/login")
    shown.page.get_by_label("Key").fill(KEY)
    shown.page.get_by_role("button", name="Log in").click()
    shown.page.get_by_role("heading", name="Night 2 promoted").wait_for()
    return shown


def fits(page: Page) -> bool:
    """Whether nothing is cut off at the side."""
    wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return bool(wide[0] <= wide[1])


@pytest.mark.parametrize("look", LOOKS)
def test_they_render_and_axe_finds_nothing_serious(browser: Browser, running: Running, look: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    shown = Opened(browser.new_context(**LOOKS[look]).new_page())
    shown.page.goto(f"{running.url}/login")
    assert found_by_axe(shown.page) == [] and fits(shown.page)
    shown.page.screenshot(path=PICTURES / f"login-{look}.png", full_page=True, timeout=PATIENCE)
    shown.page.context.close()
    shown = entered(browser, running, **LOOKS[look])
    for name, path in PAGES.items():
        shown.page.goto(running.url + path)
        shown.page.screenshot(path=PICTURES / f"{name}-{look}.png", full_page=True, timeout=PATIENCE)
        assert found_by_axe(shown.page) == [], name
        assert fits(shown.page), name
    assert shown.complaints == []
    assert [url for url in shown.asked if not url.startswith((f"{running.url}/", "data:"))] == []
    shown.page.context.close()


def test_clicks_pin_approve_and_forget(browser: Browser, running: Running, store: Store) -> None:
    """Without scripts: forms and links do all of it."""
    shown = entered(browser, running, java_script_enabled=False)
    page = shown.page
    page.get_by_role("link", name="Memories", exact=True).click()
    page.get_by_role("button", name="Pin: Your dog is called Miso.").click()
    page.get_by_role("status").get_by_text("Pinned: Your dog is called Miso.").wait_for()
    assert pinned(store.home)
    page.get_by_role("button", name="Unpin: Your dog is called Miso.").click()
    page.get_by_text("No longer pinned: Your dog is called Miso.").wait_for()
    assert not pinned(store.home)

    page.get_by_label("State").select_option("withheld")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("button", name="Approve: told in words in m2").click()
    page.get_by_text("Your door code is ****.").wait_for()
    assert "4471" not in page.content()

    page.get_by_role("link", name="Memories", exact=True).click()
    page.get_by_role("link", name="Forget: Your cat is called Pim.").click()
    page.get_by_text("Memories that go: 1").wait_for()
    page.get_by_role("link", name="Keep it").click()
    assert left(store.home, "Pim") and not unfinished(store.home)
    page.get_by_role("link", name="Forget: Your cat is called Pim.").click()
    page.get_by_role("button", name="Forget all this for good").click()
    while (again := page.get_by_role("link", name="Look again")).is_visible():
        again.click()
    page.get_by_role("heading", name="What was forgotten").wait_for()
    page.screenshot(path=PICTURES / "forgotten.png", full_page=True, timeout=PATIENCE)
    assert "Forgotten: 1 memories and 1 messages." in page.locator("main").inner_text()
    assert left(store.home, "Pim") == ()

    page.get_by_role("button", name="Log out").click()
    page.get_by_role("heading", name="Log in").wait_for()
    page.goto(f"{running.url}/memories")
    assert "Miso" not in page.content()
    page.context.close()


def test_it_is_done_by_keyboard(browser: Browser, running: Running, store: Store) -> None:
    shown = entered(browser, running)
    page = shown.page
    page.goto(f"{running.url}/memories?words=dog")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.ariaLabel") == "Pin: Your dog is called Miso."
    page.keyboard.press("Enter")
    page.get_by_text("Pinned: Your dog is called Miso.").wait_for()
    assert pinned(store.home) and shown.complaints == []
    page.context.close()


def test_a_page_of_another_program_does_nothing(browser: Browser, running: Running, store: Store) -> None:
    """Though the browser sends it the session's cookie, which knows no ports."""
    at, sent = f"{running.url}/memories/{DOG}/pin", list[bytes]()

    async def evil(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            sent.append(dict(scope["headers"]).get(b"cookie", b""))
            page = (
                f"<form method=post action={at}><button>Win a prize</button></form><iframe src={running.url}/></iframe>"
            )
            heads = [(b"content-type", b"text/html")]
            await send({"type": "http.response.start", "status": 200, "headers": heads})
            await send({"type": "http.response.body", "body": page.encode()})

    shown = entered(browser, running)
    with hosted(evil) as url:
        shown.page.goto(url)
        assert any(b"edgesleep=" in cookie for cookie in sent), "or this shows little"
        assert shown.page.frames[1].url.startswith("chrome-error:"), "it is shown in no frame"
        how = "{method: 'POST', mode: 'no-cors', credentials: 'include'}"
        shown.page.evaluate(f"at => fetch(at, {how}).then(() => 'sent', () => 'kept')", at)
        assert shown.page.evaluate("at => fetch(at).then(() => 'read', () => 'not read')", running.url) == "not read"
        shown.page.get_by_role("button").click()
        shown.page.get_by_role("heading", name="Not from here").wait_for()
    assert not pinned(store.home)
    shown.page.context.close()
