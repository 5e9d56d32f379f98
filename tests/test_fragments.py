"""Fragments: bare words that describe what was just spoken of, and bare words that do not."""

from __future__ import annotations

import pytest
from curated import told

KEPT = [
    (("We're getting a second dog on Friday, from the shelter in Stroud. whippet. I'm thrilled",), "whippet"),
    (("we've got a new cat. tabby",), "tabby"),
    (("I'm picking up a puppy next week. Border collie, very small.",), "Border collie"),
    (("we adopted a rescue dog on Sunday - a lurcher",), "lurcher"),
    (("we got a kitten (siamese) and she scratches",), "siamese"),
    (("I bought a van. Transit, 2012, white.",), "Transit"),
    (("just bought a car!! a Skoda Fabia, red",), "Skoda Fabia"),
    (("I got a new bike. Brompton",), "Brompton"),
    (("back from the dentist. two fillings and a telling off",), "two"),
    (("survived the hospital, four stitches",), "four"),
    (("dentist at nine, wish me luck", "done. numb. three fillings"), "three"),
]
LEFT = [
    ("We're getting a dog. Labrador or poodle?",),
    ("We're getting a dog. any tips",),
    ("If we're getting a dog. greyhound.",),
    ("I want to get a dog. greyhound.",),
    ("I never got a dog. greyhound.",),
    ("Rory's been at the dentist, two fillings",),
    ("back from the dentist, no fillings",),
    ("The dentist says I need two fillings?",),
    ("Do pies need two fillings?",),
    ("He got a dog. greyhound.",),
    ("got two stitches wrong in my knitting, dentist after",),
    ("I bought a bike. smart of me",),
]


@pytest.mark.parametrize(("messages", "value"), KEPT, ids=lambda part: str(part)[:40])
def test_bare_words_describe_what_was_spoken_of(messages: tuple[str, ...], value: str) -> None:
    assert value in {memory.value for memory in told(*messages)}


@pytest.mark.parametrize("messages", LEFT, ids=lambda messages: messages[0][:40])
def test_bare_words_that_are_no_kind_describe_nothing(messages: tuple[str, ...]) -> None:
    found = [memory for memory in told(*messages) if memory.relation.endswith("|breed") or "|had|" in memory.relation]
    assert [memory.statement for memory in found] == []
