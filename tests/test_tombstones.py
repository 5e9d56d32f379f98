"""What was forgotten is known again in other writing, and by nobody without the key."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from grown import memory
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesleep.tombstones import KEY, Tombstones

DOG = memory("dog", "Miso")


@pytest.fixture
def stones(home: Path) -> Tombstones:
    return Tombstones.to_add(home)


def holding(stones: Tombstones, *hashes: str) -> Tombstones:
    return replace(stones, hashes=frozenset(hashes) - {""})


def test_the_key_is_one_for_good_and_private(home: Path, stones: Tombstones) -> None:
    assert Tombstones.to_add(home).key == stones.key and len(stones.key) == 32
    assert os.name != "posix" or (home / KEY).stat().st_mode & 0o777 == 0o600


def test_an_empty_key_is_no_key(home: Path, stones: Tombstones) -> None:
    (home / KEY).write_bytes(b"")
    assert len(Tombstones.to_add(home).key) == 32


def test_another_home_has_other_hashes(tmp_path: Path, stones: Tombstones) -> None:
    other = Tombstones.to_add(tmp_path / "other")
    assert {*other.of_all(DOG)}.isdisjoint(stones.of_all(DOG))


def test_the_same_value_on_the_same_topic_is_known_again(stones: Tombstones) -> None:
    held = holding(stones, stones.of_memory(DOG))
    assert held.hold(replace(DOG, value="MISO.", told="Miso!", id="0"))
    assert not held.hold(replace(DOG, value="Pim")) and not held.hold(replace(DOG, relation="my cat|name"))


def test_more_about_a_name_is_known_again(stones: Tombstones) -> None:
    held = holding(stones, stones.of_name("Miso"))
    assert held.hold(replace(DOG, relation="miso|eats", value="fish", told="Miso eats fish."))
    assert not held.hold(DOG), "who else is called so is another matter"


def test_with_none_nothing_is_held(stones: Tombstones, tmp_path: Path) -> None:
    assert not stones.hold(DOG) and not Tombstones.of(tmp_path, ()).hold_text("My dog is called Miso.")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(["miso", "Zoë", "4471", "straße", "ﬁsh"]), max_size=6), st.sampled_from(" -_\n.,"))
def test_a_text_is_known_again_in_other_writing(words: list[str], mark: str) -> None:
    stones = Tombstones(b"key")
    text = " ".join(words)
    held = holding(stones, stones.of_text(text))
    assert held.hold_text(f"{mark}{mark.join(words).upper()}!") is (len(words) >= 3)
    assert not held.hold_text(f"{text} and so on")
