"""What is told on which day, and what is asked about it: one record type, whatever the data came from.

Owns the exam and its readers of the development data: LongMemEval, MemoryBank, LoCoMo, TOFU, and the hand-written days
in bench/days. Leaves marking to scoring.py and asking to arms.py. Of other people's data bench/days holds ids and our
annotations only, never a copy. A question is asked without its evidence, and its answer is in what the user said
(`new`, `correction`, `old`), or nowhere (`abstention`), or only in what others said (`foreign`). The hand-written days
ask each fact in two styles: `plain`, as the person would most naturally type it, and `oblique`, with as few words of
what was said as can be, some by inference. A small model misses most oblique ones with the very turn in its prompt, so
that they say more about its understanding than about its memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from scoring import says

from edgesleep.records import Turn

DAYS = Path(__file__).parent / "days"
KINDS = ("new", "correction", "old", "abstention", "foreign")
TOLD = ("new", "correction", "old")  # what the user said, so that it can be recalled
STYLES = {"plain": "plain", "oblique": "questions"}  # of the hand-written days, and where a fact holds them
AUTHORS = 3  # of TOFU, in a day
LOCOMO_ROOM = 20  # questions of one LoCoMo day at most

Json = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One turn; `at` is ISO 8601 in UTC, `id` is unique in the exam."""

    id: str
    at: str
    role: str
    source: str
    text: str

    @property
    def teaches(self) -> bool:
        return self.role == "user" and self.source == "user"


@dataclass(frozen=True)
class Question:
    """Asked after every night from `day` on, up to `until` (not included), where a later day corrects the fact.

    `accepted` are spans of which any counts. `wrong` are spans that must not come: the old value after a correction,
    or what others said. `evidence` are the user's turns that say the answer; `record`, where it differs, all turns that
    its source counts as evidence. With `choices` the model's likeliest one is looked for, and the first is right.
    """

    id: str
    fact: str
    day: int
    text: str
    kind: str
    accepted: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    record: tuple[str, ...] = ()
    until: int | None = None
    style: str = "plain"

    def holds(self, night: int) -> bool:
        """Whether it can be asked after that night (days and nights count from 0)."""
        return self.day <= night and (self.until is None or night < self.until)


@dataclass(frozen=True)
class Exam:
    """Days of one person (or of people who do not contradict each other), and what is asked about them."""

    name: str
    days: tuple[tuple[Said, ...], ...]
    questions: tuple[Question, ...]

    def first(self, nights: int) -> Exam:
        """The exam cut to so many days; a fact corrected later than that stays as it was."""
        kept = [question for question in self.questions if question.day < nights]
        return replace(self, days=self.days[:nights], questions=tuple(kept))

    def turns(self, night: int) -> list[Said]:
        """All that was said up to that night."""
        return [turn for day in self.days[: night + 1] for turn in day]


def journal_turns(exam: Exam, night: int) -> tuple[list[Turn], dict[int, str]]:
    """The turns as the journal would hold them, and which number each id has there."""
    turns = exam.turns(night)
    rows = [Turn(n, "exam", turn.role, turn.source, turn.text, turn.at, "") for n, turn in enumerate(turns, start=1)]
    return rows, {n: turn.id for n, turn in enumerate(turns, start=1)}


# -- readers -----------------------------------------------------------------------------------------------------------


def hand(folder: Path = DAYS) -> list[Exam]:
    """The three days of one invented woman in bench/days."""
    files = sorted(folder.glob("day?.json"))
    days = [json.loads(file.read_text("utf-8")) for file in files]
    questions = [question for day, record in enumerate(days) for question in _hand_questions(day, record)]
    corrected = {(question.fact, question.day) for question in questions if question.kind == "correction"}
    dated = [replace(question, until=_corrected(question, corrected)) for question in questions]
    told = tuple(tuple(Said(**turn) for turn in day["turns"]) for day in days)
    return [Exam("hand", told, tuple(dated))]


def _corrected(question: Question, corrections: set[tuple[str, int]]) -> int | None:
    """The next day on which the fact is corrected."""
    later = [day for fact, day in corrections if fact == question.fact and day > question.day]
    return min(later, default=None)


