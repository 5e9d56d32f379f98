"""Scope: what goes when something is to be forgotten.

Owns what a choice takes with it: other memories that say or name the same, every message that tells it, and the texts
by which it is looked for afterwards. Leaves erasing, rebuilding and proving to `forget`. Must stay true: a value that
is anyone's (short, a number, or a word of the base or of edgesleep) takes nothing with it by itself, only the sentences
do that tell it; of a message that is looked for which has a word of its own; nothing is looked for that stands in what
stays, by the very rule by which it is looked for; what was said before a date does not go with what was said since.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from edgesleep import embed
from edgesleep.account import NIGHT, NightRecord
from edgesleep.daemon.log import SAYS_NOTHING
from edgesleep.errors import EdgesleepError
from edgesleep.gguf import Gguf
from edgesleep.journal import Journal
from edgesleep.night import owner, phrases, untold
from edgesleep.night.agenda import AGENDA, REPLACED
from edgesleep.night.phrases import fold
from edgesleep.night.standing import bundled as standing_probes
from edgesleep.records import Agenda, Memory, Turn, encode, load
from edgesleep.store import MANIFEST, Store
from edgesleep.traces import Search, around, words_of

SHORT = 4  # letters of a word from which on it may be one memory's own
DIGITS = 5  # of a number
PHRASE = 4  # words that are one memory's own, however common each is
REPLIES = 4  # messages after one that tells a value that is anyone's, of which answers that have it mean it
TELLS = 3  # words of a sentence that is looked for as a whole
PIECES = 16  # of one message that are looked for, at most
CACHE = "cache/*.json"  # what the base wrote and answered
OURS = ("base.json", f"generations/*/{MANIFEST}", *SAYS_NOTHING)  # of what was told
NEAR, NEAREST = 0.5, 3  # cosine from which on a memory is about the same matter, and how many of them are shown


@dataclass(frozen=True)
class Scope:
    """Memories and messages that go. Others are named by id: those that hold `again`, and `loose` ones, which stay, but
    no longer say that they stand in place of what goes.

    `texts` are looked for afterwards. A message that came after the `last` tells it again where it has one of
    `telling`: a value that is one memory's own, a sentence that tells another, or a word by which it was asked for. Of
    the memories `guessable` the value is anyone's, of those `shared` it stands in what stays as well, so that to be
    asked for it proves little of the ones, and nothing of the others.
    """

    memories: tuple[Memory, ...]
    turns: tuple[Turn, ...]
    loose: tuple[str, ...]
    again: tuple[str, ...]
    texts: tuple[str, ...]
    telling: tuple[str, ...]
    guessable: tuple[str, ...]
    shared: tuple[str, ...]
    last: int


@dataclass(frozen=True)
class Held:
    """All that a home holds of what was said: also memories that only the records of its nights still have."""

    memories: tuple[Memory, ...]
    turns: tuple[Turn, ...]
    replaced: frozenset[str]
    approved: frozenset[tuple[int, str]]  # message and memory
    common: frozenset[str]  # words of the base's vocabulary, and of what edgesleep writes itself
    past: frozenset[str] = frozenset()  # memories that only the records of nights still have
    ours: tuple[str, ...] = ()  # texts that the base or edgesleep wrote, whatever was told

    @classmethod
    def of(cls, store: Store, journal: Journal) -> Held:
        past = {memory.id: memory for memory in _past(store.home)}
        standing = journal.standing()
        memories = past | {memory.id: memory for memory in journal.memories()}
        return cls(
            tuple(memories.values()),
            tuple(journal.turns()),
            frozenset(id for id, (state, _) in standing.items() if state == REPLACED),
            frozenset((turn, id) for (turn, _), ids in journal.approved().items() for id in ids),
            _vocabulary(store.model_path(0)) | _ours(store.home),
            frozenset({*past} - {*standing}),
            (
                *standing_probes().wordings,
                *(path.read_text("utf-8", "replace") for path in sorted(store.home.glob(CACHE))),
            ),
        )

    @cached_property
    def said(self) -> dict[int, str]:
        """Messages by id, folded, with the name of their session."""
        return {turn.id: f" {fold(turn.content)} | {fold(turn.session)} " for turn in self.turns}

    @cached_property
    def replies(self) -> dict[int, list[int]]:
        """The answers among the messages that follow each in its session, the next few."""
        after: dict[int, list[int]] = {}
        last: dict[str, list[int]] = {}
        for turn in self.turns:
            before = last.setdefault(turn.session, [])
            for earlier in before[-REPLIES:] if turn.role == "assistant" else ():
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
        return any(map(self.is_own, words)) or len(words) >= PHRASE

    def is_own(self, word: str) -> bool:
        """Whether a folded word is not anyone's."""
        return len(word) >= (DIGITS if word.isdigit() else SHORT) and word not in self.common


