"""Scope: what goes when something is to be forgotten.

Owns what a choice takes with it: other memories that say or name the same, every message that tells it, and the texts
by which it is looked for afterwards. Leaves erasing, rebuilding and proving to `forget`. Must stay true: a value that
is anyone's (short, a number, or a word that the base's vocabulary has) takes nothing with it by itself, only the
sentences do that tell it; what was said before a date neither goes with what was said since, nor is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edgesleep import embed
from edgesleep.errors import EdgesleepError
from edgesleep.gguf import Gguf
from edgesleep.journal import Journal
from edgesleep.night import owner
from edgesleep.night.agenda import AGENDA, REPLACED
from edgesleep.night.phrases import fold, right
from edgesleep.records import Agenda, Memory, Turn, load
from edgesleep.store import Store

SHORT = 4  # letters of a word from which on it may be one memory's own
DIGITS = 5  # of a number
PHRASE = 4  # words that are one memory's own, however common each is
REPLIES = 4  # messages after one that tells a value that is anyone's, in which it is taken to be meant
TELLS = 3  # words of a sentence that is looked for as a whole
NEAR, NEAREST = 0.5, 3  # cosine from which on a memory is about the same matter, and how many of them are shown


@dataclass(frozen=True)
class Scope:
    """Memories and messages that go. Others are named by id: those that hold `again`, and `loose` ones, which stay, but
    no longer say that they stand in place of what goes.

    `texts` are looked for afterwards; of the memories `guessable` the value is anyone's, so that it proves nothing.
    """

    memories: tuple[Memory, ...]
    turns: tuple[Turn, ...]
    loose: tuple[str, ...]
    again: tuple[str, ...]
    texts: tuple[str, ...]
    guessable: tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """All that a home holds of what was said: also memories that only the records of its nights still have."""

    memories: tuple[Memory, ...]
    turns: tuple[Turn, ...]
    replaced: frozenset[str]
    approved: frozenset[tuple[int, str]]  # message and memory
    common: frozenset[str]  # words of the base's vocabulary

    @classmethod
    def of(cls, store: Store, journal: Journal) -> Held:
        memories = {memory.id: memory for memory in _past(store.home)}
        memories |= {memory.id: memory for memory in journal.memories()}
        return cls(
            tuple(memories.values()),
            tuple(journal.turns()),
            frozenset(id for id, (state, _) in journal.standing().items() if state == REPLACED),
            frozenset((turn, id) for (turn, _), ids in journal.approved().items() for id in ids),
            _vocabulary(store.model_path(0)),
        )

    @cached_property
    def said(self) -> dict[int, str]:
        """Messages by id, folded, with the name of their session."""
        return {turn.id: f" {fold(turn.content)} | {fold(turn.session)} " for turn in self.turns}

    @cached_property
    def replies(self) -> dict[int, list[int]]:
        """The messages that follow each in its session, the next few."""
        after: dict[int, list[int]] = {}
        last: dict[str, list[int]] = {}
        for turn in self.turns:
            before = last.setdefault(turn.session, [])
            for earlier in before[-REPLIES:]:
                after.setdefault(earlier, []).append(turn.id)
            before.append(turn.id)
        return after

    @cached_property
    def texts(self) -> dict[str, str]:
        """All that a memory says, by its id, but for what it stands in place of."""
        return {memory.id: f" {' | '.join(map(fold, _words(memory)))} " for memory in self.memories}

    def tells(self, value: str) -> bool:
        """Whether a value is by itself one memory's own."""
        words = fold(value).split()
        own = any(len(word) >= (DIGITS if word.isdigit() else SHORT) and word not in self.common for word in words)
        return own or len(words) >= PHRASE


def _past(home: Path) -> Iterator[Memory]:
    for path in sorted(home.glob(f"nights/*/{AGENDA}")):
        try:
            yield from load(Agenda, path).memories
        except EdgesleepError:  # of an older edgesleep; the search finds what stands in it
            continue


def _vocabulary(base: Path) -> frozenset[str]:
    """The words that the base has whole, folded: those that many texts have."""
    tokens = [str(token) for token in Gguf.open(base).get("tokenizer.ggml.tokens", ())]
    begin = [token[1:] for token in tokens if token[:1] in ("\u0120", "\u2581")]  # a space, as tokenizers write it
    return frozenset(map(fold, begin or tokens))


def _words(memory: Memory) -> list[str]:
    asked = (text for q in memory.questions for text in (q.text, q.short, q.full, q.ask, q.wonder))
    return [memory.relation, memory.statement, memory.told, memory.value, memory.held_out, *asked]


# -- choosing ------------------------------------------------------------------------------------------------------


def picked(held: Held, ids: Sequence[str]) -> Scope:
    """What goes with the memories whose ids begin so, and with messages like m17 and the memories that they tell."""
    numbers = {int(id[1:]) for id in ids if re.fullmatch(r"m\d+", id)}
    if unknown := numbers - {turn.id for turn in held.turns}:
        raise EdgesleepError(f"There is no message m{min(unknown)}.", "`edgesleep memories show ID` names messages.")
    memories = [owner.pick(held.memories, id) for id in ids if not re.fullmatch(r"m\d+", id)]
    return _scope(held, *_spread(held, [*memories, *_told_by(held, numbers)], numbers))


def asked_for(held: Held, text: str) -> Scope:
    """What goes with the memories and messages in which all words of a text occur, or their beginnings."""
    words = fold(text).split()
    said = {turn for turn, content in held.said.items() if words and all(f" {word}" in content for word in words)}
    memories = owner.search(held.memories, text)
    if not memories and not said:
        raise EdgesleepError(
            f"No memory and no message has all the words of {text!r}.", "`edgesleep memories list` shows all."
        )
    return _scope(held, *_spread(held, memories, said))


