"""The generations of the model: which files there are, and which one is current.

Owns HOME/base.json, HOME/generations/NNNN/ and the pointer HOME/current, the
disk space they take, and what is swept away under the lock. Leaves making a
model, for the first time or again, and judging it to the night. The
person's own file (generation 0) is never touched, and whatever cuts a change
short, `current` names a whole model that is built on the base in base.json.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgesleep import files, records
from edgesleep.daemon import control
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.files import make_folder, make_home, place, private, remove, size, sweep, writing
from edgesleep.lock import Lock
from edgesleep.records import Generation, Verdict, file_digest

MODEL, DELTA, ADAPTER, MANIFEST = "model.gguf", "delta.safetensors", "adapter.gguf", "manifest.json"
UNFINISHED = ".unfinished"  # lies in a folder until the pointer has moved to it
PATIENCE = 10.0  # seconds for a night that makes way


@dataclass(frozen=True)
class Base:
    """base.json: the person's own model file as it was adopted. `spec` is what they called it in the settings.

    `earlier` are those that were left for it, and that generations are built on; they have none themselves.
    """

    path: str
    sha256: str
    bytes: int
    mtime_ns: int
    spec: str
    earlier: tuple[Base, ...] = ()


@dataclass(frozen=True)
class Pointer:
    """The file `current`: the generation that is served, and on a second line the highest that ever was.

    A folder numbered above `highest` is a publish that was cut short where it bears UNFINISHED. Any other was there
    before an older `current` was put back: it counts, and is never removed.
    """

    current: int = 0
    highest: int = 0


class Store:
    """The generations under one home; made by `Store.open`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._folder = home / "generations"
        self._lock = Lock(home)

    @classmethod
    def open(cls, home: Path) -> Store:
        """Open or create the store. Raises EdgesleepError where nothing can be written."""
        try:
            make_home(home)
            make_folder(home / "generations")
        except OSError as error:
            raise EdgesleepError(
                f"{home} cannot be used: {error.strerror or error}.", "Choose a folder you can write to with --home."
            ) from error
        return cls(home)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the home for one night or one change; may be nested. Raises BusyError when another process holds it.

        The operating system drops the lock with its process, so a killed night leaves none behind. One that the daemon
        holds still, since its owner is back, makes way, and is gone on with later.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(self._lock.held())
            except BusyError:
                if not control.makes_way(self.home):
                    raise
                self._await(stack)
            self._tidy()
            yield

    def _await(self, stack: ExitStack) -> None:
        """Take the lock as soon as its holder is gone. Raises BusyError where that takes too long."""
        late = time.monotonic() + PATIENCE
        while True:
            try:
                stack.enter_context(self._lock.held())
                return
            except BusyError:
                if time.monotonic() >= late:
                    raise
                time.sleep(0.02)

    # -- the base ------------------------------------------------------------------------------------------------

    def adopt_base(self, path: Path, spec: str, *, leave: bool = False) -> Base:
        """Make the GGUF at `path` generation 0; it is only ever read.

        Raises EdgesleepError when it cannot be read, or when this home holds
        generations of another model, unless those are to be left for it: they
        stay, and can be gone back to.
        """
        try:
            path = path.resolve(strict=True)
            stat = path.stat()
            base = Base(str(path), file_digest(path), stat.st_size, stat.st_mtime_ns, spec)
        except OSError as error:
            raise EdgesleepError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.") from error
        with self.lock():
            pointer = self._pointer()
            if self.generations() and (old := self._adopted()).sha256 != base.sha256:
                if not leave:
                    raise EdgesleepError(
                        f"{self.home} already holds generations of another model ({old.spec}).",
                        "`edgesleep migrate --model` moves it to this one; or choose another folder with --home.",
                    )
                pointer = replace(pointer, current=0)
            # Before the first publish: without the pointer, its folder could not be told from a finished one. And
            # before the base: cut short in between, the old base is served, and not a generation of another.
            self._point(pointer)
            return self._adopt(base)

    def _adopt(self, base: Base) -> Base:
        """Note the base that is current, and with it those that generations are built on."""
        known = {old.sha256: old for old in self.bases()} if (self.home / "base.json").exists() else {}
        needed = {made.base_sha256 for made in self.generations()} - {base.sha256}
        base = replace(base, earlier=tuple(old for sha256, old in known.items() if sha256 in needed))
        private(records.dump(base, self.home / "base.json"))
        return base

    def bases(self) -> tuple[Base, ...]:
        """The adopted base, unchecked, and after it those of older generations. Raises EdgesleepError without one."""
        base = self._adopted()
        return (replace(base, earlier=()), *base.earlier)

    def base(self, sha256: str | None = None) -> Base:
        """The adopted base, or the one with this hash that was adopted before.

        Raises EdgesleepError when there is none, or its file is gone or was changed.
        """
        base = next((base for base in self.bases() if sha256 in (None, base.sha256)), None)
        if base is None:
            raise EdgesleepError(
                "The base model of that generation is not known here any more.",
                "Adopt it again: `edgesleep migrate --model` with its path.",
            )
        path = Path(base.path)
        try:
            stat = path.stat()
            same = stat.st_size == base.bytes and (
                stat.st_mtime_ns == base.mtime_ns or file_digest(path) == base.sha256
            )
        except OSError as error:
            raise EdgesleepError(
                f"The base model {path} cannot be read: {error.strerror or error}.",
                f"Put it back, or run `edgesleep {'migrate' if sha256 else 'init'} --model` with its new path.",
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

    def numbers(self) -> list[int]:
        """Of each generation that has a folder, in order; one from `next_number` on is a publish that was cut short."""
        return sorted(int(folder.name) for folder in self._folder.glob("[0-9]*") if folder.name.isdigit())

    def ahead(self) -> list[int]:
        """Of those that are higher than `current` says any was: an older one was put back."""
        written = self._written().highest
        return [number for number in self._finished() if number > written]

    def generations(self) -> list[Generation]:
        """Manifests of all published generations, oldest first; the base has none."""
        highest = self._pointer().highest
        return [self.generation(number) for number in self.numbers() if number <= highest]

    def generation(self, number: int) -> Generation:
        """Manifest of one generation. Raises EdgesleepError when there is no such generation."""
        if number not in self.numbers() or number > self._pointer().highest:
            raise EdgesleepError(f"There is no generation {number}.", "`edgesleep generations` lists them.")
        return records.load(Generation, self.folder(number) / MANIFEST)

    def model_path(self, number: int | None = None) -> Path:
        """The GGUF of a generation, by default the current one. Raises EdgesleepError when it is gone."""
        number = self.current() if number is None else number
        if number == 0:
            return Path(self.base().path)
        self.generation(number)
        path = self.folder(number) / MODEL
        if not path.exists():
            raise EdgesleepError(
                f"The model file of generation {number} is no longer kept.",
                f"`edgesleep path {number}` makes it again; `edgesleep rollback 0` returns to the base.",
            )
        return path

    def delta_path(self, number: int | None = None) -> Path | None:
        """The cumulative delta of a generation, by default the current one; None for the base.

        Raises EdgesleepError when it was given up to keep the disk budget.
        """
        number = self.current() if number is None else number
        return self.delta(number) if number else None

    def delta(self, number: int) -> Path:
        """`delta_path` of a generation that is not the base."""
        path = self.folder(number) / DELTA
        if not path.exists():
            raise EdgesleepError(
                f"Of generation {number} only the manifest is kept; it cannot be made again.",
                "`edgesleep generations` lists those that can; store.disk says how much room they may take.",
            )
        return path

    def folder(self, number: int) -> Path:
        """Where MODEL, ADAPTER, DELTA and MANIFEST of a generation lie, those of them that are kept."""
        return self._folder / f"{number:04d}"

    # -- changing ------------------------------------------------------------------------------------------------

    def publish(
        self, candidate: Path, delta: Path, adapter: Path, manifest: Generation, verdict: Verdict, disk: int = 0
    ) -> Path:
        """Make a judged candidate the current generation; returns the path of its model.

        The three files end up in the generation's folder and are taken from where
        they were; afterwards all generations take at most `disk` bytes (0: any
        amount). Raises EdgesleepError, and changes nothing, unless the verdict
        passed these very bytes, the manifest continues the current generation,
        and there is room for it.
        """
        with self.lock():
            try:
                with writing(f"Generation {manifest.number} could not be written"):
                    path = self._stage({MODEL: candidate, DELTA: delta, ADAPTER: adapter}, manifest, verdict, disk)
                    self._point(Pointer(manifest.number, manifest.number))
            finally:
                self._tidy()
            # It is published; what cannot be removed now only costs disk space until the next publish.
            with suppress(OSError):
                self._keep_budget(disk, manifest.number, manifest.parent)
                for source in (candidate, delta, adapter):
                    source.unlink()
        return path

    def _stage(self, sources: dict[str, Path], manifest: Generation, verdict: Verdict, disk: int) -> Path:
        """Fill the folder, which counts for nothing until the pointer moves; returns the path of its model."""
        staging, folder = self._folder / f".{manifest.number:04d}.tmp", self.folder(manifest.number)
        staging.mkdir(mode=0o700)
        for name, source in sources.items():
            place(source, staging / name)
        self.demand_budget(size(staging), manifest.parent, disk)
        self._demand_fit(staging, manifest, verdict)
        private(records.dump(manifest, staging / MANIFEST))
        files.write_atomically(staging / UNFINISHED, b"")
        files.publish_file(staging, folder)
        return folder / MODEL

    def demand_budget(self, wanted: int, parent: int, disk: int) -> None:
        """Raises EdgesleepError when `wanted` bytes and the parent's delta are beyond `disk` bytes (0: any amount)."""
        previous = self.folder(parent) / DELTA
        wanted += previous.stat().st_size if previous.exists() else 0
        if 0 < disk < wanted:
            raise EdgesleepError(
                f"A generation takes {wanted / 1e9:,.3f} GB beside the one before it, and store.disk allows "
                f"{disk / 1e9:,.3f}.",
                "Allow more in config.toml; 0 sets no limit.",
            )

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
            if to and file_digest(path) != (made := self.generation(to)).model_sha256:
                raise EdgesleepError(
                    f"The model file of generation {to} is damaged.", f"`edgesleep path {to}` makes it again."
                )
            if to and made.base_sha256 != self._adopted().sha256:
                base = self.base(made.base_sha256)
                # First to the base that is left, so that pointer and base fit whenever this is cut short.
                self._point(replace(pointer, current=0))
                self._adopt(base)
            self._point(replace(pointer, current=to))
        return to

    def restore(self, number: int, make: Callable[[Path], object]) -> Path:
        """The model of a generation, to the byte as it was judged; where it is not kept, or damaged, it is made again.

        `make` has to write MODEL and ADAPTER into the folder that it is given. Raises
        EdgesleepError, and changes nothing, when they come out otherwise, the delta
        is gone or damaged, or the disk is full. An adapter that is gone or damaged is
        made again as well; where it cannot be, that holds up no model that is whole.
        """
        if number == 0:
            return self.model_path(0)
        made, folder = self.generation(number), self.folder(number)
        whole = _fits(folder / MODEL, made.model_sha256)
        if not whole or (made.adapter_sha256 and not _fits(folder / ADAPTER, made.adapter_sha256)):
            with (
                suppress(EdgesleepError) if whole else nullcontext(),
                self._made_again(made, make) as staging,
                writing(f"Generation {number} could not be made again"),
            ):
                if made.adapter_sha256 in ("", file_digest(staging / ADAPTER)):
                    files.publish_file(staging / ADAPTER, folder / ADAPTER)
                files.publish_file(staging / MODEL, folder / MODEL)
        return folder / MODEL

    @contextmanager
    def lend(self, number: int, make: Callable[[Path], object]) -> Iterator[Path]:
        """What `restore` gives, for as long as the block lasts: what has to be made again goes again.

        It never lies where others look for it, and under the lock, so that nobody tidies it away.
        """
        if number == 0 or (self.folder(number) / MODEL).exists():
            yield self.restore(number, make)
        else:
            with self._made_again(self.generation(number), make) as staging:
                yield staging / MODEL

    @contextmanager
    def _made_again(self, made: Generation, make: Callable[[Path], object]) -> Iterator[Path]:
        """A folder with MODEL and ADAPTER, the former to the byte as it was judged, for as long as the block lasts."""
        delta, staging = self.delta(made.number), self._folder / f".{made.number:04d}.tmp"
        with self.lock():
            if file_digest(delta) != made.delta_sha256:
                raise EdgesleepError(
                    f"The delta of generation {made.number} is damaged, and its model cannot be made again.",
                    "Put it back from a backup, or choose another of `edgesleep generations`.",
                )
            try:
                with writing(f"Generation {made.number} could not be made again"):
                    staging.mkdir(mode=0o700)
                    make(staging)
                    same = file_digest(staging / MODEL) == made.model_sha256
                if not same:
                    raise EdgesleepError(
                        f"Generation {made.number} was made again, but is not the file that was tested then.",
                        f"It was made by edgesleep {made.version} with the kernel {made.kernel}; try it with those.",
                    )
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def left(self) -> list[int]:
        """Numbers of the generations that are built on another base than the current one."""
        base = self._adopted().sha256
        return [made.number for made in self.generations() if made.base_sha256 != base]

    def remove_left(self) -> list[int]:
        """Remove those for good; returns their numbers."""
        with self.lock():
            gone = self.left()
            self.remove(gone)
            self._adopt(self.bases()[0])
        return gone

    def remove(self, gone: Collection[int]) -> None:
        """Remove generations for good, those of them that are there. Raises EdgesleepError where one is served."""
        with self.lock():
            if (pointer := self._pointer()).current in gone:
                raise EdgesleepError(
                    f"Generation {pointer.current} is served.", "`edgesleep rollback` leaves it first."
                )
            self._point(pointer)  # no number is used twice, also where the file named none of those that go
            for number in {*self.numbers()} & {*gone}:
                # Renamed first, so that no half of a generation is ever found.
                remove(self.folder(number).replace(self._folder / f".{number:04d}.tmp"))

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
        sweep(self._folder)
        for number in {*self.numbers()} - {*self._finished()}:
            with suppress(OSError):
                if number > highest:
                    # Renamed first: the mark may go before the rest does.
                    shutil.rmtree(self.folder(number).replace(self._folder / f".{number:04d}.tmp"))
                else:
                    (self.folder(number) / UNFINISHED).unlink()
        sweep(self.home)

    def _keep_budget(self, disk: int, current: int, previous: int) -> None:
        """Give up what can be made again: older models always, the previous one beyond the budget of `disk` bytes.

        Only then deltas go, for good, the oldest first. Manifests stay: they say what was taught.
        """
        older = [number for number in self.numbers() if number not in (current, previous)]
        for number in older:
            self._drop(number)
        dispensable = [self.folder(previous) / name for name in (MODEL, ADAPTER)] if previous else []
        for path in [*dispensable, *(self.folder(number) / DELTA for number in older)]:
            if disk and size(self._folder) > disk:
                path.unlink(missing_ok=True)

    def _drop(self, number: int) -> None:
        """Keep only the delta and the manifest; without a delta there would be no way back."""
        if (self.folder(number) / DELTA).exists():
            for name in (MODEL, ADAPTER):
                (self.folder(number) / name).unlink(missing_ok=True)

    # -- the pointer ---------------------------------------------------------------------------------------------

    def _finished(self) -> list[int]:
        return [number for number in self.numbers() if not (self.folder(number) / UNFINISHED).exists()]

    def _pointer(self) -> Pointer:
        """As it is written, but no generation that is there is above its highest."""
        written = self._written()
        return replace(written, highest=max([written.highest, *self._finished()]))

    def _written(self) -> Pointer:
        path = self.home / "current"
        if not path.exists() and not self.numbers():
            return Pointer()
        try:
            first, *rest = path.read_text("ascii").split()
            return Pointer(int(first), int(rest[0]) if rest else max(self._finished(), default=0))
        except (OSError, ValueError) as error:
            raise EdgesleepError(
                f"{path} does not say which generation is current.",
                "Write its number into that file (0 for the base); `generations` beside it holds the rest.",
            ) from error

    def _point(self, pointer: Pointer) -> None:
        text = f"{pointer.current}\n{pointer.highest}\n"
        private(files.write_atomically(self.home / "current", text.encode("ascii")))


def _fits(path: Path, sha256: str) -> bool:
    return path.exists() and file_digest(path) == sha256