def _past(home: Path) -> Iterator[Memory]:
    for path in sorted(home.glob(f"nights/*/{AGENDA}")):
        try:
            yield from load(Agenda, path).memories
        except EdgesleepError:  # of an older edgesleep; the search finds what stands in it
            continue


def _vocabulary(base: Path) -> frozenset[str]:
    """The words that the base has whole, folded: those that many texts have."""
    file = Gguf.open(base)
    tokens = [str(token) for token in file.get("tokenizer.ggml.tokens", ())]
    if file.get("tokenizer.ggml.model") == "gpt2":
        tokens = [_unmapped(token) for token in tokens]
    begin = [token[1:] for token in tokens if token[:1] in (" ", "\u2581")]  # a space, as tokenizers write it
    return frozenset(map(fold, begin or tokens))


def _unmapped(token: str) -> str:
    """A token of a byte-level vocabulary as text: there each byte that is no letter or mark stands as another one."""
    return bytes(_BYTES[char] for char in token if char in _BYTES).decode("utf-8", "replace")


_PLAIN = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))  # bytes that stand as they are in Latin-1
_BYTES = {chr(byte): byte for byte in _PLAIN}
_BYTES |= {chr(0x100 + n): byte for n, byte in enumerate(byte for byte in range(0x100) if byte not in _PLAIN)}


def _ours(home: Path) -> frozenset[str]:
    """The words that edgesleep writes whatever it was told: they would be found again in its files."""
    asked = (phrases.QUESTIONS, phrases.SHORT, phrases.OPENERS, phrases.REVERSALS, phrases.CHANGES, phrases.CHANGED)
    texts = [*phrases.HELD, *(text for frames in asked for frame in frames for text in frame), *untold.every_question()]
    texts += [path.read_text("utf-8", "replace") for place in OURS for path in home.glob(place)]
    texts += map(_unquoted, home.glob(f"nights/*/{NIGHT}"))
    return frozenset(word for text in texts for word in fold(text).split()) | {"edgesleep", "sqlite"}


def _unquoted(path: Path) -> str:
    """What a night's record says whatever was told; nothing of one that cannot be read, which may quote anything."""
    try:
        night = load(NightRecord, path)
    except EdgesleepError:
        return ""
    return encode(replace(night, account=night.account and replace(night.account, lessons=()))).decode()


def _words(memory: Memory) -> list[str]:
    asked = (text for q in memory.questions for text in (q.text, q.short, q.full, q.ask, q.wonder))
    return [memory.relation, memory.statement, memory.told, memory.value, memory.held_out, *asked]


# -- choosing ------------------------------------------------------------------------------------------------------


def picked(held: Held, ids: Sequence[str]) -> Scope:
    """What goes with the memories whose ids begin so, and with messages like m17 and the memories that they tell."""
    messages = [id for id in ids if re.fullmatch(r"m\d{1,18}", id)]
    numbers = {int(id[1:]) for id in messages}
    if unknown := numbers - {turn.id for turn in held.turns}:
        raise EdgesleepError(f"There is no message m{min(unknown)}.", "`edgesleep memories show ID` names messages.")
    memories = [owner.pick(held.memories, id) for id in ids if id not in messages]
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
    return _scope(held, *_spread(held, memories, said), query=text)


