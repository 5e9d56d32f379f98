"""Agenda: what a night is about.

Owns the choice: what the day's turns add to the memories that the journal holds, what of those no longer holds, and
which are rehearsed, rest or are learned anew. Leaves reading turns to `curate`, keeping to the journal. Must stay true:
what was said later holds, whatever was learned; a kill between two marks only means that the turns are read again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import MappingProxyType

from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.night import untold
from edgesleep.night.artefacts import folder_of
from edgesleep.night.curate import curate, with_proposals
from edgesleep.records import Agenda, Memory, Proposer, load

AGENDA = "memories.json"  # its file in the night's folder
NEW, LEARNED, WEAK, REPLACED = "new", "learned", "weak", "replaced"
REMEMBERED = 64  # nights of which it is known which memories they had
LOOK_BACK = 5000  # turns of before, out of which a message may be pasted


def gather(
    journal: Journal,
    force: bool,
    *,
    commit: bool = True,
    proposer: Proposer | None = None,
    blame: Mapping[str, int] = MappingProxyType({}),
) -> Agenda:
    """Curate the turns since the last night into memories, and choose what to rehearse.

    What was said later replaces what was held on the same topic, learned or not. A `proposer` adds to what rules find.
    Nothing that was forgotten is learned from a copy. What is to `blame` for refused nights may have to wait.
    """
    since = journal.curated_through()
    recent = journal.turns(after=since - LOOK_BACK)
    turns, earlier = [t for t in recent if t.id > since], [t for t in recent if t.id <= since]
    through = turns[-1].id if turns else since
    edited = journal.edited()  # once: asked for each turn, it is a query for each
    stones = journal.tombstones()
    turns = [turn for turn in turns if turn.id not in edited and not stones.hold_text(turn.content)]
    held = {state: journal.memories(state) for state in (NEW, WEAK, LEARNED, REPLACED)}
    latest = {memory.relation: memory for state in (NEW, WEAK, LEARNED) for memory in held[state]}
    day, forgotten = curate(turns, list(latest.values()), earlier), journal.forgotten()
    if proposer:
        day = with_proposals(day, turns, list(latest.values()), earlier, proposer=proposer)
    found = [memory for memory in day.memories if memory.id not in forgotten and not stones.hold(memory)]
    told = [(memory, latest.get(memory.relation)) for memory in found]
    fresh = [_standing_for(memory, before) for memory, before in told if not _outdated(memory, before)]
    said = dict.fromkeys((m.relation for m in latest.values() if m.id in day.ended and not m.pinned), "")
    said |= {memory.relation: memory.id for memory in fresh}
    held = {state: _told_again(memories, fresh) for state, memories in held.items()}
    still = {state: [m for m in held[state] if said.get(m.relation, m.id) == m.id] for state in (NEW, WEAK, LEARNED)}
    again = [m for m in held[REPLACED] if said.get(m.relation) == m.id]
    if commit:
        # Marks first: a kill before the watermark moves only means that these turns are read again.
        for state, changed in ((REPLACED, [m for s in still for m in held[s] if m not in still[s]]), (NEW, again)):
            if changed:
                journal.mark([m.id for m in changed], state)
        # What is not to be learned, as it was forgotten or no longer holds, is not to be quoted either.
        kept = {m.id for m in fresh}
        journal.silence(turn for m in day.memories if m.id not in kept for turn in m.turn_ids)
        journal.remember(fresh, through)
    there = {m.id for memories in held.values() for m in memories}
    new = [*still[NEW], *again, *(m for m in fresh if m.id not in there)]
    night = journal.coming_night()
    due = _due([*new, *still[WEAK]], night, blame)
    chosen = [*due, *still[LEARNED]] if due or force else []
    spoken = untold.spoken(turn.content for turn in recent if turn.teaches)
    known = frozenset(m.id for m in still[LEARNED])
    resting, waiting = known & journal.resting(night), len(new) + len(still[WEAK]) - len(due)
    return Agenda(tuple(chosen), known, resting, len(new), through, spoken, waiting)


def left_over(home: Path, journal: Journal) -> Agenda | None:
    """What an interrupted night was about: it is finished first, and newer turns wait for the next one.

    Nothing where its owner has since forgotten or edited one of its memories: that is not to be learned any more.
    """
    number = journal.open_night()
    path = folder_of(home, number) / AGENDA if number else None
    if path is None or not path.exists():
        return None
    try:
        agenda = load(Agenda, path)
    except EdgesleepError:
        return None  # of an older edgesleep: its turns are read again
    held = {memory.id: memory.told for state in (NEW, WEAK, LEARNED) for memory in journal.memories(state)}
    return agenda if all(held.get(memory.id) == memory.told for memory in agenda.memories) else None


def blamed(home: Path, journal: Journal) -> Counter[str]:
    """For each memory, how many nights with it made something worse since it last was in one that passed."""
    blame = Counter[str]()
    for night in journal.nights()[-REMEMBERED:]:
        if night.regressed or night.status == "promoted":
            path = folder_of(home, night.night) / AGENDA
            ids = [memory.id for memory in load(Agenda, path).memories] if path.exists() else []
            if night.regressed:
                blame.update(ids)
            else:
                for memory in ids:
                    del blame[memory]
    return blame


def _due(memories: list[Memory], night: int, blame: Mapping[str, int]) -> list[Memory]:
    """Those that are not `blamed`, and each other with half the chance for every time that it is.

    The others wait. So half of what a refused night was about is tried in the next, and what does harm wherever it is
    spoils fewer and fewer nights. That one with fewer would have passed is only known when it has been trained, which
    takes a night of its own.
    """
    due = [one for one in memories if Random(f"{night} {one.id}").random() < 0.5 ** blame.get(one.id, 0)]
    return due or sorted(memories, key=lambda memory: blame.get(memory.id, 0))[:1]


def _outdated(memory: Memory, held: Memory | None) -> bool:
    """Whether something else holds: said later, as an old chat may be imported after a new one, or pinned."""
    return held is not None and held.id != memory.id and (held.pinned or memory.at < held.at)


def _standing_for(memory: Memory, held: Memory | None) -> Memory:
    """The memory, knowing the value that it stands in place of; told again, it goes on knowing that."""
    if held is None:
        return memory
    same = held.id == memory.id
    return replace(memory, instead_of=memory.instead_of or held.instead_of if same else held.value)


def _told_again(held: Sequence[Memory], fresh: Sequence[Memory]) -> list[Memory]:
    """Memories that the journal holds, as it will hold them after this night's were added."""
    again = {memory.id: memory for memory in fresh}
    return [
        replace(
            memory,
            turn_ids=tuple(sorted({*memory.turn_ids, *new.turn_ids})),
            at=max(memory.at, new.at),
            instead_of=new.instead_of,
        )
        if (new := again.get(memory.id))
        else memory
        for memory in held
    ]


def waiting(agenda: Agenda) -> str:
    """What to say of memories that are not in this night."""
    return f" {agenda.waiting} wait for a later night, as nights with them were refused." if agenda.waiting else ""
