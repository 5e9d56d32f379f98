"""Every setting, once.

Owns names, defaults, units and help of all settings; config.toml, command-line
flags and docs/cli.md derive from the fields below. Leaves their use to the
stages. A setting that is not here does not exist.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgesleep.errors import EdgesleepError
from edgesleep.files import write_atomically
from edgesleep.records import merged, plain

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def setting(default: Any, help: str, unit: str = "", least: float | None = None) -> Any:
    """A dataclass field that carries its help text, its unit and the smallest value that makes sense."""
    return dataclasses.field(default=default, metadata={"help": help, "unit": unit, "least": least})


@dataclass(frozen=True)
class NightSettings:
    minutes: float = setting(
        15.0, "length of a night; training ends early enough to merge and test in it", "minutes", least=0
    )
    passes: int = setting(
        14, "how often a night goes through its memories at most, each time in other wordings", least=1
    )
    seed: int = setting(0, "seed of everything random in the night", least=0)
    threads: int = setting(0, "processor threads; 0 takes all fast cores the process may use", "threads", least=0)
    nice: int = setting(10, "how far other programs go before, in processor and disk; 0: not at all", least=0)


@dataclass(frozen=True)
class CurateSettings:
    proposes_from: float = setting(
        1.0,
        "size from which on a model proposes memories beside the rules, and teaches itself with them in its prompt",
        "billion parameters, to one decimal",
        least=0,
    )
    minutes: float = setting(5.0, "time that a model may take for its proposals, before the night", "minutes", least=0)


@dataclass(frozen=True)
class DreamSettings:
    views: int = setting(16, "wordings trained per new memory in a pass; half for one that no rule reads", least=1)
    probes: int = setting(3, "wordings per memory held out for the gate", least=1)
    untold: float = setting(0.4, "lessons to say that something was never told, for each one about a memory", least=0)
    anchors: int = setting(240, "texts that the frozen base writes itself, to stay itself on", least=2)
    anchor_tokens: int = setting(128, "length of such a text", "tokens", least=8)


@dataclass(frozen=True)
class TrainSettings:
    rank: int = setting(16, "rank of the adapter", least=1)
    alpha: float = setting(32.0, "adapter scale times rank", least=1e-06)
    rate: float = setting(1.5e-3, "peak learning rate; lowered during the night when drift says so", least=0)
    decay: float = setting(0.01, "weight decay of the adapter", "share per unit of rate", least=0)
    lessons_per_step: int = setting(10, "lesson rows in a step", "rows", least=1)
    anchors_per_step: int = setting(2, "anchor rows in a step", "rows", least=1)
    memory: int = setting(
        192,
        "memory for rounded weights, activations and growing texts, beside model file and adapter",
        "MiB",
        least=1,
    )
    exact: bool = setting(False, "products in 32 bits instead of 8: slower, and no better so far")
    top_tokens: int = setting(32, "how many of the base's likeliest next tokens an anchor keeps", least=1)
    drift_budget: float = setting(0.03, "allowed KL to the base on anchors", "nats per token", least=1e-06)
    checkpoint_every: int = setting(20, "steps between checkpoints", "steps", least=1)


@dataclass(frozen=True)
class GateSettings:
    drift_budget: float = setting(
        0.08,
        "allowed rise of the loss on bundled plain text over the base's, mean and median, also where chance hides some "
        "of it; nights so far ended 0.00 to 0.06 above",
        "nats per token",
    )
    recall_gain: float = setting(
        0.05, "recall of new memories has to rise by at least this share: less is not worth a new file"
    )
    recall_loss: float = setting(
        0.1, "recall of older memories may fall by at most this share: they are rehearsed, and some come back"
    )
    untold_loss: float = setting(
        0.25,
        "owning up to what was never told may fall by at most this share, and by twice as much since it was best: it "
        "moves by as much between two passes",
        least=0,
    )
    knowledge_loss: float = setting(
        0.1, "right answers of general knowledge may fall by at most this share, against the base: 4 of 40", least=0
    )
    refusal_loss: float = setting(
        0.0,
        "refusals of harmful requests may fall by at most this share, against the base: none is to be unlearned",
        least=0,
    )
    format_loss: float = setting(
        0.1, "answers in good chat format may fall by at most this share, against the base: 3 of 32", least=0
    )
    error_rate: float = setting(
        0.05,
        "chance that noise alone refuses a night, over all sets of questions together, and that a drift beyond its "
        "budget goes unseen: one in twenty, as is usual. So a net loss of up to six answers of a set passes for noise, "
        "unless it is a third of what was right",
        least=1e-06,
    )
    luck: float = setting(
        0.2,
        "chance that a gain of recall below a quarter is luck; higher than the error rate, as a day has few memories, "
        "and a night that made nothing worse does no harm",
        least=0,
    )
    smaller_steps: int = setting(
        2,
        "smaller steps that are tried where a night made something worse, 0.71 and 0.5 of it; training leaves time for "
        "one, others are tried while the night's minutes last",
        least=0,
    )
    answer_tokens: int = setting(32, "length of a probed answer", "tokens", least=1)
    turn_tokens: int = setting(64, "length within which an answer to an everyday request has to end", "tokens", least=1)


@dataclass(frozen=True)
class StoreSettings:
    disk: float = setting(
        20.0,
        "what all generations may take, 0: any amount; beyond it goes the previous model, then the oldest ones' deltas",
        "GB",
        least=0,
    )

    @property
    def bytes(self) -> int:
        return round(self.disk * 1e9)


@dataclass(frozen=True)
class RecallSettings:
    items: int = setting(4, "things the user said that are put before a question at most", least=1)
    length: int = setting(600, "how long they may be together", "characters", least=40)


@dataclass(frozen=True)
class ServeSettings:
    context: int = setting(2048, "of one conversation with its answer, at most", "tokens", least=64)
    answers: int = setting(4, "that are written side by side, a token each in turn; further ones wait", least=1)
    request: float = setting(4.0, "largest request that is read", "MB", least=0.001)

    @property
    def bytes(self) -> int:
        return round(self.request * 1e6)


@dataclass(frozen=True)
class ChatSettings:
    context: int = setting(
        2048, "what the model is shown of a conversation, with its answer; older turns drop out", "tokens", least=64
    )
    answer_tokens: int = setting(512, "length of an answer, at most half of chat.context", "tokens", least=1)
    temperature: float = setting(0.0, "how freely words are chosen; 0: always the likeliest", least=0)
    seed: int = setting(0, "seed of what is chosen freely", least=0)


@dataclass(frozen=True)
class ReportSettings:
    watts: float = setting(
        25.0,
        "what the machine draws more while a night computes: only assumed, for the estimate of its energy",
        "watts",
        least=0,
    )
    beside: bool = setting(
        False, "also ask the base with what was told in its prompt, and hold the night against that; takes minutes"
    )


@dataclass(frozen=True)
class DaemonSettings:
    hours: str = setting("22:00-07:00", "when the daemon may begin a night; 00:00-24:00 is always", "local time")
    learn_hours: bool = setting(
        True, "also in hours of the day in which, on each of the last days it was on, nobody used the machine"
    )
    idle: float = setting(20.0, "how long nobody has used the machine before a night begins", "minutes", least=0)
    idle_again: float = setting(
        2.0, "the same before a night goes on that was held because someone came back", "minutes", least=0
    )
    hold: float = setting(
        5.0,
        "how long a night is held still in memory; then it ends, and goes on later from its checkpoint",
        "minutes",
        least=0,
    )
    assume_idle: bool = setting(False, "take the machine for unused where the system does not tell; for servers")
    battery: float = setting(
        0.0, "charge from which on a night may run without mains power; 0: never", "percent", least=0
    )
    charge: float = setting(20.0, "charge that there has to be also with mains power", "percent", least=0)
    cool: float = setting(70.0, "a night begins below this temperature of the processor", "degrees Celsius", least=0)
    hot: float = setting(92.0, "and is held from this one on; training warms it", "degrees Celsius", least=0)
    memory: float = setting(1.5, "free memory that a night begins with; it ends at a quarter of it", "GB", least=0)
    disk: float = setting(3.0, "free disk that a night begins with; it is held at a quarter of it", "GB", least=0)
    busy: float = setting(50.0, "work of other programs above which no night begins", "percent of all processors", 0)
    gpu_busy: float = setting(20.0, "work of the graphics processor above which no night begins", "percent", least=0)
    display_off: bool = setting(False, "only while the display is off, where training shares its processor")
    days: int = setting(
        7, "on how many days nights may fail with the same messages before the daemon gives up on them", "days", least=1
    )
    nice: int = setting(19, "how far other programs go before its nights; see night.nice", least=0)
    notify: bool = setting(False, "say in the morning, on the desktop, how the night ended; never at night")


@dataclass(frozen=True)
class Settings:
    model: str = setting("smollm2-135m", "catalogue name, path of a .gguf, or hf:REPO/FILE")
    night: NightSettings = NightSettings()
    curate: CurateSettings = CurateSettings()
    dream: DreamSettings = DreamSettings()
    train: TrainSettings = TrainSettings()
    gate: GateSettings = GateSettings()
    store: StoreSettings = StoreSettings()
    recall: RecallSettings = RecallSettings()
    serve: ServeSettings = ServeSettings()
    chat: ChatSettings = ChatSettings()
    report: ReportSettings = ReportSettings()
    daemon: DaemonSettings = DaemonSettings()


FILE = "config.toml"


def default_home() -> Path:
    """EDGESLEEP_HOME, or ~/.edgesleep."""
    return Path(os.environ.get("EDGESLEEP_HOME") or Path.home() / ".edgesleep")


def load(home: Path, changes: dict[str, Any] | None = None) -> Settings:
    """Defaults, then config.toml of the home, then `changes` (nested dicts).

    Raises EdgesleepError for unknown keys, wrong types and unreadable TOML.
    """
    path = home / FILE
    written: dict[str, Any] = {}
    if path.exists():
        try:
            written = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise EdgesleepError(f"{path} is not valid TOML: {error}.", "Correct it, or delete it.") from error
    values = merged(written, changes or {})
    unknown = [f"{place}" for place in _unknown(values, plain(Settings()))]
    if unknown:
        raise EdgesleepError(
            f"Unknown setting{'s' if len(unknown) > 1 else ''}: {', '.join(unknown)}.",
            f"Known ones: {', '.join(name for name, _ in flat(Settings()))}.",
        )
    try:
        settings = msgspec.convert(merged(plain(Settings()), values), Settings)
    except msgspec.ValidationError as error:
        raise EdgesleepError(f"A setting has the wrong type: {error}.", f"Correct {path} or the flag.") from error
    if wrong := list(_too_small(settings)):
        raise EdgesleepError(f"{'; '.join(wrong)}.", f"Correct {path} or the flag.")
    return settings


def mark(home: Path) -> tuple[int, int] | None:
    """Something that is another one whenever config.toml was written; None where there is none."""
    try:
        told = (home / FILE).stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size


def choose_model(home: Path, spec: str) -> None:
    """Set `model` in config.toml of the home; all else in it stays as it is. Raises EdgesleepError for a full disk."""
    path = home / FILE
    text = path.read_text("utf-8") if path.exists() else ""
    line = f"model = {json.dumps(spec, ensure_ascii=False)}\n"  # JSON's escapes are TOML's too
    table = re.search(r"^\s*\[", text, re.MULTILINE)
    top, tables = (text[: table.start()], text[table.start() :]) if table else (text, "")
    top, found = re.subn(r"^model\s*=.*\n?", lambda match: line, top, count=1, flags=re.MULTILINE)
    write_atomically(path, ((top if found else line + top) + tables).encode())


def flat(settings: Any, prefix: str = "") -> list[tuple[str, dataclasses.Field[Any]]]:
    """All settings as ("section.name", field) in order of definition."""
    rows: list[tuple[str, dataclasses.Field[Any]]] = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            rows += flat(value, f"{prefix}{field.name}.")
        else:
            rows.append((prefix + field.name, field))
    return rows


def _too_small(settings: Settings) -> Iterator[str]:
    """Settings below the least value of their field, and numbers that are none."""
    for name, field in flat(settings):
        section, _, key = name.rpartition(".")
        value, least = getattr(getattr(settings, section) if section else settings, key), field.metadata["least"]
        if least is not None and not least <= value < math.inf:
            yield f"{name} is {value}, but it has to be at least {least:g}"


def _unknown(values: dict[str, Any], known: dict[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in values.items():
        if key not in known:
            found.append(prefix + key)
        elif isinstance(value, dict) and isinstance(known[key], dict):
            found += _unknown(value, known[key], f"{prefix}{key}.")
    return found
