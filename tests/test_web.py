"""The pages of `serve`: what they show and do, and that nobody else's page can have them do it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from forgetting import left, told
from grown import CAT, DOG, grow, run
from serving import SMALL, serving, wait
from starlette.testclient import TestClient
from test_memories import heard
from test_page import Tree
from test_report import RESULT, record

from edgesleep import machine, web
from edgesleep.day import visitors
from edgesleep.day.guard import Rules
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import PENDING, unfinished
from edgesleep.journal import Journal
from edgesleep.lock import Holder
from edgesleep.night import owner
from edgesleep.records import dump
from edgesleep.store import Store
from edgesleep.web import Web

KEY = "a long random key"
AT = "http://127.0.0.1:8422"
ENDLESS = "9" * 5000  # more digits than Python reads


def browser(home: Path, rules: Rules | None = None, at: str = AT, base: str = "") -> TestClient:
    """As a browser comes: it says which page a form is from."""
    pages = Web(home, SMALL, rules or Rules("127.0.0.1"), base)
    return TestClient(pages, base_url=at, headers={"Origin": at}, follow_redirects=True, raise_server_exceptions=False)


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    client = browser(store.home)
    yield client
    client.app.close()  # type: ignore[attr-defined]


def said(reply: object) -> str:
    return Tree(reply.text).said  # type: ignore[attr-defined]


def field(text: str, name: str) -> str:
    """What a form on a page bears under a name."""
    return html.unescape(re.search(rf'name="{name}" value="([^"]*)"', text)[1])  # type: ignore[index]


def token(client: TestClient) -> str:
    return field(client.get("/memories").text, "token")


def pinned(home: Path, id: str = DOG) -> bool:
    with Journal.open(home) as journal:
        return next(memory.pinned for memory in journal.memories() if memory.id == id)


def slept(home: Path, status: str = "promoted") -> int:
    """A night that has a report; its number."""
    with Journal.open(home) as journal:
        number = journal.begin_night()
        journal.end_night(replace(RESULT, night=number, status=status))
    dump(replace(record(), night=number, status=status), home / "nights" / f"{number:04d}" / "night.json")
    return number


# -- what is shown -----------------------------------------------------------------------------------------------------


def test_the_first_page_is_the_last_night_and_leads_to_all_others(client: TestClient, store: Store) -> None:
    assert "No night yet" in said(client.get("/"))
    assert [slept(store.home, status) for status in ("rejected", "promoted", "skipped")] == [1, 2, 3]
    page = client.get("/")
    assert "Night 2 promoted" in said(page) and "You live in Skelwick." in said(page)
    links = [value for tag, name, value in Tree(page.text).attributes if (tag, name) == ("a", "href")]
    assert {"/", "/memories", "/nights/1", "/nights/2", "/forget/b2"} < {*links} and "/nights/3" not in links
    assert "Night 1 rejected" in said(client.get("/nights/1"))
    for path in ("/nights/3", "/nights/99"):
        assert client.get(path).status_code == 404 and "has no report" in said(client.get(path))


def test_memories_are_listed_found_and_paged(client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(store, DOG, CAT, learned=(DOG,))
    page = said(client.get("/memories"))
    assert "3 found." in page and page.index("Rask") < page.index("Pim") < page.index("Miso"), "the latest first"
    assert "learned, told" in page and "weak, told" in page and "in m1" in page
    assert "1 found with the words “dog called”. Your dog is called Miso." in said(
        client.get("/memories?words=dog+called")
    )
    weak = said(client.get("/memories?state=weak"))
    assert "1 found" in weak and "Your cat is called Pim." in weak
    monkeypatch.setattr(web, "A_PAGE", 2)
    first = client.get("/memories?words=is&page=1")
    assert "page 1 of 2" in said(first) and "Earlier ones" in said(first) and "Later ones" not in said(first)
    for number in ("2", "9"):
        second = said(client.get(f"/memories?words=is&page={number}"))
        assert "page 2 of 2" in second and "Miso" in second and "Rask" not in second
    assert client.get("/memories?page=x&state=nothing").status_code == 200


def test_what_was_told_is_text_on_every_page(client: TestClient, store: Store) -> None:
    evil = '<script>alert(1)</script><img src=x onerror="alert(2)">"\'&{{ 1234*4321 }}'
    with Journal.open(store.home) as journal:
        turn = journal.log("user", evil, session=evil)
        memory = replace(
            journal.memories()[0], id="abcdef012345", statement=evil, value="Zug", told=evil, instead_of=evil
        )
        journal.remember([replace(memory, turn_ids=(turn.id,))], turn.id)
    odd = ("/memories", f"/memories?words={evil}&state={evil}&told={evil}", "/forget/abcdef012345", f"/forget/{evil}")
    done = client.post("/memories/abcdef012345/pin", data={"token": token(client), "back": evil})
    for page in [done, *map(client.get, odd)]:
        tree = Tree(page.text)
        assert page.text.count("<script>") == 1 and str(1234 * 4321) not in tree.said
        assert not [1 for tag, name, _ in tree.attributes if name.startswith("on") or tag in ("img", "iframe")]
    assert evil in said(client.get("/memories")) and f"Pinned: {evil}" in said(done)


def test_errors_are_pages(client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, code, words in (
        ("/memories/x", 404, "There is no such page"),
        ("/memories/x/pin", 405, "cannot be asked so"),
        ("/forget/fffff", 400, "No memory's id begins with 'fffff'. `edgesleep memories list` shows all."),
        ("/forget/m99", 400, "There is no message m99."),
        (f"/forget/m{ENDLESS}", 400, "No memory's id begins with 'm999"),
        (f"/nights/{ENDLESS}", 404, "999... has no report"),
        ("/nights/x", 404, "Night x has no report"),
        (f"/memories?page={ENDLESS}", 200, "3 found"),
        (f"/memories/w{ENDLESS}.1/approve", 405, "cannot be asked so"),
    ):
        page = client.get(path)
        assert page.status_code == code and words in said(page), said(page)
    monkeypatch.setattr(web, "looking", lambda home: 1 / 0)
    page = client.get("/memories")
    assert page.status_code == 500 and "ZeroDivisionError" in said(page) and "Traceback" not in page.text
    (store.home / "base.json").unlink()
    monkeypatch.undo()
    assert "edgesleep init" in said(client.get("/memories"))


# -- what is done ------------------------------------------------------------------------------------------------------


def test_a_memory_is_pinned_and_let_go(client: TestClient, store: Store) -> None:
    page = client.post(f"/memories/{DOG}/pin", data={"token": token(client), "back": "words=dog&state="})
    assert pinned(store.home) and "Pinned: Your dog is called Miso." in said(page) and "1 found" in said(page)
    assert "Pinned:" not in said(client.get(str(page.url))), "told once"
    page = client.post(f"/memories/{DOG}/unpin", data={"token": token(client)})
    assert not pinned(store.home) and "No longer pinned: Your dog is called Miso." in said(page)


def test_a_secret_is_approved_and_never_shown(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, "curate", heard)
    with Journal.open(store.home) as journal:
        turn = journal.log("user", "My door code is 4471.")
        journal.log("user", "My card is 4111 1111 1111 1111.")
    page = client.get("/memories?state=withheld")
    assert "told in words" in said(page) and "cannot be approved" in said(page) and page.text.count(">Approve<") == 1
    done = client.post(f"/memories/w{turn.id}.1/approve", data={"token": token(client), "back": "state=withheld"})
    assert "Approved." in said(done) and "Your door code is ****." in said(done) and ">Approve<" not in done.text
    assert "4471" not in page.text + done.text + client.get("/memories").text + client.get(f"/forget/m{turn.id}").text
    with Journal.open(store.home) as journal:
        assert "4471" in {memory.value for memory in journal.memories()}
    again = client.post(f"/memories/w{turn.id}.1/approve", data={"token": token(client)})
    assert again.status_code == 400 and "is approved already" in said(again)


def test_what_is_forgotten_was_shown_before(client: TestClient, store: Store) -> None:
    """Looking at it changes nothing; and the command does it, which then says what it proved."""
    plan = client.get(f"/forget/{CAT}")
    assert "Memories that go: 1" in said(plan) and "Messages that go: 1" in said(plan) and left(store.home, "Pim")
    done = client.post(f"/forget/{CAT}", data={"token": token(client), "code": field(plan.text, "code")})
    assert done.url.path == "/forgetting" and done.status_code == 200
    wait(lambda: "Look again" not in client.get("/forgetting").text)
    page = said(client.get("/forgetting"))
    assert "What was forgotten" in page and "Forgotten: 1 memories and 1 messages." in page and "ok bytes:" in page
    assert left(store.home, "Pim") == () and not unfinished(store.home)
    assert "2 found" in said(client.get("/memories"))


def test_more_than_was_shown_is_not_forgotten(client: TestClient, store: Store) -> None:
    code = field(client.get(f"/forget/{CAT}").text, "code")
    with Journal.open(store.home) as journal:
        journal.log("user", "Your cat is called Pim. As I said.")
    for wrong in (code, "", "yes"):
        page = client.post(f"/forget/{CAT}", data={"token": token(client), "code": wrong})
        assert page.status_code == 409 and "not what was shown" in said(page) and "As I said" in said(page)
    refused = run("forget", "--confirm", code, CAT)
    assert refused.exit_code == 1 and "not what was shown" in refused.stderr
    assert len(told(store.home)) == 2 and not unfinished(store.home)


def test_nothing_is_changed_while_a_night_is_under_way(client: TestClient, store: Store) -> None:
    plan = client.get(f"/forget/{CAT}").text
    token_ = token(client)
    dump(Holder.of(1), store.home / "night.pid")  # of a process that lives
    assert "nothing can be forgotten until it has ended" in said(client.get(f"/forget/{CAT}"))
    for path, more in ((f"/memories/{DOG}/pin", {}), (f"/forget/{CAT}", {"code": field(plan, "code")})):
        page = client.post(path, data={"token": token_, **more})
        assert page.status_code == 409, said(page)
        assert "Another night or change is under way (process 1). Wait until it has ended" in said(page)
    assert not pinned(store.home) and not unfinished(store.home) and len(told(store.home)) == 1


def test_while_a_forgetting_is_unfinished_it_is_gone_on_with_first(client: TestClient, store: Store) -> None:
    slept(store.home)
    (store.home / PENDING).write_text("{}")
    for page in (
        client.get("/"),
        client.get(f"/forget/{CAT}"),
        client.post(f"/memories/{DOG}/pin", data={"token": token(client)}),
    ):
        assert page.status_code == 409 and "A forgetting is unfinished" in said(page) and "How far it is" in said(page)
    page = client.get("/forgetting")
    assert "Go on with it" in said(page)
    page = client.post("/forgetting", data={"token": token(client)})
    wait(lambda: "Look again" not in client.get("/forgetting").text)
    assert "cannot be read, and nothing else says what was to be forgotten" in said(client.get("/forgetting"))
    (store.home / PENDING).unlink()  # as if it had failed before it noted anything
    page = said(client.get("/forgetting"))
    assert page.startswith("Not done") and "What was forgotten" not in page, page


@pytest.mark.parametrize(
    ("code", "title"),
    [(0, "What was forgotten"), (3, "What was forgotten"), (5, "What was forgotten"), (1, "Not done")],
)
def test_how_the_night_after_a_forgetting_ended_is_no_failure_of_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, code: int, title: str
) -> None:
    exits = f"print('Forgotten: 1 memories and 1 messages.'); raise SystemExit({code})"
    monkeypatch.setattr(machine, "edgesleep", lambda *words: machine.child(exits))
    errand = client.app.errand  # type: ignore[attr-defined]
    assert "Nothing is being forgotten" in said(client.get("/forgetting"))
    errand.start("forget")
    wait(lambda: not errand.is_under_way())
    page = said(client.get("/forgetting"))
    assert title in page and "Forgotten: 1 memories" in page and ("ended with code 1" in page) is (code == 1)


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "heads",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://localhost:8422"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_no_other_page_acts(client: TestClient, store: Store, heads: dict[str, str]) -> None:
    """Not even with the token: that is a second wall."""
    page = client.post(f"/memories/{DOG}/pin", data={"token": token(client)}, headers=heads)
    assert page.status_code == 403 and not pinned(store.home)
    del client.headers["Origin"]
    assert client.post(f"/memories/{DOG}/pin", data={"token": token(client)}).status_code == 403


@pytest.mark.parametrize("given", ["", "0" * 64, "é"])
def test_no_form_does_without_the_token_of_its_page(client: TestClient, store: Store, given: str) -> None:
    """Not even from the same place."""
    code = field(client.get(f"/forget/{CAT}").text, "code")
    for path in (f"/memories/{DOG}/pin", "/memories/w1.1/approve", f"/forget/{CAT}", "/forgetting", "/logout"):
        page = client.post(path, data={"token": given, "code": code})
        assert page.status_code == 403 and "Load the page again" in said(page)
    assert not pinned(store.home) and not unfinished(store.home)
    assert client.post(f"/memories/{DOG}/pin", data={"token": token(browser(store.home))}).status_code == 403


def test_looking_does_nothing(client: TestClient, store: Store) -> None:
    code, known = field(client.get(f"/forget/{CAT}").text, "code"), token(client)
    for path in (f"/memories/{DOG}/pin", "/memories/w1.1/approve", f"/forget/{CAT}", "/forgetting", "/logout"):
        client.get(f"{path}?token={known}&code={code}")
    assert not pinned(store.home) and not unfinished(store.home) and len(told(store.home)) == 1


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8422", "10.0.0.1", "["]
)
def test_a_name_that_was_pointed_here_is_not_answered_to(client: TestClient, host: str) -> None:
    page = client.get("/memories", headers={"Host": host, "Origin": f"http://{host}"})
    assert page.status_code == 403 and "Miso" not in page.text and "--name" in said(page)


def test_names_that_its_owner_gave_are_answered_to(store: Store) -> None:
    own = Rules("127.0.0.1", KEY, names=("Box.example",))
    assert browser(store.home, own, "http://box.example").get("/memories").status_code == 401
    assert own.answers_to("box.example:80") and not own.answers_to("evil.example"), "the API as well"
    for at, code in (
        ("http://192.168.1.5", 401),
        ("http://box", 403),
        ("http://evil.example", 403),
        ("http://[::1]", 401),
    ):
        assert browser(store.home, Rules("0.0.0.0", KEY), at).get("/memories").status_code == code, at
    with pytest.raises(EdgesleepError, match="there is no key"):
        Rules("127.0.0.1", names=("box.example",))


def test_no_other_page_reads_them_whatever_it_may_of_the_api(store: Store) -> None:
    friend = "https://chat.example"
    pages = Web(store.home, SMALL, rules := Rules("127.0.0.1", origins=(friend,)))
    with serving(store.home, recall=False, rules=rules, pages=pages) as running:

        def asks(method: str, path: str, **heads: str) -> httpx.Response:
            return httpx.request(method, running.url + path, headers={"Origin": friend, **heads}, trust_env=False)

        assert asks("GET", "/v1/models").headers["access-control-allow-origin"] == friend
        for reply in (
            asks("GET", "/memories"),
            asks("POST", f"/memories/{DOG}/pin"),
            asks("OPTIONS", "/memories", **{"Access-Control-Request-Method": "POST"}),
        ):
            assert reply.status_code == 403 and "access-control-allow-origin" not in reply.headers
        page = httpx.get(f"{running.url}/memories", trust_env=False)
        assert page.status_code == 200 and "Miso" in page.text
        assert httpx.get(f"{running.url}/v1/nothing", trust_env=False).text == "Not Found"
        assert running.chat("the hat", tokens=2).status_code == 200


def test_every_page_says_what_it_may_load(client: TestClient, store: Store) -> None:
    slept(store.home)
    for path in ("/", "/memories", f"/forget/{CAT}", "/forgetting", "/nothing", "/memories/x"):
        heads = client.get(path).headers
        policy = heads["content-security-policy"]
        assert policy.startswith("default-src 'none'") and "frame-ancestors 'none'" in policy
        assert "script-src 'sha256-" in policy and "http" not in policy
        assert (heads["cache-control"], heads["x-frame-options"]) == ("no-store", "DENY")
        assert heads["referrer-policy"] == "same-origin" and "access-control-allow-origin" not in heads


# -- with a key --------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(store: Store) -> TestClient:
    return browser(store.home, Rules("127.0.0.1", KEY))


def test_a_key_opens_a_session_and_is_kept_nowhere(guarded: TestClient, store: Store) -> None:
    for path in ("/", "/memories", f"/forget/{CAT}", "/forgetting", "/nights/1"):
        page = guarded.get(path)
        assert page.status_code == 401 and "Log in" in said(page) and "Miso" not in page.text
        assert 'name="token"' not in page.text
    assert guarded.post(f"/memories/{DOG}/pin").status_code == 401
    assert guarded.get(f"/memories?key={KEY}").status_code == 401
    for wrong in ("", "no", KEY[:-1], "é"):
        page = guarded.post("/login", data={"key": wrong})
        assert page.status_code == 401 and "That is not the key." in said(page) and "set-cookie" not in page.headers
    entered = guarded.post("/login", data={"key": KEY}, follow_redirects=False)
    cookie = entered.headers["set-cookie"]
    assert entered.status_code == 303 and entered.headers["location"] == "/" and KEY not in cookie
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/")) and "max-age" not in cookie.lower()
    page = guarded.get("/memories")
    assert page.status_code == 200 and "Miso" in page.text and KEY not in page.text
    assert guarded.post(f"/memories/{DOG}/pin", data={"token": token(guarded)}).status_code == 200 and pinned(
        store.home
    )


def test_the_session_ends(guarded: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded.post("/login", data={"key": KEY})
    stolen = dict(guarded.cookies)
    page = guarded.post("/logout", data={"token": token(guarded)})
    assert page.url.path == "/login" and not guarded.cookies
    guarded.cookies.update(stolen)
    assert guarded.get("/memories").status_code == 401
    guarded.cookies.clear()
    monkeypatch.setattr(visitors, "LASTS", 0.0)
    guarded.post("/login", data={"key": KEY})
    assert guarded.get("/memories").status_code == 401


def test_a_session_ends_an_hour_after_its_last_use_and_at_the_latest_in_the_evening(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr(visitors, "time", SimpleNamespace(monotonic=lambda: now[0]))
    some = visitors.Visitors(Rules("127.0.0.1", KEY))
    for step, hours in ((3500.0, 12.0), (3700.0, 3700 / 3600)):
        heads, began = {"cookie": f"edgesleep={some.enter(KEY)}"}, now[0]
        while some.is_in(heads):
            now[0] += step
        assert now[0] - step < began + hours * 3600 <= now[0], "or it went on for ever, or for too short"


def test_another_page_can_neither_log_in_nor_use_a_session(guarded: TestClient, store: Store) -> None:
    elsewhere = {"Origin": "http://127.0.0.1:3000"}
    assert guarded.post("/login", data={"key": KEY}, headers=elsewhere).status_code == 403
    guarded.post("/login", data={"key": KEY})
    known = token(guarded)
    assert guarded.post(f"/memories/{DOG}/pin", data={"token": known}, headers=elsewhere).status_code == 403
    guarded.post("/login", data={"key": KEY})
    assert guarded.post(f"/memories/{DOG}/pin", data={"token": known}).status_code == 403, "of another session"
    assert not pinned(store.home)


def test_who_bears_the_key_needs_no_session(guarded: TestClient) -> None:
    assert guarded.get("/memories", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
    assert guarded.get("/memories", headers={"Authorization": "Bearer no"}).status_code == 401


def test_cookies_of_other_programs_lock_nobody_out(guarded: TestClient) -> None:
    guarded.post("/login", data={"key": KEY})
    own = f"edgesleep={guarded.cookies['edgesleep']}"
    guarded.cookies.clear()
    for cookie in (f'a={{"b": 1}}; edgesleep=other; {own}', f"{own}; edgesleep=", f"=;;é=\x01; {own}"):
        assert guarded.get("/memories", headers={"Cookie": cookie.encode()}).status_code == 200
    assert guarded.get("/memories", headers={"Cookie": "edgesleep=; edgesleep"}).status_code == 401


# -- the server --------------------------------------------------------------------------------------------------------


def test_a_form_that_is_too_large_is_not_read(client: TestClient) -> None:
    page = client.post(f"/memories/{DOG}/pin", data={"token": "x" * (web.FORM + 1)})
    assert page.status_code == 413 and "at most" not in page.text and "bytes" in said(page)


def test_beside_another_server_the_pages_have_a_place_of_their_own(store: Store) -> None:
    slept(store.home)
    client = browser(store.home, Rules("127.0.0.1", KEY), base="/edgesleep")
    owns = client.app.owns  # type: ignore[attr-defined]
    assert owns("/edgesleep") and owns("/edgesleep/memories")
    assert not any(map(owns, ("/", "/memories", "/edgesleeping", "/v1/models")))
    page = client.post("/edgesleep/login", data={"key": KEY})
    assert page.url.path == "/edgesleep/" and "Night 1 promoted" in said(page)
    links = [value for _, name, value in Tree(page.text).attributes if name in ("href", "action")]
    assert all(link.startswith(("/edgesleep/", "#", "data:")) for link in links)


def test_which_paths_are_pages(client: TestClient) -> None:
    owns = client.app.owns  # type: ignore[attr-defined]
    assert all(map(owns, ("/", "/memories", "/memories/x/pin", "/nights/3", "/login", "/forget/m1")))
    assert not any(map(owns, ("/v1/models", "/health", "/models", "/chat/completions", "//memories", "/memory", "*")))


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ((), "/"),
        (("--key-file", "key"), "/"),
        (("--upstream", "http://127.0.0.1:9"), ""),
        (("--upstream", "http://127.0.0.1:9", "--key-file", "key"), "/edgesleep/"),
        (("--upstream", "http://127.0.0.1:9", "--key-file", "key", "--remote"), ""),
    ],
)
def test_the_command_says_where_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], place: str
) -> None:
    """Without a key a browser would open the upstream's pages as well, and those could act on ours."""
    monkeypatch.chdir(store.home)
    Path("key").write_text(KEY)
    plans: list[bool] = []
    monkeypatch.setattr("edgesleep.day.serve.run", lambda server, listener: plans.append(bool(server.plan.pages)))
    result = run("serve", "--port", "0", *words)
    assert result.exit_code == 0 and plans == [bool(place)], result.output
    found = re.findall(r"memories are at http://127.0.0.1:\d+(\S+) in a browser", result.stderr)
    assert found == ([place] if place else [])
    assert ("give it a --key-file" in result.stderr) is (not place and "--remote" not in words)