def _hand_questions(day: int, record: Json) -> Iterator[Question]:
    for fact in record["facts"]:
        kind = "correction" if "old" in fact else "new"
        for style, held in STYLES.items():
            for n, text in enumerate(fact[held]):
                yield Question(
                    f"{day + 1}-{fact['id']}-{style}-{n}",
                    fact["id"],
                    day,
                    text,
                    kind,
                    accepted=tuple(fact["accepted"]),
                    wrong=tuple(fact.get("old", ())),
                    evidence=tuple(fact["turns"]),
                    style=style,
                )
    for n, text in enumerate(record["never"]):
        yield Question(f"{day + 1}-never-{n}", f"never-{day}-{n}", day, text, "abstention")
    for n, item in enumerate(record["foreign"]):
        yield Question(
            f"{day + 1}-foreign-{n}",
            f"foreign-{day}-{n}",
            day,
            item["question"],
            "foreign",
            wrong=(item["value"],),
            evidence=tuple(item["turns"]),
        )


def longmemeval(data: Path, kind: str) -> list[Exam]:
    """The questions of one type: their evidence turns, a day for each session that told something newer.

    The records are of different people. bench/days/longmemeval.jsonl says which of them contradict each other (they
    come into different exams), which cannot be answered from their evidence, and what the old values were.
    """
    notes = {note["id"]: note for note in jsonl(DAYS / "longmemeval.jsonl")}
    records = [record for record in jsonl(data / "longmemeval" / "evidence.jsonl") if record["type"] == kind]
    name = {"single-session-user": "lme-user", "knowledge-update": "lme-update"}[kind]
    groups: dict[int, list[Json]] = {}
    for record in records:
        groups.setdefault(notes.get(record["id"], {}).get("exam", 0), []).append(record)
    return [_longmemeval_exam(f"{name}-{group}", groups[group], notes) for group in sorted(groups)]


def _longmemeval_exam(name: str, records: Sequence[Json], notes: dict[str, Json]) -> Exam:
    days: list[list[Said]] = [[] for _ in range(max(turn["session"] for record in records for turn in record["turns"]))]
    questions: list[Question] = []
    for record in records:
        note = notes.get(record["id"], {})
        told = []
        for n, turn in enumerate(record["turns"]):
            said = Said(f"{record['id']}.{n}", _slashed(turn["date"]), turn["role"], turn["role"], turn["content"])
            told.append(said)
            days[turn["session"] - 1].append(said)
        last = max(turn["session"] for turn in record["turns"]) - 1
        for qa in record["qa"]:
            if "skip" in note:
                continue
            accepted = tuple(note.get("accepted", qa["a"]))
            question = Question(
                f"{name}-{record['id']}",
                record["id"],
                last,
                qa["q"],
                "abstention" if qa.get("unanswerable") else note.get("kind", "correction" if last else "new"),
                accepted=accepted,
                wrong=tuple(note.get("old", ())),
                evidence=evidence(told, accepted),
                record=tuple(turn.id for turn in told),
            )
            questions.append(question)
    return Exam(name, tuple(map(tuple, days)), tuple(questions))


def memorybank(data: Path) -> list[Exam]:
    """One exam for each user: ten days, and those probing questions that a user's own words answer.

    The source has no answers; bench/days/memorybank.jsonl holds ours, by number of the question.
    """
    notes: dict[str, list[Json]] = {}
    for note in jsonl(DAYS / "memorybank.jsonl"):
        notes.setdefault(note["id"], []).append(note)
    exams = []
    for record in jsonl(data / "memorybank" / "users.jsonl"):
        dates = sorted({turn["date"] for turn in record["turns"]})
        days: list[list[Said]] = [[] for _ in dates]
        for n, turn in enumerate(record["turns"]):
            at = datetime.fromisoformat(turn["date"]).replace(tzinfo=timezone.utc) + timedelta(hours=9, minutes=n)
            said = Said(f"{record['id']}.{n}", at.isoformat(), turn["role"], turn["role"], turn["content"])
            days[dates.index(turn["date"])].append(said)
        questions = [_memorybank_question(record, note, days) for note in notes.get(record["id"], [])]
        exams.append(Exam(record["id"], tuple(map(tuple, days)), tuple(questions)))
    return [exam for exam in exams if exam.questions]


def _memorybank_question(record: Json, note: Json, days: Sequence[Sequence[Said]]) -> Question:
    """Asked from the day on which all of it had been told."""
    accepted = tuple(note["accepted"])
    turn = f"{record['id']}.{note['turn']}"
    day = next(n for n, day in enumerate(days) for said in day if said.id == turn)
    fact = f"{record['id']}-{note['question']}"
    return Question(fact, fact, day, record["questions"][note["question"]], "new", accepted, evidence=(turn,))