def since(held: Held, moment: str) -> Scope:
    """What was said from a moment on (as `Turn.at`), and the memories that were not told before it."""
    said = {turn.id for turn in held.turns if turn.at >= moment}
    if not said:
        raise EdgesleepError("Nothing was said since then.", "Give an earlier date.")
    approved = _approved(held, said)
    gone = {memory.id: memory for memory in _told_by(held, said)}
    gone |= {memory.id: memory for memory in held.memories if memory.id in approved}
    return _scope(held, gone, said, before=True)


def near(held: Held, text: str, scope: Scope | None) -> list[Memory]:
    """Memories that are about the same matter by their meaning, and do not go; none where no sentence model is here."""
    gone = {memory.id for memory in scope.memories} if scope else set()
    left = [memory for memory in held.memories if memory.id not in gone]
    embedder = embed.load(download=False)
    if embedder.why or not left:
        return []
    places, cosines = embed.nearest(
        embedder.embed([text]), embedder.embed([memory.statement for memory in left]), NEAREST
    )
    return [left[place] for place, cosine in zip(places[0], cosines[0], strict=True) if cosine >= NEAR]


def _told_by(held: Held, turns: Collection[int]) -> list[Memory]:
    """Memories that no other message tells."""
    said = {*turns}
    return [memory for memory in held.memories if memory.turn_ids and said.issuperset(memory.turn_ids)]


# -- what goes with it ---------------------------------------------------------------------------------------------


def _spread(held: Held, memories: Iterable[Memory], turns: Iterable[int]) -> tuple[dict[str, Memory], set[int]]:
    """Memories and messages, with all that say or name the same, until nothing is added."""
    gone, said = {memory.id: memory for memory in memories}, {*turns}
    new, size = [*gone.values()], -1
    while new or size != len(said):
        size = len(said)
        said |= {turn for memory in new for turn in memory.turn_ids if turn in held.said}
        own = {f" {fold(memory.value)} " for memory in new if held.tells(memory.value)}
        telling = own | {f" {fold(text)} " for memory in new for text in _sentences(memory)}
        said |= {turn for turn, text in held.said.items() if any(told in text for told in telling)}
        for memory in new:
            replies = {reply for turn in memory.turn_ids for reply in held.replies.get(turn, ())}
            value = f" {fold(memory.value)} "
            said |= {reply for reply in replies if value.strip() and value in held.said[reply]}
        relations, approved = {memory.relation for memory in new}, _approved(held, said)
        new = [
            memory
            for memory in held.memories
            if memory.id not in gone
            and (
                any(value in held.texts[memory.id] for value in own)
                or (memory.id in held.replaced and memory.relation in relations)
                or any(owner.following(other, [memory]) for other in new)
                or memory.id in approved
            )
        ]
        gone |= {memory.id: memory for memory in new}
    return gone, said


def _approved(held: Held, turns: Collection[int]) -> set[str]:
    """Memories approved as a secret in one of these messages: without them they would no longer be known as such."""
    return {id for turn, id in held.approved if turn in turns}


def _sentences(memory: Memory) -> Iterator[str]:
    """The sentences that tell its value."""
    value = f" {fold(memory.value)} "
    for text in dict.fromkeys((memory.statement, memory.told, *(question.full for question in memory.questions))):
        folded = fold(text)
        if len(folded.split()) >= TELLS and value in f" {folded} ":
            yield text


