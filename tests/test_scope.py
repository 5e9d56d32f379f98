"""What goes with something that is to be forgotten, and what does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesleep.errors import EdgesleepError
from edgesleep.night import scope
from edgesleep.night.phrases import fold
from edgesleep.night.scope import Held, Scope, asked_for, picked, since
from edgesleep.records import Memory, Question, Turn
from edgesleep.traces import Search

COMMON = frozenset(
    ["two", "blue", "oslo", "in", "live", "you", "i", "my", "dog", "cat", "is", "called", "have"]
) | frozenset(["best", "friend", "sister", "here", "hello", "could", "remind", "me", "what", "call"])


def memory(id: str, relation: str, statement: str, value: str, *turns: int, instead_of: str = "") -> Memory:
    question = Question("What?", f"{value}.", statement, "what?", "what")
    told = statement.replace("Your", "My").replace("You", "I")
    return Memory(id, "fact", relation, statement, told, value, (question,), turns, "", instead_of)


def turn(id: int, content: str, role: str = "user", session: str = "s") -> Turn:
    return Turn(id, session, role, role, content, f"2026-03-{id:02d}T08:00:00.000+00:00", "")


DOG = memory("d0", "my dog|name", "Your dog is called Miso.", "Miso", 1)
HIS = memory("d1", "miso|is", "Miso is your dog.", "dog", 1)
VET = memory("v0", "vet|of", "You take Miso to the vet.", "the vet", 4)
CAT = memory("c0", "my cat|name", "Your cat is called Pim.", "Pim", 1)
HOME = memory("h0", "i|live", "You live in Oslo.", "Oslo", 5)
WORK = memory("w0", "i|work", "You work in Oslo.", "Oslo", 8)
TURNS = (
    turn(1, "My dog is called Miso, my cat Pim."),
    turn(2, "What a nice name, Miso!", "assistant"),
    turn(3, "misophonia is a thing", session="t"),
    turn(4, "I take MISO to the vet", session="t"),
    turn(5, "I live in Oslo."),
    turn(6, "Oslo is lovely in spring.", "assistant"),
    turn(7, "I know.", session="t"),
    turn(8, "I work in Oslo.", session="t"),
)
EVERYTHING = Held((DOG, HIS, VET, CAT, HOME, WORK), TURNS, frozenset(), frozenset(), COMMON)


def gone(found: Scope) -> tuple[set[str], set[int]]:
    return {memory.id for memory in found.memories}, {turn.id for turn in found.turns}


def held(*memories: Memory, replaced: tuple[str, ...] = (), approved: tuple[tuple[int, str], ...] = ()) -> Held:
    return Held(memories, TURNS, frozenset(replaced), frozenset(approved), COMMON)


def test_what_names_or_says_the_same_goes_along_whoever_said_it() -> None:
    found = picked(EVERYTHING, ["d0"])
    assert gone(found) == ({"d0", "d1", "v0"}, {1, 2, 4}), "not misophonia, nor the cat of the same message"
    assert {"d0", "Miso", "Your dog is called Miso"} <= {*found.texts}
    assert found.guessable == ("d1", "v0")


def test_a_common_value_takes_only_what_tells_it_and_replies_that_have_it() -> None:
    found = picked(EVERYTHING, ["h0"])
    assert gone(found) == ({"h0"}, {5, 6}), "the work stays, in the same town"
    assert "Oslo" not in found.texts and "You live in Oslo" in found.texts
    assert found.guessable == ("h0",)


def test_a_message_goes_with_the_memories_that_it_alone_tells() -> None:
    assert gone(picked(EVERYTHING, ["m1"])) == ({"d0", "d1", "v0", "c0"}, {1, 2, 4})
    assert gone(picked(EVERYTHING, ["m7"])) == (set(), {7})
    with pytest.raises(EdgesleepError, match="no message m99"):
        picked(EVERYTHING, ["m7", "m99"])


def test_words_find_memories_and_messages() -> None:
    assert gone(asked_for(EVERYTHING, "vet take")) == gone(picked(EVERYTHING, ["v0"]))
    assert gone(asked_for(EVERYTHING, "misophonia")) == (set(), {3})
    for text in ("zither", "", "?"):
        with pytest.raises(EdgesleepError, match="No memory and no message"):
            asked_for(EVERYTHING, text)


def test_since_a_day_what_was_told_before_stays() -> None:
    told_again = memory("d0", "my dog|name", "Your dog is called Miso.", "Miso", 1, 4)
    everything = held(told_again, VET, CAT, HOME)
    found = since(everything, "2026-03-04")
    assert gone(found) == ({"v0", "h0"}, {4, 5, 6, 7, 8})
    assert "Miso" not in found.texts and "You live in Oslo" in found.texts
    with pytest.raises(EdgesleepError, match="Nothing was said since then"):
        since(everything, "2026-04-01")


def test_what_was_replaced_goes_with_what_replaced_it() -> None:
    old = memory("o0", "i|live", "You live in Skelwick.", "Skelwick", 7)
    found = picked(held(HOME, old, replaced=("o0",)), ["h0"])
    assert gone(found) == ({"h0", "o0"}, {5, 6, 7})


def test_what_was_replaced_since_a_day_holds_again() -> None:
    old, older = (
        memory(f"o{n}", "i|live", f"You live in {t}.", t, n + 1) for n, t in enumerate(("Skelwick", "Oxmoor"))
    )
    for before, again in (("Skelwick", ("o0",)), ("OXMOOR", ("o1",)), ("", ())):
        now = replace(HOME, instead_of=before)
        found = since(held(now, older, old, replaced=("o0", "o1")), "2026-03-05")
        assert (found.again, gone(found)[0]) == (again, {"h0"})
    assert picked(held(replace(HOME, instead_of="Skelwick"), old, replaced=("o0",)), ["h0"]).again == ()


def test_what_held_before_all_that_goes_holds_again() -> None:
    rex, rover, miso = (
        memory(f"d{n}", "my dog|name", f"Your dog is called {name}.", name, turn, instead_of=before)
        for n, (name, turn, before) in enumerate((("Rex", 1, ""), ("Rover", 6, "Rex"), ("Miso", 8, "Rover")))
    )
    assert since(held(rex, rover, miso, replaced=("d0", "d1")), "2026-03-05").again == ("d0",)


def test_what_had_ended_before_does_not_hold_again() -> None:
    turns = talk("My dog is called Rex.", "I no longer have a dog.", "I got a new dog. My dog is called Miso.")
    rex = memory("a0", "my dog|name", "Your dog is called Rex.", "Rex", 1)
    miso = memory("b0", "my dog|name", "Your dog is called Miso.", "Miso", 3)
    assert since(told(turns, rex, miso, replaced=("a0",)), "2026-03-03").again == ()


def test_what_stands_in_its_place_stays_and_no_longer_says_so() -> None:
    now = memory("n0", "my dog|name", "Your dog is called Pixel.", "Pixel", 8, instead_of="Miso")
    other = memory("n1", "i|have", "You have two.", "two", 8, instead_of="Oslo")
    found = picked(held(DOG, now, other, replaced=("d0",)), ["d0"])
    assert (gone(found)[0], found.loose) == ({"d0"}, ("n0",))
    assert picked(held(HOME, other), ["h0"]).loose == (), "of another topic, and anyone's"


def test_what_was_approved_in_a_message_that_goes_goes_too() -> None:
    code = memory("k0", "my code|is", "Your code is 4471.", "4471", 1)
    assert gone(picked(held(DOG, code, approved=((1, "k0"),)), ["d0"]))[0] == {"d0", "k0"}
    assert gone(picked(held(DOG, code), ["d0"]))[0] == {"d0"}


def test_two_words_for_a_value_are_looked_for_together() -> None:
    street = memory("s0", "i|live", "You live in Garden Street.", "Garden Street", 5)
    other = memory("s1", "i|work", "You work in Garden Lane.", "Garden Lane", 8)
    assert gone(picked(held(street, other), ["s0"]))[0] == {"s0"}


@pytest.mark.parametrize(
    ("value", "own"),
    [
        ("Miso", True),
        ("Pim", False),
        ("two", False),
        ("Oslo", False),
        ("4471", False),
        ("44710", True),
        ("blue Oslo", False),
        ("two cats", True),
        ("in my blue dog", True),
        ("", False),
    ],
)
def test_a_value_is_one_memory_s_own_or_anyone_s(value: str, own: bool) -> None:
    assert EVERYTHING.tells(value) is own


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_no_text_that_is_looked_for_stands_in_what_stays(data: st.DataObject) -> None:
    words = st.lists(st.sampled_from(["miso", "skelwick", "oslo", "two", "dog", "hello"]), min_size=1, max_size=6)
    turns = tuple(turn(n + 1, " ".join(data.draw(words))) for n in range(6))
    memories = tuple(
        memory(f"{n:x}0{n}", f"r|{n % 3}", f"You have {value} here.", value, 1 + n)
        for n, value in enumerate(data.draw(st.lists(st.sampled_from(["miso", "skelwick", "two"]), max_size=5)))
    )
    everything = Held(memories, turns, frozenset(), frozenset(), COMMON)
    found = picked(everything, [memories[0].id]) if memories else since(everything, "2026-03-03")
    if data.draw(st.booleans()):
        found = since(everything, "2026-03-04")
    search, (ids, messages) = Search(found.texts), gone(found)
    kept = [text for one in memories if one.id not in ids for text in (one.statement, one.told, one.value)]
    kept += [one.content for one in turns if one.id not in messages]
    assert not [text for text in kept if search.among(text)]
    own = [one.value for one in found.memories if everything.tells(one.value)]
    assert all(value in found.texts or any(fold(value) in fold(text) for text in kept) for value in own)


def test_what_is_near_needs_the_sentence_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgesleep.embed import Pieces

    monkeypatch.setattr(scope.embed, "load", lambda download: Pieces("it is not here"))
    assert scope.near(EVERYTHING, "my pets", None) == []
    monkeypatch.setattr(scope.embed, "load", lambda download: Pieces(""))
    found = scope.near(EVERYTHING, "You live in Oslo now", picked(EVERYTHING, ["w0"]))
    assert [memory.id for memory in found] == ["h0"]


SISTER = memory("s0", "my sister|name", "Your sister is called Ingvild.", "Ingvild", 1)
FRIEND = memory("f0", "my best friend|name", "Your best friend is called Ingvild.", "Ingvild", 3)


def talk(*said: str, role: str = "user") -> tuple[Turn, ...]:
    return tuple(turn(n + 1, text, role) for n, text in enumerate(said))


def told(
    turns: tuple[Turn, ...], *memories: Memory, past: tuple[str, ...] = (), replaced: tuple[str, ...] = ()
) -> Held:
    return Held(memories, turns, frozenset(replaced), frozenset(), COMMON, frozenset(past))


def test_a_value_that_stays_elsewhere_is_shared() -> None:
    turns = talk("My sister is called Ingvild.", "Hello.", "My best friend is called Ingvild.")
    found = since(told(turns, SISTER, FRIEND), "2026-03-02")
    assert (gone(found), found.guessable, found.shared) == (({"f0"}, {2, 3}), (), ("f0",))
    assert "Ingvild" not in found.texts and "Your best friend is called Ingvild" in found.texts


def test_what_anyone_says_of_what_stays_is_not_looked_for() -> None:
    turns = talk("My sister is called Ingvild.", "Could you remind me what I call my sister?", "Is Ingvild here?")
    assert since(told(turns, SISTER), "2026-03-02").texts == ()


def test_a_message_without_a_memory_is_looked_for_by_its_own_words() -> None:
    turns = talk("Hello.", "Ottilie!", "Is my zither here?")
    assert picked(told(turns), ["m2"]).texts == ("Ottilie",)
    assert picked(told(turns), ["m3"]).texts == ("Is my zither here",)
    assert picked(told(turns), ["m1"]).texts == ()
    assert "Ottilie" in asked_for(told(turns), "Ottilie").texts
    assert picked(told(talk("A zither, here.", role="assistant")), ["m1"]).texts == ("A zither here",)


def test_of_two_messages_that_begin_alike_only_the_one_is_looked_for() -> None:
    begins = "You and I have my blue dog in here and two called cat hello and"
    turns = talk(f"{begins} zither", f"{begins} heron")
    found = picked(told(turns), ["m1"])
    assert (
        found.texts and not Search(found.texts).among(turns[1].content) and Search(found.texts).among(turns[0].content)
    )


def test_of_a_long_sentence_the_words_around_the_value_are_looked_for() -> None:
    long = memory("l0", "i|live", f"You {'two ' * 20}live in Oslo {'cat ' * 20}.", "Oslo", 1)
    texts = picked(told(talk(long.told), long), ["l0"]).texts[1:]
    assert texts and all("Oslo" in text and len(text.split()) == 12 for text in texts)


def test_only_answers_go_with_a_value_that_is_anyone_s() -> None:
    turns = (turn(1, "I live in Oslo."), turn(2, "We saw Oslo and a zither."), turn(3, "Oslo is here.", "assistant"))
    assert gone(picked(told(turns, memory("h1", "i|live", "You live in Oslo.", "Oslo", 1)), ["h1"]))[1] == {1, 3}


def test_a_memory_of_which_only_records_are_left_holds_nothing() -> None:
    turns = talk("I live in Skelwick.", "I live in Oxmoor.", "I live in Bergamot.")
    old, past, now = (
        memory(f"{n}0", "i|live", f"You live in {t}.", t, n, instead_of="Skelwick" * (n == 3))
        for n, t in enumerate(("Skelwick", "Oxmoor", "Bergamot"), 1)
    )
    assert since(told(turns, old, past, now, past=("20",), replaced=("10",)), "2026-03-03").again == ("10",)


def test_what_others_tell_later_is_known_by_values_sentences_and_the_query_alone() -> None:
    turns = talk("My sister is called Ingvild.", "Haha!", "Is my zither here?")
    assert {*picked(told(turns, SISTER), ["s0", "m2", "m3"]).telling} == {
        "Ingvild",
        "Your sister is called Ingvild",
    } | {"My sister is called Ingvild"}
    assert asked_for(told(turns), "zither").telling == ("zither",)


def test_a_change_is_looked_for_by_how_it_was_taught() -> None:
    now = memory("n0", "i|live", "You live in Skelwick.", "Skelwick", 8, instead_of="Oslo")
    texts = {"instead of Oslo", "Was it not Oslo", "You used to say Oslo Is that still right"}
    assert texts <= {*picked(held(HOME, now), ["h0"]).texts}
    other = memory("n1", "i|was", "You were in Skelwick.", "Skelwick", 8, instead_of="Oslo")
    assert "instead of Oslo" not in picked(held(HOME, now, other), ["h0"]).texts, "as that stays"


def test_what_the_base_wrote_is_not_looked_for_but_told_by_its_owner() -> None:
    ours = replace(told(talk("My sister is called Ingvild."), SISTER), ours=('{"text": "Hello\\nIngvild!"}',))
    found = picked(ours, ["s0"])
    assert "Ingvild" not in found.texts and "Your sister is called Ingvild" in found.texts
    assert "Ingvild" in found.telling and found.shared == ()


def test_the_last_message_is_that_of_what_was_read() -> None:
    assert picked(EVERYTHING, ["d0"]).last == 8 and picked(held(), ["m1"]).last == 8


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_word_outside_ascii_that_the_base_has_whole_is_anyone_s(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["S\u00e3o", "caf\u00e9", "\u041c\u043e\u0441\u043a\u0432\u0430", "dog", "na\u00efve\u2019s"]
    if kind == "gpt2":
        tokens = ["".join(_byte_level(byte) for byte in f" {word}".encode()) for word in words]
        assert tokens[0] == "\u0120S\u00c3\u00a3o"
    else:
        tokens = [f"\u2581{word}" for word in words]
    metadata = {"tokenizer.ggml.model": kind, "tokenizer.ggml.tokens": [*tokens, "\u00c3"]}
    monkeypatch.setattr(scope.Gguf, "open", lambda path: metadata)
    assert scope._vocabulary(Path("base.gguf")) == {fold(word) for word in words}


def _byte_level(byte: int) -> str:
    """As GPT-2 writes it: what can be seen stands for itself, the others follow from 256 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    return chr(byte) if byte in seen else chr(256 + [other for other in range(256) if other not in seen].index(byte))


def test_what_edgesleep_writes_itself_is_anyone_s(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_text('{"spec": "smollm2-135m"}')
    assert {"smollm2", "remind", "edgesleep", "allergic"} <= scope._ours(tmp_path)
