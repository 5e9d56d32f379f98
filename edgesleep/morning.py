"""The morning: what a night's record says, in words and in the groups that a report shows.

Owns the text of a night, and what is worked out from its record alone: what was learned, what was not, what stands in
whose place, recall by age, energy. Leaves the web page to `page`. Must stay true: nothing but the record is looked at,
so that the same night reads the same on any machine and at any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgesleep.account import Account, Lesson, NightRecord

AGES = ((0, "this night"), (1, "1 night ago"), (3, "2 or 3 nights ago"), (7, "4 to 7 ago"), (30, "8 to 30 ago"))
OLDEST = "longer ago"
KINDS = {
    "attn_q": "query", "attn_k": "key", "attn_v": "value", "attn_output": "output",
    "ffn_gate": "gate", "ffn_up": "up", "ffn_down": "down",
}  # of the tensors of a layer, as GGUF names them, and as people do  # fmt: skip


@dataclass(frozen=True)
class Groups:
    """The memories of a night by what became of them; each stands in one group."""

    learned: tuple[Lesson, ...]
    refreshed: tuple[Lesson, ...]
    weak: tuple[Lesson, ...]
    unasked: tuple[Lesson, ...]


@dataclass(frozen=True)
class Share:
    """So many of the `asked` were answered right, before and after."""

    name: str
    asked: int
    before: int
    after: int


@dataclass(frozen=True)
class Layers:
    """The share of the weights moved, 0 to 1: a row for each layer, a column for each kind; None: it has none."""

    kinds: tuple[str, ...]
    rows: tuple[tuple[int, tuple[float | None, ...]], ...]

    @property
    def most(self) -> float:
        return max((share or 0.0 for _, row in self.rows for share in row), default=0.0)


def groups(account: Account) -> Groups:
    """Those that were not known and are answered, known ones that still are, those that are not, and the unasked."""
    learned = tuple(one for one in account.lessons if one.learned and not one.known)
    refreshed = tuple(one for one in account.lessons if one.learned and one.known)
    weak = tuple(one for one in account.lessons if one.asked and not one.learned)
    return Groups(learned, refreshed, weak, tuple(one for one in account.lessons if not one.asked))


def fresh(record: NightRecord) -> tuple[Lesson, ...]:
    """Those that no night had taught before, of those that the served model goes back to."""
    lessons = record.account.lessons if record.account else ()
    return tuple(one for one in lessons if not one.known and one.since == record.night)


def superseded(account: Account) -> tuple[Lesson, ...]:
    """Those that stand in the place of something told earlier and are new tonight."""
    return tuple(one for one in account.lessons if one.instead_of and not one.known)


def by_age(record: NightRecord) -> list[Share]:
    """Recall by how many nights ago a memory was first taught."""
    found: dict[str, list[Lesson]] = {}
    for lesson in record.account.lessons if record.account else ():
        age = record.night - lesson.since
        name = next((name for most, name in AGES if age <= most), OLDEST)
        if lesson.asked:
            found.setdefault(name, []).append(lesson)
    names = [*(name for _, name in AGES), OLDEST]
    return [_share(name, found[name]) for name in names if name in found]


def _share(name: str, lessons: Sequence[Lesson]) -> Share:
    asked, before = sum(one.asked for one in lessons), sum(one.right_before for one in lessons)
    return Share(name, asked, before, sum(one.right_after for one in lessons))


def layers(account: Account) -> Layers:
    """Where the weights moved, in the order of the layers."""
    table: dict[int, dict[str, float]] = {}
    for tensor in account.tensors:
        block, _, rest = tensor.name.removeprefix("blk.").partition(".")
        kind = rest.removesuffix(".weight")
        if block.isdigit() and kind:
            table.setdefault(int(block), {})[kind] = tensor.moved / max(tensor.codes, 1)
    there = {kind for row in table.values() for kind in row}
    kinds = [*(kind for kind in KINDS if kind in there), *sorted(there - KINDS.keys())]
    rows = tuple((layer, tuple(table[layer].get(kind) for kind in kinds)) for layer in sorted(table))
    return Layers(tuple(KINDS.get(kind, kind) for kind in kinds), rows)


def moved(account: Account) -> tuple[int, int]:
    """How many weights were moved, and of how many."""
    return sum(one.moved for one in account.tensors), sum(one.codes for one in account.tensors)


def watt_hours(record: NightRecord) -> float:
    """An estimate: the time of the night, by what the machine is assumed to draw more meanwhile."""
    return record.seconds * record.account.watts / 3600 if record.account else 0.0


def headline(record: NightRecord) -> str:
    """Whether it did anything, and whether it was good, in a sentence or two."""
    if record.account is None:
        return record.reason
    if record.status != "promoted":
        return f"Nothing was changed: the night was refused, and {served(record)} is served as before."
    new = {one.id for one in fresh(record)}
    lessons = [one for one in record.account.lessons if one.asked]
    kinds = {
        "new memories learned": [one for one in lessons if one.id in new],
        "earlier ones learned at last": [one for one in lessons if not one.known and one.id not in new],
        "older ones kept": [one for one in lessons if one.known],
    }
    said = [f"{sum(one.learned for one in ones)} of {len(ones)} {name}" for name, ones in kinds.items() if ones]
    if unasked := len(record.account.lessons) - len(lessons):
        said.append(f"{unasked} not asked")
    return f"{', '.join(said) or 'Nothing was taught'}. Nothing else got worse than is allowed."


def served(record: NightRecord) -> str:
    return f"generation {record.generation}" if record.generation else "the base"


# -- in words --------------------------------------------------------------------------------------------------------


def text(record: NightRecord) -> str:
    """The report of one night, plain text."""
    return "\n".join(_lines(record)) + "\n"


def _lines(record: NightRecord) -> Iterator[str]:
    yield f"Night {record.night}: {record.status}. {record.reason}"
    yield f"Serving generation {record.generation}: {record.model}"
    yield ""
    if record.recall_before is not None and record.recall_after is not None:
        yield f"recall of held-out wordings   {record.recall_before:.2f} -> {record.recall_after:.2f}"
    account = record.account
    bound = f", at most {account.drift_bound:+.3f}" if account and account.drift_bound else ""
    if record.drift_mean is not None and record.drift_median is not None:
        yield f"loss on plain text, mean      {record.drift_mean:+.3f} nats per token against the base{bound}"
        yield f"loss on plain text, median    {record.drift_median:+.3f}"
    if account:
        yield from _findings(record, account)
    yield f"trained                       {record.tokens:,} tokens, {record.tokens_per_second:,.0f} a second"
    yield f"time and peak memory          {record.seconds:,.0f} s, {record.peak_rss / 2**20:,.0f} MiB"
    if account:
        yield f"energy, estimated             {watt_hours(record):.1f} Wh, if it draws {account.watts:g} watts more"
        yield from _told(record, account)


def _findings(record: NightRecord, account: Account) -> Iterator[str]:
    for found in account.findings:
        silent = "" if found.tells else ", which tells nothing: too little was right before for a loss to show"
        yield f"{found.name:29} {found.before:.2f} -> {found.after:.2f} of {found.asked}{silent}"
    for one in account.rivals:
        yield f"{one.name:29} {one.right} of {one.asked} right, prompts of {one.tokens:.0f} tokens"
    if account.rivals_failed:
        yield f"memories in the prompt        not compared: {account.rivals_failed}"
    changed, codes = moved(account)
    yield f"codes moved                   {changed:,} of {codes:,} ({changed / max(codes, 1):.1%}) {moved_by(record)}"


def _told(record: NightRecord, account: Account) -> Iterator[str]:
    found = groups(account)
    for title, lessons in zip(titles(record), (found.learned, found.refreshed, found.weak, found.unasked), strict=True):
        if lessons:
            yield f"\n{title}"
            for lesson in lessons:
                yield from _lesson(lesson)
    if account.waiting:
        yield f"\n{waiting(account)}"
    if undo := undoing(record):
        yield f"\nTo undo this night:       {undo}"
    if account.lessons:
        yield f"To forget a memory:       {forgetting(account.lessons[0])}"


def _lesson(lesson: Lesson) -> Iterator[str]:
    yield f"[{lesson.right_after}/{lesson.asked}] {lesson.statement}  ({lesson.id})"
    yield f"      told:   {lesson.told}  ({source(lesson)})"
    if lesson.instead_of:
        yield f"      in the place of: {lesson.instead_of}"
    if lesson.asked:
        yield f"      asked:  {lesson.question}"
        yield f"      before: {_one_line(lesson.before)}"
        yield f"      after:  {_one_line(lesson.after)}"


def _one_line(answer: str, width: int = 90) -> str:
    flat = " ".join(answer.split())
    return flat if len(flat) <= width else flat[: width - 3] + "..."


# -- said alike on every page ----------------------------------------------------------------------------------------


def source(lesson: Lesson) -> str:
    """The messages that tell it, by the names that `forget` takes, and the day of the last one."""
    messages = ", ".join(f"m{turn}" for turn in lesson.turn_ids)
    return " ".join(filter(None, [messages, f"on {lesson.at[:10]}" if lesson.at else ""])) or "unknown"


def titles(record: NightRecord) -> tuple[str, str, str, str]:
    """Of the four groups, by what they mean in this night."""
    if record.status == "promoted":
        weak = "Not learned yet: tried again in the next night"
        return "Learned", "Known before, and still", weak, "Not asked: tried again in the next night"
    return "The refused file answered", "It still answered what was known before", "It did not answer", "Not asked"


def moved_by(record: NightRecord) -> str:
    """Against what weights have moved, and in which file."""
    nights = "against the base, by all nights so far"
    return nights if record.status == "promoted" else f"in the refused file {nights} and this one"


def waiting(account: Account) -> str:
    many = "1 memory waits" if account.waiting == 1 else f"{account.waiting} memories wait"
    return f"{many} for a later night: nights with them made something worse, and were refused."


def undoing(record: NightRecord) -> str:
    """The command that serves again what was served before the night; empty where it changed nothing."""
    if record.status != "promoted" or not record.account or not record.account.line:
        return ""
    line = record.account.line
    return f"edgesleep rollback {line[1].number if len(line) > 1 else 0}"


def forgetting(lesson: Lesson) -> str:
    """The command that takes a memory out of the journal and out of the weights."""
    return f"edgesleep forget {lesson.id}"
