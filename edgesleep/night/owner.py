"""The owner's word on memories: finding one, putting it otherwise, approving what was withheld, and forgetting.

Owns what becomes of the other memories when one is edited, approved or forgotten. Leaves storing to `journal`, reading
to `curate` and showing to `cli_memories`. Must stay true: a new wording is read like any other message, and changes
nothing where it is not one memory; nothing is written before all is known to be right; turns are never touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from edgesleep import secrets
from edgesleep.entries import Entry, checked
from edgesleep.errors import EdgesleepError
from edgesleep.journal import EDITS, Journal
from edgesleep.night.curate import curate
from edgesleep.night.phrases import fold, right
from edgesleep.night.withheld import NOTED, Withheld, noted, put_back, with_stand_in, withheld
from edgesleep.records import Memory, Turn

_LIST = "`edgesleep memories list` shows all."


@dataclass(frozen=True)
class Change:
    """What a decision changes, or would: what holds from now on, what no more, and what still names the latter."""

    holds: tuple[Memory, ...] = ()
    gone: tuple[Memory, ...] = ()
    naming: tuple[Memory, ...] = ()


# -- finding -------------------------------------------------------------------------------------------------------


def pick(memories: Sequence[Memory], start: str) -> Memory:
    """The memory whose id is, or alone begins with, `start`. Raises EdgesleepError where none or several do."""
    if not start:  # of a single memory it would be the beginning too: `forget "$UNSET"` must delete nothing
        raise EdgesleepError("The id is empty.", _LIST)
    found = [memory for memory in memories if memory.id == start] or [
        memory for memory in memories if memory.id.startswith(start.lower())
    ]
    if not found:
        raise EdgesleepError(f"No memory's id begins with {start!r}.", _LIST)
    if len(found) > 1:
        several = ", ".join(memory.id for memory in found[:4]) + (", ..." if len(found) > 4 else "")
        raise EdgesleepError(f"{len(found)} memories' ids begin with {start!r}: {several}.", "Give more of the id.")
    return found[0]


def pick_withheld(journal: Journal, wanted: str) -> Withheld:
    """What is withheld under an id like w17.1. Raises EdgesleepError where nothing is."""
    number, everything = wanted[1:].partition(".")[0], journal.turns()
    for item in (*withheld(turn for turn in everything if str(turn.id) == number), *noted(everything)):
        if item.id == wanted:
            return item
    raise EdgesleepError(
        f"Nothing is withheld as {wanted!r}.", "`edgesleep memories list --state withheld` shows what is."
    )


def search(memories: Iterable[Memory], text: str) -> list[Memory]:
    """Memories in whose words all words of `text` occur, or their beginnings."""
    words = fold(text).split()
    return [memory for memory in memories if words and all(f" {word}" in _words(memory) for word in words)]


def _words(memory: Memory) -> str:
    asked = (question.text for question in memory.questions)
    return f" {fold(' '.join([memory.statement, memory.told, memory.value, *asked]))}"


def holding(journal: Journal) -> list[Memory]:
    """The memories that hold: all that were not replaced."""
    standing = journal.standing()
    return [memory for memory in journal.memories() if standing[memory.id][0] != "replaced"]


def following(memory: Memory, others: Iterable[Memory]) -> list[Memory]:
    """What the sentence of a memory says as well: "Miso is your dog", beside "Your dog is called Miso"."""
    return [
        other
        for other in others
        if other.id != memory.id
        and {*other.turn_ids} & {*memory.turn_ids}
        and (other.told == memory.told or other.relation == f"{fold(memory.value)}|is")
    ]


def _naming(gone: Sequence[Memory], others: Iterable[Memory], but: Collection[str]) -> tuple[Memory, ...]:
    """Other memories in which a value occurs that is to be gone."""
    # Of "Pim is your dog", Pim's own sentence the other way round, the value is only what Pim was.
    turned = {f"{fold(memory.value)}|is" for memory in gone}
    values = [memory.value for memory in gone if len(fold(memory.value)) > 2 and memory.relation not in turned]
    return tuple(m for m in others if m.id not in but and any(right(m.statement, value) for value in values))


# -- deciding ------------------------------------------------------------------------------------------------------


def edit(journal: Journal, memory: Memory, sentence: str, *, commit: bool = True) -> Change:
    """Put a memory otherwise. Raises EdgesleepError where the sentence is not one memory, or tells a secret."""
    said = _in_the_open(sentence)
    held = holding(journal)
    if memory.id not in {other.id for other in held}:
        raise EdgesleepError(f"{memory.statement!r} holds no more; something else was said later.", "Edit that one.")
    gone = [memory, *following(memory, held)]
    left = [other for other in held if other not in gone]
    day = curate([said], left)
    main = _one(day.memories, memory)
    new = _discreet([_instead(other, memory) if other is main else other for other in day.memories], journal)
    gone = _replaced(new, day.ended, gone, held)
    if commit:
        journal.adopt(new, [other.id for other in gone], said)
    ids = {other.id for other in (*new, *gone)}
    return Change(tuple(new), tuple(gone), _naming(gone, left, ids))


def _in_the_open(sentence: str) -> Turn:
    """The sentence as its owner's word. Raises EdgesleepError where it tells a secret."""
    said = checked(Entry("user", sentence, session=EDITS))
    if "[redacted: " in said.content or secrets.withheld(said.content):
        raise EdgesleepError(
            "The sentence tells a secret or speaks of one, and such are learned only where they are approved.",
            "Say it in a chat, then approve it: `edgesleep memories list --state withheld`.",
        )
    return said