def since(held: Held, moment: str) -> Scope:
    """What was said from a moment on (as `Turn.at`), and the memories that were not told before it."""
    said = {turn.id for turn in held.turns if turn.at >= moment}
    if not said:
        raise EdgesleepError("Nothing was said since then.", "Give an earlier date.")
    gone = {memory.id: memory for memory in _told_by(held, said)}
    gone |= {memory.id: memory for memory in held.memories if _is_approved(held, memory, said)}
    return _scope(held, gone, said, before=True)


def near(held: Held, text: str, scope: Scope | None) -> list[Memory]:
    """Memories that are about the same matter by their meaning, and do not go; none where no sentence model is here."""
    left = [m for m in held.memories if scope is None or m not in scope.memories]
    embedder = embed.load(download=False)
    if embedder.why or not left:
        return []
    places, cosines = embed.nearest(
        embedder.embed([text]), embedder.embed([memory.statement for memory in left]), NEAREST
    )
    return [left[place] for place, cosine in zip(places[0], cosines[0], strict=True) if cosine >= NEAR]


def _told_by(held: Held, turns: Collection[int]) -> list[Memory]:
    """Memories that no other message tells."""
    return [memory for memory in held.memories if memory.turn_ids and {*memory.turn_ids} <= {*turns}]


# -- what goes with it ---------------------------------------------------------------------------------------------


def _spread(held: Held, memories: Iterable[Memory], turns: Iterable[int]) -> tuple[dict[str, Memory], set[int]]:
    """Memories and messages, with all that say or name the same, until nothing is added."""
    gone, said, size = {memory.id: memory for memory in memories}, {*turns}, -1
    while size != len(gone) + len(said):
        size = len(gone) + len(said)
        said |= {turn for memory in gone.values() for turn in memory.turn_ids if turn in held.said}
        own = {f" {fold(memory.value)} " for memory in gone.values() if held.tells(memory.value)}
        telling = own | {f" {fold(text)} " for memory in gone.values() for text in _sentences(memory)}
        said |= {turn for turn, text in held.said.items() if any(told in text for told in telling)}
        for memory in gone.values():
            replies = (reply for turn in memory.turn_ids for reply in held.replies.get(turn, ()))
            said |= {reply for reply in replies if right(held.said[reply], memory.value)}
        gone |= {memory.id: memory for memory in held.memories if _goes_along(held, memory, gone, said, own)}
    return gone, said


def _goes_along(
    held: Held, memory: Memory, gone: dict[str, Memory], said: Collection[int], own: Collection[str]
) -> bool:
    """Whether a memory names what goes, says the same, was replaced by it, or was approved in a message that goes."""
    return (
        any(value in held.texts[memory.id] for value in own)
        or (memory.id in held.replaced and any(memory.relation == other.relation for other in gone.values()))
        or any(owner.following(other, [memory]) for other in gone.values())
        or _is_approved(held, memory, said)
    )


def _is_approved(held: Held, memory: Memory, turns: Collection[int]) -> bool:
    """As a secret, in one of these messages: without them it would no longer be known as one."""
    return any((turn, memory.id) in held.approved for turn in turns)


def _sentences(memory: Memory) -> Iterator[str]:
    """The sentences that tell its value."""
    value = f" {fold(memory.value)} "
    for text in dict.fromkeys((memory.statement, memory.told, *(question.full for question in memory.questions))):
        folded = fold(text)
        if len(folded.split()) >= TELLS and value in f" {folded} ":
            yield text


def _scope(held: Held, gone: dict[str, Memory], said: Collection[int], *, before: bool = False) -> Scope:
    """The whole of it; with `before`, what was held earlier holds again, and what it says is not looked for."""
    kept = [memory for memory in held.memories if memory.id not in gone]
    stays = [held.texts[memory.id] for memory in kept]
    stays += [text for turn, text in held.said.items() if turn not in said]
    texts = [text for text in _looked_for(held, gone.values(), said) if not any(f" {fold(text)} " in s for s in stays)]
    again = {m.relation: m.id for m in sorted(kept, key=lambda memory: memory.at) if m.id in held.replaced}
    holding = {memory.relation for memory in kept if memory.id not in held.replaced}
    left = {memory.relation for memory in gone.values() if memory.id not in held.replaced} - holding
    return Scope(
        tuple(gone.values()),
        tuple(turn for turn in held.turns if turn.id in said),
        tuple(memory.id for memory in kept if _is_loose(held, memory, gone.values())),
        tuple(id for relation, id in again.items() if before and relation in left),
        (*gone, *dict.fromkeys(texts)),  # ids always: they are hashes of what goes
        tuple(memory.id for memory in gone.values() if not held.tells(memory.value)),
    )


def _is_loose(held: Held, memory: Memory, gone: Iterable[Memory]) -> bool:
    """Whether what a memory stands in place of goes."""
    old = f" {fold(memory.instead_of)} "
    return bool(old.strip()) and any(
        f" {fold(other.value)} " in old and (held.tells(other.value) or other.relation == memory.relation)
        for other in gone
    )


def _looked_for(held: Held, memories: Iterable[Memory], said: Collection[int]) -> Iterator[str]:
    """Values that are one memory's own, the sentences that tell the others, and what was said, sentence by sentence."""
    for memory in memories:
        if held.tells(memory.value):
            yield memory.value
        yield from _sentences(memory)
    for turn in held.turns:
        if turn.id in said and turn.role != "assistant":  # which says the same to anyone
            yield from (part for part in re.split(r"[.!?\n]+", turn.content) if len(fold(part).split()) >= PHRASE)
