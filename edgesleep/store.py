"""The generations of the model: which files there are, and which one is current.

Owns HOME/base.json, HOME/generations/NNNN/ and the pointer HOME/current, and
the lock that lets one night run at a time. Leaves making and judging a
candidate to the night. The person's own file (generation 0) is never touched,
and whatever cuts a publish short, `current` names a whole model.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from edgesleep import records
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.records import Generation, Verdict, file_digest

MODEL, DELTA, ADAPTER, MANIFEST = "model.gguf", "delta.safetensors", "adapter.gguf", "manifest.json"


@dataclass(frozen=True)
class Base:
    """base.json: the person's own model file as it was adopted. `spec` is what they called it in the settings."""

    path: str
    sha256: str
    bytes: int
    mtime_ns: int
    spec: str


@dataclass(frozen=True)
class Pointer:
    """The file `current`: the generation that is served, and on a second line the highest that ever was.

    A folder numbered above `highest` is a publish that was cut short.
    """

    current: int = 0
    highest: int = 0


class Store:
    """The generations under one home; made by `Store.open`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._folder = home / "generations"
        self._lock = FileLock(home / "night.lock", timeout=0, mode=0o600)
        self._pid_file = home / "night.pid"

    @classmethod
    def open(cls, home: Path) -> Store:
        """Open or create the store. Raises EdgesleepError where nothing can be written."""
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            (home / "generations").mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise EdgesleepError(
                f"{home} cannot be used: {error.strerror or error}.", "Choose a folder you can write to with --home."
            ) from error
        return cls(home)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the home for one night or one change; may be nested. Raises BusyError when another process holds it.

        The operating system drops the lock with its process, so a killed night leaves none behind.
        """
        try:
            self._lock.acquire()
        except Timeout as error:
            raise BusyError(
                f"Another night or change is under way (process {self._holder()}).",
                "Wait until it has ended, or stop that process.",
            ) from error
        except OSError as error:
            raise EdgesleepError(
                f"{self._lock.lock_file} cannot be locked: {error.strerror or error}.", "Check who owns the folder."
            ) from error
        try:
            # A file of its own: Windows lets nobody else read a locked one.
            self._pid_file.write_text(f"{os.getpid()}\n")
            self._tidy()
            yield
        finally:
            self._lock.release()

    def _holder(self) -> str:
        try:
            return self._pid_file.read_text("ascii").strip()
        except OSError:
            return "unknown"

    # -- the base ------------------------------------------------------------------------------------------------

    def adopt_base(self, path: Path, spec: str) -> Base:
        """Make the GGUF at `path` generation 0; it is only ever read.

        Raises EdgesleepError when it cannot be read, or when this home holds
        generations of another model.
        """
        try:
            path = path.resolve(strict=True)
            stat = path.stat()
            base = Base(str(path), file_digest(path), stat.st_size, stat.st_mtime_ns, spec)
        except OSError as error:
            raise EdgesleepError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.") from error
        with self.lock():
            if self.generations() and (old := self._adopted()).sha256 != base.sha256:
                raise EdgesleepError(
                    f"{self.home} already holds generations of another model ({old.spec}).",
                    "Choose another folder with --home for this one.",
                )
            # Before the first publish: without the pointer, its folder could not be told from a finished one.
            self._point(self._pointer())
            _private(records.dump(base, self.home / "base.json"))
        return base

    def base(self) -> Base:
        """The adopted base. Raises EdgesleepError when there is none, or its file is gone or was changed."""
        base = self._adopted()
        path = Path(base.path)
        try:
            stat = path.stat()
            same = stat.st_size == base.bytes and (
                stat.st_mtime_ns == base.mtime_ns or file_digest(path) == base.sha256
            )
        except OSError as error:
            raise EdgesleepError(
                f"The base model {path} cannot be read: {error.strerror or error}.",
                "Put it back, or run `edgesleep init` with its new path.",
            ) from error
        if not same:
            raise EdgesleepError(
                f"The base model {path} is no longer the file that was adopted.",
                "Every generation is built on those very bytes: put it back, or start over in another --home.",
            )
        return base

    def _adopted(self) -> Base:
        path = self.home / "base.json"
        if not path.exists():
            raise EdgesleepError(f"No model has been chosen for {self.home}.", "Run `edgesleep init` first.")
        return records.load(Base, path)

    # -- reading -------------------------------------------------------------------------------------------------

    def current(self) -> int:
        """Number of the generation that is served; 0 is the base."""
        return self._pointer().current

    def next_number(self) -> int:
        """The number of the next generation: no number is ever used twice."""
        return self._pointer().highest + 1

    def generations(self) -> list[Generation]:
        """Manifests of all published generations, oldest first; the base has none."""
        highest = self._pointer().highest
        return [self.generation(number) for number in self._numbers() if number <= highest]

    def generation(self, number: int) -> Generation:
        """Manifest of one generation. Raises EdgesleepError when there is no such generation."""
        if number not in self._numbers() or number > self._pointer().highest:
            raise EdgesleepError(f"There is no generation {number}.", "`edgesleep generations` lists them.")
        return records.load(Generation, self._at(number) / MANIFEST)

    def model_path(self, number: int | None = None) -> Path:
        """The GGUF of a generation, by default the current one. Raises EdgesleepError when it is gone."""
        number = self.current() if number is None else number
        if number == 0:
            return Path(self.base().path)
        self.generation(number)
        path = self._at(number) / MODEL
        if not path.exists():
            raise EdgesleepError(
                f"The model file of generation {number} is no longer kept.",
                "`edgesleep generations` lists those that are; `edgesleep rollback 0` returns to the base.",
            )
        return path

    def delta_path(self, number: int | None = None) -> Path | None:
        """The cumulative delta of a generation, by default the current one; None for the base."""
        number = self.current() if number is None else number
        return self._at(number) / DELTA if number else None

    # -- changing ------------------------------------------------------------------------------------------------

    def publish(self, candidate: Path, delta: Path, adapter: Path, manifest: Generation, verdict: Verdict) -> Path:
        """Make a judged candidate the current generation; returns the path of its model.

        The three files end up in the generation's folder and are taken from where
        they were. Raises EdgesleepError, and changes nothing, unless the verdict
        passed these very bytes and the manifest continues the current generation.
        """
        with self.lock():
            try:
                path = self._stage({MODEL: candidate, DELTA: delta, ADAPTER: adapter}, manifest, verdict)
                self._point(Pointer(manifest.number, manifest.number))
            except OSError as error:
                raise EdgesleepError(
                    f"Generation {manifest.number} could not be written: {error}.",
                    "Make room on the disk and try again.",
                ) from error
            finally:
                self._tidy()
            # It is published; what cannot be removed now only costs disk space until the next publish.
            with suppress(OSError):
                self._drop_models_except(manifest.number, manifest.parent)
                for source in (candidate, delta, adapter):
                    source.unlink()
        return path

    def _stage(self, sources: dict[str, Path], manifest: Generation, verdict: Verdict) -> Path:
        """Fill the folder, which counts for nothing until the pointer moves; returns the path of its model."""
        staging, folder = self._folder / f".{manifest.number:04d}.tmp", self._at(manifest.number)
        staging.mkdir(mode=0o700)
        for name, source in sources.items():
            _place(source, staging / name)
        self._demand_fit(staging, manifest, verdict)
        _private(records.dump(manifest, staging / MANIFEST))
        records.publish_file(staging, folder)
        return folder / MODEL

    def rollback(self, to: int | None = None) -> int:
        """Serve another generation again, by default the parent of the current one; returns its number.

        Raises EdgesleepError when there is no such generation or its model file is gone or damaged.
        """
        with self.lock():
            pointer = self._pointer()
            if to is None:
                if pointer.current == 0:
                    raise EdgesleepError("The base model is current; there is nothing to go back to.")
                to = self.generation(pointer.current).parent
            path = self.model_path(to)
            if to and file_digest(path) != self.generation(to).model_sha256:
                raise EdgesleepError(
                    f"The model file of generation {to} is damaged.", "`edgesleep rollback 0` returns to the base."
                )
            self._point(replace(pointer, current=to))
        return to

    def _demand_fit(self, staging: Path, manifest: Generation, verdict: Verdict) -> None:
        """Refuse a publish that the gate did not pass for the staged bytes, or that does not follow from this store."""
        if verdict.outcome != "passed":
            reasons = "; ".join(verdict.reasons) or "no reason given"
            raise EdgesleepError(
                f"The gate did not pass this model ({verdict.outcome}: {reasons}).", "It stays unpublished."
            )
        model, pointer = file_digest(staging / MODEL), self._pointer()
        checks = {
            "the verdict is about other bytes": verdict.sha256 == model,
            "the manifest names other model bytes": manifest.model_sha256 == model,
            "the manifest names other delta bytes": manifest.delta_sha256 == file_digest(staging / DELTA),
            "it was built on another base": manifest.base_sha256 == self.base().sha256,
            f"generation {pointer.current} is current, not {manifest.parent}": manifest.parent == pointer.current,
            f"the next number is {pointer.highest + 1}, not {manifest.number}": manifest.number == pointer.highest + 1,
        }
        if wrong := [reason for reason, fits in checks.items() if not fits]:
            raise EdgesleepError(f"This model cannot be published: {'; '.join(wrong)}.", "Run the night again.")

    def _tidy(self) -> None:
        """Remove what a killed publish left. Only under the lock: it may be another process's work in progress."""
        highest = self._pointer().highest
        for folder in [*self._folder.glob(".*.tmp"), *(self._at(n) for n in self._numbers() if n > highest)]:
            shutil.rmtree(folder, ignore_errors=True)
        for file in (*self.home.glob(".current.*.tmp"), *self.home.glob(".base.json.*.tmp")):
            file.unlink()

    def _drop_models_except(self, *kept: int) -> None:
        """Keep disk use bounded; a dropped model can be rebuilt from its delta."""
        for number in self._numbers():
            if number not in kept:
                (self._at(number) / MODEL).unlink(missing_ok=True)

    # -- the pointer ---------------------------------------------------------------------------------------------

    def _pointer(self) -> Pointer:
        path = self.home / "current"
        numbers = self._numbers()
        if not path.exists() and not numbers:
            return Pointer()
        try:
            first, *rest = path.read_text("ascii").split()
            return Pointer(int(first), int(rest[0]) if rest else max(numbers, default=0))
        except (OSError, ValueError) as error:
            raise EdgesleepError(
                f"{path} does not say which generation is current.",
                "Write its number into that file (0 for the base); `generations` beside it holds the rest.",
            ) from error

    def _point(self, pointer: Pointer) -> None:
        text = f"{pointer.current}\n{pointer.highest}\n"
        _private(records.write_atomically(self.home / "current", text.encode("ascii")))

    def _at(self, number: int) -> Path:
        return self._folder / f"{number:04d}"

    def _numbers(self) -> list[int]:
        return sorted(int(folder.name) for folder in self._folder.glob("[0-9]*") if folder.name.isdigit())


def _place(source: Path, target: Path) -> None:
    # A link and not a move: a publish that is cut short can be tried again with the same files.
    try:
        os.link(source, target)
    except FileNotFoundError as error:
        raise EdgesleepError(f"{source} is missing.", "Run the night again.") from error
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
    _private(target)
    with target.open("r+b") as file:
        os.fsync(file.fileno())


def _private(path: Path) -> None:
    path.chmod(0o600)
