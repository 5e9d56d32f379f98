"""The page of a night: what is in it, for every kind of night, and that nothing a person told becomes markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import msgspec
import pytest
from test_report import MEMORIES, PROBES, RESULT, VERDICT, record

from edgesleep import morning, page
from edgesleep.account import Lesson, NightRecord
from edgesleep.records import NightReport, PassScore, encode

PASSES = tuple(PassScore(n, n / 10, n / 20, 1 - n / 10, n / 100) for n in range(1, 6))
VOID = {"meta", "link", "br", "img", "input"}


class Tree(HTMLParser):
    """Checks that elements nest, and collects what a test looks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.text.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.text).split())


def kept(night: NightReport) -> NightRecord:
    """As night.json would give it back."""
    return msgspec.json.decode(encode(night), type=NightRecord)


def shown(night: NightRecord) -> str:
    return Tree(page.night(night)).said


def test_it_tells_what_was_learned_from_what_and_how_to_undo_it() -> None:
    said = shown(replace(record(), passes=PASSES))
    for part in (
        "Night 12 promoted",
        "1 of 2 new memories learned, 1 not asked.",
        "memories rehearsed 3 (2 new)",
        "Not asked: tried again in the next night (1) You are vegan.",
        "Known before, and still: 0 of 0",
        "chance of such a change by luck alone",
        "You live in Skelwick. told I live in Skelwick now. (m3, m9 on 2026-03-11) replaces Porto",
        "asked Any idea where I live?",
        "edgesleep rollback 6",
        "edgesleep forget b2",
        "1 memory waits for a later night",
        "general knowledge 40 0.65 0.62",
        "tells nothing: too little was right before",
        "450 of 18,000 weights moved against the base, by all nights so far, at most",
        "5.2 Wh, if the machine draws 25 watts more",
        "7 (served) 9 2026-03-09",
    ):
        assert part in said, part


def test_a_refused_night_says_why_and_offers_no_undo() -> None:
    why = "The mean loss on plain text rose by 0.300 nats per token; 0.080 are allowed."
    verdict = replace(VERDICT, outcome="refused", reasons=(why,))
    said = shown(record(replace(RESULT, status="rejected", reason=why), verdict))
    assert "Nothing was changed" in said and f"1.00 {why} 0.67 +0.051" in said
    assert "The refused file answered (1)" in said and "To undo this night" not in said
    assert "weights moved in the refused file against the base, by all nights so far and this one" in said


def test_what_an_earlier_night_taught_in_vain_is_not_new() -> None:
    night = record(replace(RESULT, memories_found=1))
    assert night.account is not None
    again, fresh, known = night.account.lessons
    known = replace(known, asked=2, right_before=2, right_after=2)
    night = replace(night, account=replace(night.account, lessons=(replace(again, since=9), fresh, known)))
    said = "1 of 1 new memories learned, 0 of 1 earlier ones learned at last, 1 of 1 older ones kept."
    assert morning.headline(night).startswith(said)
    assert "memories rehearsed 3 (1 new)" in shown(night)


def test_a_night_of_an_older_edgesleep_shows_its_figures() -> None:
    old = kept(RESULT)
    assert old == NightRecord.of(RESULT, None)
    assert "0.00 → 0.67" in shown(old) and "kept no more than these figures" in shown(old)


def test_a_night_that_was_cut_down_to_nothing_still_has_a_page() -> None:
    bare = record(
        replace(NightReport(1, "promoted", "", 1, "m"), drift_mean=0.0, drift_median=0.0), memories=(), probes=()
    )
    assert bare.account is not None
    assert shown(replace(bare, account=replace(bare.account, tensors=(), line=(), findings=())))


def test_what_was_told_is_text_and_never_markup() -> None:
    evil = '<script>alert(1)</script><img src=x onerror="alert(2)">"\'&{{ 1234*4321 }}'
    memory = replace(MEMORIES[0], statement=evil, told=evil, instead_of=evil)
    probe = replace(PROBES[0], question=evil)
    text = page.night(record(memories=(memory,), probes=(probe,)))
    tree = Tree(text)
    assert evil in tree.said and text.count("<script>") == 1 and str(1234 * 4321) not in tree.said
    assert not [name for tag, name, _ in tree.attributes if name.startswith("on")]
    assert not [tag for tag, _, _ in tree.attributes if tag in ("img", "iframe", "object", "a href")]


def test_it_asks_the_network_for_nothing() -> None:
    text = page.night(record())
    assert not re.search(
        r"(?:https?:)?//(?!www\.w3\.org/2000/svg)\w", re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    )
    assert "default-src 'none'" in text
    links = [value for tag, name, value in Tree(text).attributes if name in ("src", "href", "action")]
    assert links == ["data:,", "#main"]


def test_the_same_record_gives_the_same_page() -> None:
    night = record()
    assert page.night(night) == page.night(kept(night))


@pytest.mark.parametrize(
    ("since", "name"), [(12, "this night"), (11, "1 night ago"), (9, "2 or 3 nights ago"), (1, "8 to 30 ago")]
)
def test_recall_is_told_by_age(since: int, name: str) -> None:
    night = record()
    assert night.account is not None
    lessons = (Lesson("a", "A.", "A.", (1,), "", since, 4, 1, 3),)
    [age] = morning.by_age(replace(night, account=replace(night.account, lessons=lessons)))
    assert (age.name, age.asked, age.before, age.after) == (name, 4, 1, 3)


def test_layers_are_told_in_order_and_by_names_that_people_use() -> None:
    night = record()
    assert night.account is not None
    table = morning.layers(night.account)
    assert table.kinds == ("query", "down", "ssm_out")
    assert [layer for layer, _ in table.rows] == [0, 1, 2] and table.most == 0.04


def test_every_number_of_a_picture_is_in_a_table() -> None:
    night = replace(record(), passes=PASSES)
    said = shown(night)
    for one in PASSES:
        assert f"{one.passes} {one.recall:.2f} {one.two_hops:.2f} {one.abstained:.2f} {one.drift:+.3f}" in said
    pictures = [
        value for tag, name, value in Tree(page.night(night)).attributes if (tag, name) == ("svg", "aria-label")
    ]
    assert len(pictures) == 2 and all(pictures)
