"""What the nights keep of 30 days of real chat, to be read: one JSON line for each memory, with the turns it is from.

    python bench/audit.py [--data DIR] [--days audited unread]

Owns the choice of days and the lines. Leaves gathering to finds.py. Whether a memory is worth keeping, and true, has to
be judged by a person; `unread` are as many further days,
to be counted after rules were mended by the others. Every person
has a journal of their own, and a night after each day. Nothing of the data is copied here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from exams import Exam, Json, Said, jsonl, locomo, memorybank
from finds import gathered

START = datetime(2026, 1, 5, 9, tzinfo=timezone.utc)  # of chats that have no dates


@dataclass(frozen=True)
class Choice:
    """Days of each source: (person, first day, days) of MemoryBank and LoCoMo, numbers of records of the others."""

    memorybank: Sequence[tuple[str, int, int]]
    locomo: Sequence[tuple[str, int, int]]
    sessions: Sequence[int]  # instances of LongMemEval with whole sessions, two days each
    evidence: Sequence[int]  # records of LongMemEval with evidence turns only, a day for each session
    persona: Sequence[int]  # a chat of Synthetic-Persona-Chat is a day
    preferences: Sequence[int]  # and one of PrefEval


DAYS = {
    "audited": Choice(
        memorybank=[("lucy", 0, 4), ("roland", 0, 4), ("jason", 0, 4)],
        locomo=[("conv-26", 0, 3), ("conv-42", 0, 3)],
        sessions=[0, 1],
        evidence=[0],
        persona=[0, 1, 2],
        preferences=[0, 18, 36],
    ),
    "unread": Choice(
        memorybank=[("susan", 0, 4), ("luna", 0, 4), ("john zhang", 0, 4)],
        locomo=[("conv-44", 0, 3), ("conv-49", 0, 3)],
        sessions=[],
        evidence=[1, 2, 3],
        persona=[100, 101, 102],
        preferences=[90, 108, 126],
    ),
}


def people(data: Path, choice: Choice) -> list[Exam]:
    """Everyone of a choice with their days, without questions."""
    known = {exam.name: exam for exam in (*memorybank(data), *locomo(data))}
    parts = [(f"memorybank-{name}", *days) for name, *days in choice.memorybank]
    parts += [(f"locomo-{name}", *days) for name, *days in choice.locomo]
    found = [replace(known[name], days=known[name].days[first : first + count]) for name, first, count in parts]
    whole = json.loads((data / "longmemeval" / "full_sessions_sample.json").read_text("utf-8"))
    found += [_chat(whole[n]["question_id"], whole[n]["haystack_sessions"]) for n in choice.sessions]
    for record in _records(data / "longmemeval" / "evidence.jsonl", choice.evidence):
        last = max(turn["session"] for turn in record["turns"])
        days = [[turn for turn in record["turns"] if turn["session"] == n] for n in range(1, last + 1)]
        found.append(_chat(record["id"], days))
    chats = _records(data / "synthetic_persona_chat" / "chats.jsonl", choice.persona)
    chats += _records(data / "prefeval" / "preferences.jsonl", choice.preferences)
    return found + [_chat(record["id"], [record["turns"]]) for record in chats]


def _records(path: Path, numbers: Sequence[int]) -> list[Json]:
    records = jsonl(path)
    return [records[n] for n in numbers]


def _chat(name: str, days: Sequence[Sequence[Json]]) -> Exam:
    """Days that follow each other, a minute between turns."""
    told = tuple(
        tuple(
            Said(
                f"{name}.{n}.{m}", (START + timedelta(days=n, minutes=m)).isoformat(), turn["role"], turn["role"], text
            )
            for m, turn in enumerate(day)
            if (text := turn["content"].strip())
        )
        for n, day in enumerate(days)
    )
    return Exam(name, told, ())


def lines(exam: Exam) -> list[Json]:
    """Each memory of one person's nights, also of those that a later one replaced."""
    turns = [turn for day in exam.days for turn in day if turn.text.strip()]
    memories, replaced = gathered(exam)
    return [
        {
            "person": exam.name,
            "id": memory.id,
            "kind": memory.kind,
            "statement": memory.statement,
            "value": memory.value,
            "replaced": memory.id in replaced,
            "turns": [turns[n - 1].text for n in memory.turn_ids],
            "questions": [question.text for question in memory.questions],
        }
        for memory in memories
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("EDGESLEEP_DATA"))
    parser.add_argument("--days", nargs="+", choices=list(DAYS), default=["audited"])
    options = parser.parse_args()
    if options.data is None or not options.data.is_dir():
        return print("The development data is not here: name its folder with --data.", file=sys.stderr)
    for exam in (exam for name in options.days for exam in people(options.data, DAYS[name])):
        for line in lines(exam):
            print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
