"""Agenda: what a night is about.

Owns the choice: what the day's turns add to the memories that the journal holds, what of those no longer holds, and
which are rehearsed, rest or are learned anew. Leaves reading turns to `curate`, keeping to the journal. Must stay true:
what was said later holds, whatever was learned; a kill between two marks only means that the turns are read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

from edgesleep.errors import EdgesleepError
from edgesleep.journal import Journal
from edgesleep.night import untold
from edgesleep.night.artefacts import folder_of
from edgesleep.night.curate import curate, with_proposals
from edgesleep.records import Agenda, Memory, NightReport, Proposer, load

AGENDA = "memories.json"  # its file in the night's folder
NEW, LEARNED, WEAK, REPLACED = "new", "learned", "weak", "replaced"
LOOK_BACK = 5000  # turns of before, out of which a message may be pasted


def gather(journal: Journal, force: bool, *, commit: bool = True, proposer: Proposer | None = None) -> Agenda:
    """Curate the turns since the last night into memories, and choose what to rehearse.

    What was said later replaces what was held on the same topic, learned or not. A `proposer` adds to what rules find.
    """
    since = journal.curated_through()
    recent = journal.turns(after=since - LOOK_BACK)
    turns, earlier = [t for t in recent if t.id > since], [t for t in recent if t.id <= since]
    through = turns[-1].id if turns else since
    edited = journal.edited()  # once: asked for each turn, it is a query for each
    turns = [turn for turn in turns if turn.id not in edited]
    held = {state: journal.memories(state) for state in (NEW, WEAK, LEARNED, REPLACED)}
    latest = {memory.relation: memory for state in (NEW, WEAK, LEARNED) for memory in held[state]}
    day, forgotten = curate(turns, list(latest.values()), earlier), journal.forgotten()
    if proposer:
        day = with_proposals(day, turns, list(latest.values()), earlier, proposer=proposer)
    told = [(memory, latest.get(memory.relation)) for memory in day.memories if memory.id not in forgotten]
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
        journal.remember(fresh, through)
    there = {m.id for memories in held.values() for m in memories}
    new = [*still[NEW], *again, *(m for m in fresh if m.id not in there)]
    due = _fewer([*new, *still[WEAK]], journal.nights())
    chosen = [*due, *still[LEARNED]] if due or force else []
    spoken = untold.spoken(turn.content for turn in recent if turn.teaches)
    known = frozenset(m.id for m in still[LEARNED])
    resting = known & journal.resting(journal.coming_night())
    return Agenda(tuple(chosen), known, resting, min(len(new), len(due)), through, spoken)


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


def _fewer(memories: list[Memory], nights: Sequence[NightReport]) -> list[Memory]:
    """The first half of them after a night that made something worse, a quarter after two such, and so on.

    The others wait. That a night with fewer would have passed is only known when it has been trained, which takes a
    night of its own.
    """
    worse = sum(1 for _ in takewhile(lambda night: night.regressed, reversed(nights)))
    return memories[: max(1, len(memories) >> worse)]


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