def _scope(
    held: Held, gone: dict[str, Memory], said: Collection[int], *, before: bool = False, query: str = ""
) -> Scope:
    """The whole of it; with `before`, what was held earlier holds again."""
    kept = [memory for memory in held.memories if memory.id not in gone]
    loose = {memory.id for memory in kept if _is_loose(held, memory, gone.values())}
    stays = [text for memory in kept for text in _words(memory)]
    stays += [_instead(memory) for memory in kept if memory.id not in loose]
    stays += [text for turn in held.turns if turn.id not in said for text in (turn.content, turn.session)]
    values = {memory.id: memory.value for memory in gone.values()}
    alone = {*Search(values.values()).absent(stays)}
    telling = [*_told(held, gone.values()), *(word for word in query.split() if held.tells(word))]
    pieces = [*_said(held, said, {word for text in stays for word in fold(text).split()})]
    pieces += [text for memory in kept if memory.id in loose for text in _was(memory)]
    own = Search([*telling, *pieces]).absent(stays)
    tells = {*telling}
    return Scope(
        tuple(gone.values()),
        tuple(turn for turn in held.turns if turn.id in said),
        tuple(memory.id for memory in kept if memory.id in loose),
        tuple(_again(held, gone, kept)) if before else (),
        (*gone, *Search(own).absent(held.ours)),  # ids always: they are hashes of what goes
        tuple(text for text in own if text in tells),
        tuple(memory.id for memory in gone.values() if not held.tells(memory.value)),
        tuple(id for id, value in values.items() if value not in alone),
        max((turn.id for turn in held.turns), default=0),
    )


def _again(held: Held, gone: dict[str, Memory], kept: Sequence[Memory]) -> Iterator[str]:
    """What was held when one that goes was told, where nothing else on its topic holds now."""
    holding = {m.relation for m in kept if m.id not in held.replaced and m.id not in held.past}
    left = {(m.relation, fold(m.value)): m.id for m in kept if m.id in held.replaced}
    out = {(m.relation, fold(m.value)): m for m in gone.values()}
    for memory in (m for m in gone.values() if m.id not in held.replaced and m.relation not in holding):
        been, before = set(), (memory.relation, fold(memory.instead_of))
        while before in out and before not in been:  # that goes as well
            been.add(before)
            before = (memory.relation, fold(out[before].instead_of))
        if before in left:
            yield left[before]


def _instead(memory: Memory) -> str:
    """How the record of a memory says in whose place it stands."""
    return f"instead of {memory.instead_of}" if memory.instead_of else ""


def _was(memory: Memory) -> Iterator[str]:
    """How records of nights, and what was taught there, say in whose place a memory stands."""
    asked = (prompt.replace("{old}", memory.instead_of) for prompt, _ in phrases.CHANGES)
    for text in (_instead(memory), *asked):
        yield around(words_of(text), 0, 0)


def _is_loose(held: Held, memory: Memory, gone: Iterable[Memory]) -> bool:
    """Whether what a memory stands in place of goes."""
    old = f" {fold(memory.instead_of)} "
    return bool(old.strip()) and any(
        f" {fold(other.value)} " in old and (held.tells(other.value) or other.relation == memory.relation)
        for other in gone
    )


def _told(held: Held, memories: Iterable[Memory]) -> Iterator[str]:
    """Values that are one memory's own, and the sentences that tell the others."""
    for memory in memories:
        value = words_of(memory.value)
        if held.tells(memory.value):
            yield around(value, 0, len(value))
        for text in _sentences(memory):
            words = words_of(text)
            places = (n for n in range(len(words)) if fold(" ".join(words[n : n + len(value)])) == fold(memory.value))
            start = next(places, 0)
            yield around(words, start, start + len(value))


def _said(held: Held, said: Collection[int], others: Collection[str]) -> Iterator[str]:
    """What was said, sentence by sentence, where it has a word of its own that nothing has that stays."""
    for turn in held.turns:
        pieces: dict[str, None] = {}
        for part in re.split(r"[.!?\n]+", turn.content) if turn.id in said else ():
            words = words_of(part)
            own = (n for n, word in enumerate(words) if (one := fold(word)) not in others and held.is_own(one))
            pieces |= {around(words, n, n + 1): None for n in own}
        yield from [*pieces][:: 1 + len(pieces) // PIECES]