def locomo(data: Path) -> list[Exam]:
    """One exam for each conversation; the user's day opens with their name, since the questions use it.

    Only questions of one hop about the speaker in the user's role: what the other one says never teaches.
    """
    conversations: dict[str, list[Json]] = {}
    for record in jsonl(data / "locomo" / "days.jsonl"):
        conversations.setdefault(record["conversation"], []).append(record)
    return [_locomo_exam(name, sorted(days, key=lambda day: day["day"])) for name, days in conversations.items()]


def _locomo_exam(name: str, records: Sequence[Json]) -> Exam:
    days, questions = [], []
    for day, record in enumerate(records):
        user, other = record["speakers"]["user"], record["speakers"]["assistant"]
        start = datetime.strptime(record["date"], "%I:%M %p on %d %B, %Y").replace(tzinfo=timezone.utc)
        opening = [{"role": "user", "content": f"My name is {user}."}] if day == 0 else []
        told = []
        for n, turn in enumerate([*opening, *record["turns"]]):
            at = (start + timedelta(seconds=20 * n)).isoformat()
            told.append(Said(f"{record['id']}.{n}", at, turn["role"], turn["role"], turn["content"]))
        days.append(tuple(told))
        asked = [
            qa for qa in record["qa"] if qa.get("category") == "single-hop" and user in qa["q"] and other not in qa["q"]
        ]
        for n, qa in enumerate(asked[:LOCOMO_ROOM]):
            fact, spans = f"{record['id']}-{n}", tuple(qa["a"])
            questions.append(Question(fact, fact, day, qa["q"], "new", spans, evidence=evidence(told, spans)))
        for n, qa in enumerate(record.get("qa_unanswerable", [])[:LOCOMO_ROOM]):
            fact, wrong = f"{record['id']}-never-{n}", tuple(filter(None, [qa.get("tempting")]))
            questions.append(Question(fact, fact, day, qa["q"], "abstention", wrong=wrong))
    return Exam(f"locomo-{name}", tuple(days), tuple(questions))


def tofu(data: Path) -> list[Exam]:
    """Three made-up authors a day: each question with its answer is told, and the paraphrase is asked.

    Right is who finds the paraphrased answer likelier per token than all five wrong ones.
    """
    records = jsonl(data / "tofu" / "authors.jsonl")
    days, questions = [], []
    for day, first in enumerate(range(0, len(records), AUTHORS)):
        start = datetime(2026, 1, 5, 9, tzinfo=timezone.utc) + timedelta(days=day)
        told: list[Said] = []
        for record in records[first : first + AUTHORS]:
            for n, qa in enumerate(record["qa"]):
                fact = f"{record['id']}.{n}"
                at = (start + timedelta(minutes=len(told))).isoformat()
                told.append(Said(fact, at, "user", "user", f"Please remember this: {qa['q']} {qa['a'][0]}"))
                choices = (qa["paraphrase_a"], *qa["distractors"])
                accepted = (qa["a"][0],)
                questions.append(Question(fact, fact, day, qa["paraphrase_q"], "new", accepted, (), (fact,), choices))
        days.append(tuple(told))
    return [Exam("tofu", tuple(days), tuple(questions))]


SETS: dict[str, Callable[[Path], list[Exam]]] = {
    "hand": lambda data: hand(),
    "lme-user": lambda data: longmemeval(data, "single-session-user"),
    "lme-update": lambda data: longmemeval(data, "knowledge-update"),
    "memorybank": memorybank,
    "locomo": locomo,
    "tofu": tofu,
}


# -- what readers share ------------------------------------------------------------------------------------------------


def evidence(told: Iterable[Said], accepted: Sequence[str]) -> tuple[str, ...]:
    """The user's turns that say an accepted span; empty where the answer has to be put together."""
    return tuple(turn.id for turn in told if turn.teaches and says(turn.text, accepted))


def jsonl(path: Path) -> list[Json]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _slashed(date: str) -> str:
    """LongMemEval's "2023/05/30 (Tue) 17:27" in ISO 8601."""
    return datetime.strptime(date, "%Y/%m/%d (%a) %H:%M").replace(tzinfo=timezone.utc).isoformat()