def _one(found: Sequence[Memory], old: Memory) -> Memory:
    """The one memory that a sentence tells, whatever follows from it."""
    if not found:
        raise EdgesleepError(
            "Nothing in the sentence is understood as a memory.",
            'Write one plain sentence, as you would say it: "My dog is called Miso."',
        )
    main = next((memory for memory in found if memory.relation == old.relation), found[0])
    if len(found) > 1 + len(following(main, found)):
        said = " ".join(memory.statement for memory in found)
        raise EdgesleepError(
            f"The sentence would be {len(found)} memories, not one: {said}", "Write one plain sentence for this one."
        )
    return main


def _instead(new: Memory, old: Memory) -> Memory:
    """The new in the old one's place: pinned as that was, and where the topic is the same, knowing what it was."""
    new = replace(new, pinned=old.pinned)
    if new.relation != old.relation:
        return new
    return replace(new, instead_of=old.instead_of if fold(new.value) == fold(old.value) else old.value)


def _discreet(new: Iterable[Memory], journal: Journal) -> list[Memory]:
    """The memories, none of which stands in place of an approved secret: it would be taught 'Was it not "4471"?'."""
    approved = {memory for found in journal.approved().values() for memory in found}
    secret = {memory.value for memory in journal.memories() if memory.id in approved}
    return [replace(memory, instead_of="") if memory.instead_of in secret else memory for memory in new]


def _replaced(
    new: Sequence[Memory], ended: Collection[str], gone: Sequence[Memory], held: Sequence[Memory]
) -> list[Memory]:
    """What holds no more beside the new: `gone`, what was said to have ended, and what was held on the same topic."""
    relations, ids = {memory.relation for memory in new}, {memory.id for memory in new}
    return [m for m in held if m.id not in ids and (m in gone or m.id in ended or m.relation in relations)]


def approve(journal: Journal, item: Withheld, *, commit: bool = True) -> Change:
    """Have a withheld sentence learned after all. Raises EdgesleepError where it cannot be."""
    if item.kind == NOTED:
        return adopt(journal, item.text, item.at, commit=commit)
    if not item.text:
        raise EdgesleepError(
            f"{item.id} cannot be approved: the {item.kind} was taken out before the write, and never kept.",
            "Keys and card numbers have no way into the journal or the weights.",
        )
    if journal.approved().get((item.turn, item.sha256)):
        raise EdgesleepError(f"{item.id} is approved already.", f"`edgesleep memories show {item.id}` says what it is.")
    (turn,) = (turn for turn in journal.turns(after=item.turn - 1) if turn.id == item.turn)
    held = holding(journal)
    text, name, secret = with_stand_in(item.text)
    found = curate([replace(turn, content=text)], held, approved=True).memories
    new = [whole for memory in found if (whole := put_back(memory, name, secret) if secret else memory)]
    if not new:
        raise EdgesleepError(
            f"Nothing in {item.id} is understood as a memory.",
            'Tell it in a chat in one plain sentence ("My door code is ..."), and approve that.',
        )
    gone = _replaced(new, (), (), held)
    _demand_last(gone, item.at)
    values = {memory.relation: memory.value for memory in gone}
    new = _discreet([replace(memory, instead_of=values.get(memory.relation, "")) for memory in new], journal)
    if commit:
        journal.adopt(new, [memory.id for memory in gone], secret=item.sha256)
    return Change(tuple(new), tuple(gone))


def adopt(journal: Journal, text: str, at: str, *, commit: bool = True) -> Change:
    """Have what an assistant noted `at` a time hold as if its owner had said it. Raises EdgesleepError as `edit` does,
    but that it may be several memories. What is held already stays as it is."""
    said, held = _in_the_open(text), holding(journal)
    day, ids = curate([said], held), {memory.id for memory in held}
    if not day.memories:
        raise EdgesleepError(
            "Nothing in it is understood as a memory.",
            'It has to be plain sentences in the voice of the user: "My dog is called Miso."',
        )
    new = [memory for memory in day.memories if memory.id not in ids]
    gone = _replaced(new, day.ended, (), held)
    _demand_last(gone, at)
    values = {memory.relation: memory.value for memory in gone}
    new = _discreet([replace(memory, instead_of=values.get(memory.relation, "")) for memory in new], journal)
    if commit:
        journal.adopt(new, [memory.id for memory in gone], said)
    return Change(tuple(new), tuple(gone))


def _demand_last(gone: Iterable[Memory], at: str) -> None:
    """Raises EdgesleepError where one that was to be replaced was said after that time, or is pinned."""
    if later := next((memory for memory in gone if memory.at > at or memory.pinned), None):
        why = "is pinned" if later.pinned else "was said later"
        raise EdgesleepError(f"It holds no more: memory {later.id} on the same topic {why}.", "Forget that first.")


def forget(journal: Journal, memories: Sequence[Memory], *, commit: bool = True) -> Change:
    """Take memories out of the journal for good, with what follows from their sentences."""
    everything = journal.memories()
    wanted = {memory.id: memory for memory in memories}
    wanted |= {other.id: other for memory in memories for other in following(memory, everything)}
    gone = tuple(wanted.values())
    if commit:
        journal.forget(list(wanted))
    return Change((), gone, _naming(gone, everything, wanted))
