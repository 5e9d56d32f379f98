"""The records that pass between stages, and their JSON.

Owns the shape of every artefact in a night's folder. Leaves meaning to the
stages. Records are frozen and hold plain values only, so that a night can be
inspected, resumed and replayed from disk alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgesleep.errors import EdgesleepError
from edgesleep.files import write_atomically

T = TypeVar("T")

ROLES = ("system", "user", "assistant", "tool")
SOURCES = ("user", "assistant", "tool", "web", "import")
STATES = ("new", "learned", "weak", "replaced")  # of a memory


@dataclass(frozen=True)
class Turn:
    """One message of the day. `at` is ISO 8601 in UTC; `sha256` covers role, source and content."""

    id: int
    session: str
    role: str
    source: str
    content: str
    at: str
    sha256: str

    @property
    def teaches(self) -> bool:
        """Only what the user said may become a lesson (DESIGN.md section 5)."""
        return self.role == "user" and self.source == "user"

    @property
    def noted(self) -> bool:
        """What an assistant wrote down for the user, in their voice: it waits for their word, and then it teaches."""
        return self.role == "user" and self.source == "assistant"


@dataclass(frozen=True)
class Question:
    """One wording in which a memory is asked for, and its answers.

    `text` is asked as it stands; `ask` and `wonder` are the same without a frame ("where do I live?", "where I live").
    `short` answers in few words, `full` in a sentence; both in the assistant's mouth ("You live in Porto.").
    """

    text: str
    short: str
    full: str
    ask: str
    wonder: str


@dataclass(frozen=True)
class Memory:
    """One thing worth keeping, said by the user.

    `statement` is in the assistant's mouth ("Your dog is called Miso."), `told` in the user's; `value` is the span an
    answer has to contain. Of two memories with the same `relation` ("my dog|name") only the newer one holds;
    `instead_of` is the value of the older one, where there was one. `held_out` is the `ask` of the one question that no
    night trains on; it is chosen once, so that later nights can measure by it too. One that its owner `pinned` is
    rehearsed as fully as a new one, and holds whatever is said later.
    """

    id: str
    kind: str  # fact, preference, procedure, event, relation, saying or proposal
    relation: str
    statement: str
    told: str
    value: str
    questions: tuple[Question, ...]
    turn_ids: tuple[int, ...]
    at: str
    instead_of: str = ""
    held_out: str = ""
    pinned: bool = False

    @property
    def sha256(self) -> str:
        """Of all that is taught of it: when and how often it was told, and whether it is pinned, is left out."""
        return digest(replace(self, turn_ids=(), at="", pinned=False))


@dataclass(frozen=True)
class Agenda:
    """What a night is about: `memories`, of which `found` are new, and by id some `known` from earlier nights.

    Of those, some are `resting`: known so well that they are hardly rehearsed this time. `through` is the last turn
    that was read for it; `said` are words of which the user spoke, see `untold`. So many more are `waiting`, as nights
    with them were refused.
    """

    memories: tuple[Memory, ...]
    known: frozenset[str] = frozenset()
    resting: frozenset[str] = frozenset()
    found: int = 0
    through: int = 0
    said: frozenset[str] = frozenset()
    waiting: int = 0


@dataclass(frozen=True)
class Proposer:
    """A model that proposes memories: its file and size, and the threads and minutes that it may take."""

    model: str
    billions: float
    threads: int
    minutes: float


@dataclass(frozen=True)
class Message:
    role: str
    content: str


@dataclass(frozen=True)
class View:
    """One way of meeting a memory: a chat whose last answer is learned.

    A view of kind untold is of no memory: it says that something was never told.
    """

    memory_id: str
    kind: str  # question, short, reversal, change or untold
    prompt: tuple[Message, ...]
    answer: str


@dataclass(frozen=True)
class Probe:
    """A held-out wording: asked of the finished file, never trained on. Its answer takes `hops` memories.

    Of none where it was never told, so that only owning up is right: such a probe has no memory and no gold.
    """

    id: str
    memory_id: str
    question: str
    gold: str
    hops: int = 1


@dataclass(frozen=True)
class Row:
    """Token ids of one text; the loss is taken on the prediction of tokens[start:].

    A row without a memory is an anchor (text that the frozen base wrote itself), or tells what was never told.
    `teacher`, where there is one, is the same question with the memory beside it: what the frozen base makes of
    tokens[start:] after this prompt is learned as well.
    """

    memory_id: str
    tokens: tuple[int, ...]
    start: int
    teacher: tuple[int, ...] = ()


@dataclass(frozen=True)
class Dreams:
    """What one night rehearses, and the wordings it is asked afterwards."""

    lessons: tuple[Row, ...]
    probes: tuple[Probe, ...]


@dataclass(frozen=True)
class PassScore:
    """What the merged file knew after so many passes: right shares of a sample of the probes, and drift.

    `abstained` is of what was never told. `drift` is the rise of the mean loss on bundled plain text, in nats a token.
    `missed` holds the ids of the memories that were asked for in vain.
    """

    passes: int
    recall: float
    two_hops: float | None
    abstained: float | None
    drift: float
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepReport:
    """What a training step did. Losses in nats per token; `drift` is KL(base || student) on anchors."""

    step: int
    steps: int
    loss: float
    drift: float
    rate: float
    tokens: int
    seconds: float
    limit: float  # seconds that all steps may take


@dataclass(frozen=True)
class Training:
    """How a training run ended. `stopped` is finished, time or asked; `passes` counts those begun.

    `peak` is the share of the highest rate that was found to suit the model.
    """

    steps: int
    passes: int
    stopped: str
    tokens: int
    seconds: float
    loss: float
    drift: float
    peak: float = 1.0
    history: tuple[StepReport, ...] = ()


@dataclass(frozen=True)
class TensorMove:
    """How far one tensor moved in the merge.

    `codes` weights had `moved` codes changed, and `clamped` wanted one beyond
    the end of the grid; `share` is the projection of the change on the wanted delta,
    <w'-w, D> / <D, D>: 1.0 means that all of it survived.
    """

    name: str
    type: str
    codes: int
    moved: int
    clamped: int
    delta_rms: float
    share: float


@dataclass(frozen=True)
class Merge:
    """The finished candidate file."""

    sha256: str
    bytes: int
    codes: int
    moved: int
    tensors: tuple[TensorMove, ...]


@dataclass(frozen=True)
class Answer:
    """What one model said to one probe."""

    probe_id: str
    text: str
    right: bool


@dataclass(frozen=True)
class Score:
    """One model file on all probe sets. Losses are nats per token over the same text.

    `recall`, `two_hops` and `abstained` are the right shares of the probes of one hop, of two and of none, which is
    None where there are no such.
    `answers` are those to the night's own probes and to the standing ones. `losses` has each token's, to 4 decimals;
    only the base's are kept. `margins`: by how many nats a byte each right choice is before the others. `seconds`: how
    long asking took.
    """

    sha256: str
    recall: float
    answers: tuple[Answer, ...]
    loss_mean: float
    loss_median: float
    tokens: int
    losses: tuple[float, ...] = ()
    two_hops: float | None = None
    abstained: float | None = None
    margins: tuple[float, ...] = ()
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Baseline:
    """What a candidate is measured against: the base, and the parent, of which `seconds` says how long an exam takes.

    `drifts` are the mean and the median of what the parent's loss on plain text is above the base's.
    """

    base: Score
    parent: Score
    drifts: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Finding:
    """What became of one set of questions: right shares of the `asked` before and after.

    `chance`: how likely noise alone is to make as much of a fall, or of a rise for new memories. It `tells` something
    where enough was right before for a loss to be refused.
    """

    name: str
    asked: int
    before: float
    after: float
    chance: float
    tells: bool = True


@dataclass(frozen=True)
class Verdict:
    """The gate's decision about the exact bytes with this hash.

    `outcome` is passed, refused or invalid; `reasons` say why not. The drifts are by how much a token's loss rose
    over the base's: on average, `drift_bound` at most but for the error rate, and for the token in the middle.
    `regressed`: something got worse than is allowed, so that a smaller step may pass. `lasting`: a digest of what every
    night asks alike.
    """

    outcome: str
    sha256: str
    reasons: tuple[str, ...]
    before: Score
    after: Score
    drift_mean: float
    drift_median: float
    findings: tuple[Finding, ...] = ()
    regressed: bool = False
    drift_bound: float = 0.0
    lasting: str = ""


@dataclass(frozen=True)
class Results:
    """What the gate found of a published model: shares of its probes as in `Score`, drifts as in `Verdict`.

    `right` says of the night's own probes by id whether each was answered; `learned` has the ids of the memories of
    which most were. What was answered stays in the night's folder: a manifest quotes nobody.
    """

    recall: float
    two_hops: float | None
    abstained: float | None
    drift_mean: float
    drift_median: float
    right: dict[str, bool]
    learned: tuple[str, ...]


@dataclass(frozen=True)
class Generation:
    """manifest.json of a published model. Generation 0 is the pristine base and has no folder.

    `memory_sha256` has the hash of each memory by id. What older manifests lack is empty.
    """

    number: int
    parent: int
    night: int
    created: str
    base_sha256: str
    model_sha256: str
    delta_sha256: str
    seed: int
    kernel: str
    version: str
    memory_ids: tuple[str, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    adapter_sha256: str = ""
    memory_sha256: dict[str, str] = field(default_factory=dict)
    results: Results | None = None


@dataclass(frozen=True)
class NightReport:
    """The figures of a night: what `run-night --json` prints and the journal keeps. It quotes nothing that was told.

    `status` is promoted, rejected, skipped, interrupted or planned (dry run).
    Recalls are shares of held-out wordings; drifts are nats per token;
    `peak_rss` is bytes. `passes` has a sample's after each pass, and all after the last.
    `share` of the night's step is served: 1, less where only a smaller one passed, or 0. `regressed`: it was refused as
    something got worse.
    """

    night: int
    status: str
    reason: str
    generation: int
    model: str
    memories_found: int = 0
    memories_trained: int = 0
    recall_before: float | None = None
    recall_after: float | None = None
    passes: tuple[PassScore, ...] = ()
    drift_mean: float | None = None
    drift_median: float | None = None
    tokens: int = 0
    tokens_per_second: float = 0.0
    seconds: float = 0.0
    peak_rss: int = 0
    codes_moved: int = 0
    share: float = 0.0
    regressed: bool = False


def encode(record: Any) -> bytes:
    """A record as indented JSON with a line end."""
    return msgspec.json.format(msgspec.json.encode(record)) + b"\n"


def dump(record: Any, path: Path) -> Path:
    """Write a record as JSON so that the file is either whole or absent."""
    return write_atomically(path, encode(record))


def load(kind: type[T], path: Path) -> T:
    """Read what `dump` wrote. Raises EdgesleepError naming the file and the field."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise EdgesleepError(
            f"{path.name} cannot be read: {error}.",
            f"Delete {path} so that it is made again, or restore it from a backup.",
        ) from error


def now(to: str = "seconds") -> str:
    """The time, ISO 8601 in UTC, to the second, or as exactly as `isoformat` is asked."""
    return datetime.now(timezone.utc).isoformat(timespec=to)


def plain(record: Any) -> Any:
    """The record as dicts, lists and scalars."""
    return msgspec.to_builtins(record)


def digest(value: Any) -> str:
    """SHA-256 (hex) of a record's canonical JSON."""
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            sha.update(chunk)
    return sha.hexdigest()


def merged(defaults: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`defaults` with `changes` laid over them, section by section."""
    result = dict(defaults)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result
