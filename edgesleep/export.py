"""Export: a generation laid out as other programs want it: Ollama, LM Studio, and llama.cpp's own LoRA files.

Owns which files those are and writing them outside the home. Leaves what Ollama is told to `modelfile`, and having the
model to `night.generations`. Must stay true: what is written is the file that the gate passed, to the byte, for its
owner alone, whole or absent; nothing that is there is replaced unless that is asked for.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from edgesleep.engine import Engine
from edgesleep.errors import EdgesleepError
from edgesleep.files import remove, whole_file, write_atomically
from edgesleep.gguf import Gguf
from edgesleep.modelfile import chat_of, modelfile
from edgesleep.night import generations
from edgesleep.store import ADAPTER, Base, Store

CONTEXT = 2048  # tokens that Ollama keeps a chat in
PUBLISHER = "edgesleep"  # LM Studio shows models by publisher


@dataclass(frozen=True)
class Export:
    """What is written where: one large file, and a `text` beside it that names it, where the program wants one.

    `bytes` are of the large file, or 0 while it is not known. `templated`: the text has the model's chat template.
    """

    kind: str  # ollama, lm-studio or adapter
    generation: int
    large: Path
    bytes: int
    text: Path | None = None
    content: str = ""
    templated: bool = True

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.large, *([self.text] if self.text else []))


def to_ollama(store: Store, number: int, folder: Path) -> Export:
    """A Modelfile and the model beside it. Raises EdgesleepError where there is no such generation."""
    base = base_of(store, number)
    about = f"Generation {number} of {Path(base.spec).name}, by edgesleep"
    if number:
        about += f", {store.generation(number).created}. Private: it tells what it was taught to anyone who asks."
    with Engine(Path(base.path), vocab_only=True) as engine:
        chat = chat_of(engine)
    file, large = Gguf.open(Path(base.path)), folder / "model.gguf"
    context = min(CONTEXT, int(file.get(f"{file.architecture}.context_length", CONTEXT)))
    text = modelfile(about, large.name, chat, context)
    return Export("ollama", number, large, base.bytes, folder / "Modelfile", text, chat is not None)


def to_lm_studio(store: Store, number: int, folder: Path) -> Export:
    """publisher/model/file below LM Studio's folder of models. Raises EdgesleepError where there is no such generation.

    A generation has a name of its own there, so that two can be compared.
    """
    base = base_of(store, number)
    stem = Path(base.path).stem
    return Export("lm-studio", number, folder / PUBLISHER / stem / f"{stem}-generation-{number}.gguf", base.bytes)


def to_adapter(store: Store, number: int, path: Path) -> Export:
    """The LoRA alone, for llama.cpp on the pristine base. Raises EdgesleepError where there is none."""
    if number == 0:
        raise EdgesleepError("The base has no adapter.", "`edgesleep generations` lists what was learned since.")
    store.generation(number)
    kept = store.folder(number) / ADAPTER
    return Export("adapter", number, path, kept.stat().st_size if kept.exists() else 0)


def base_of(store: Store, number: int) -> Base:
    """The base that a generation is built on: its tokens and its template are the same, and so is its size."""
    return store.base(store.generation(number).base_sha256 if number else None)


def demand_room(export: Export, home: Path, *, force: bool) -> None:
    """Raises EdgesleepError where a file is there already, unless forced, or the place is the home's own."""
    for path in export.files:
        if path.resolve().is_relative_to(home.resolve()):
            raise EdgesleepError(f"{path} is in the home, which is edgesleep's own.", "Export to another folder.")
        if path.is_dir():
            raise EdgesleepError(f"{path} is a folder.", "Give another name.")
        if path.exists() and not force:
            raise EdgesleepError(f"{path} is there already.", "Choose another place, or replace it with --force.")


def write(store: Store, export: Export, *, force: bool = False) -> int:
    """Write the files of an export; returns the bytes of the large one.

    A model that is no longer kept is made again first. Raises EdgesleepError, and leaves no half of a file, where
    `demand_room` does, the generation is damaged, or the disk is full.
    """
    demand_room(export, store.home, force=force)
    model, number = generations.model(store, export.generation), export.generation
    if export.kind == "adapter":
        made = store.generation(number)
        size = _copy(store.folder(number) / ADAPTER, export.large, made.adapter_sha256)
    else:
        # Never a text beside a model that it is not about.
        if export.text and export.text.exists():
            remove(export.text)
        size = _copy(model, export.large, store.generation(number).model_sha256 if number else store.base().sha256)
    if export.text:
        write_atomically(export.text, export.content.encode())
    return size


def _copy(source: Path, target: Path, sha256: str) -> int:
    """Copy a file whose hash is known ("" for an adapter of an older edgesleep); returns its bytes."""
    if not source.exists():
        raise EdgesleepError(f"{source} is no longer kept.", "`edgesleep path` with its number makes it again.")
    sha, size = hashlib.sha256(), 0
    with whole_file(target) as file, source.open("rb") as old:
        while chunk := old.read(1 << 20):
            sha.update(chunk)
            size += file.write(chunk)
        if sha256 not in ("", sha.hexdigest()):
            raise EdgesleepError(f"{source} is damaged.", "`edgesleep verify` says what else is.")
    return size
