"""Power cuts: a record of what is on the disk, and every state in which a cut may leave it.

Owns the record of one folder: which names and bytes were synced, and which were not yet, at each call by which a
program changes names or syncs. POSIX promises that what was synced is there: the bytes of a file by a sync of the file,
its names by one of their folders. Of the rest any part may be: each name that was made, moved or removed may have
stayed or not, whatever the order in which they were; bytes may be old, new, cut short or zeros. A rename within one
folder happens as a whole. SQLite's files are taken as they are: it syncs its log in every commit, as `database` asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest

CALLS = ("fsync", "replace", "rename", "link", "unlink", "remove", "mkdir", "rmdir")
SQLITE = "journal.db"
ROOT = 0

Names = dict[int, dict[str, int]]  # of each folder, by the numbers that `Disk` gives to files and folders
Change = dict[tuple[int, str], int | None]  # names that appear, mean another, or go (None), at once
Tree = dict[str, bytes | None]  # paths and bytes; None: a folder


@dataclass(frozen=True)
class Point:
    """The moment before or after a call: what was on the disk for sure, and what may have been."""

    call: str
    names: Names
    pending: tuple[Change, ...]
    synced: dict[int, bytes]
    now: dict[int, bytes]  # of files that were written to since
    sqlite: dict[str, bytes]

    def states(self, random: Random) -> Iterator[Tree]:
        """What a cut at this moment may leave: all of it for few changes that were not synced, some of it for many."""
        for chosen in _subsets(len(self.pending), random):
            names = {folder: {**entries} for folder, entries in self.names.items()}
            for change in (self.pending[index] for index in sorted(chosen)):
                for (folder, name), number in change.items():
                    if number is None:
                        names.setdefault(folder, {}).pop(name, None)
                    else:
                        names.setdefault(folder, {})[name] = number
            for written in (_old, _whole, _torn, _zeros):
                yield dict(self._tree(names, ROOT, "", written))

    def _tree(self, names: Names, folder: int, path: str, written: Callable[..., bytes]) -> Iterator[tuple[str, Any]]:
        for name, number in names.get(folder, {}).items():
            place = f"{path}{name}"
            if number in self.synced or number in self.now:
                old = self.synced.get(number, b"")
                yield place, written(old, self.now[number]) if number in self.now else old
            else:
                yield place, None
                yield from self._tree(names, number, f"{place}/", written)
        if folder == ROOT:
            yield from self.sqlite.items()


def _old(old: bytes, new: bytes) -> bytes:
    return old


def _whole(old: bytes, new: bytes) -> bytes:
    return new


def _torn(old: bytes, new: bytes) -> bytes:
    return new[: len(new) // 2]


def _zeros(old: bytes, new: bytes) -> bytes:
    return bytes(len(new))


def _subsets(count: int, random: Random) -> set[frozenset[int]]:
    if count <= 3:
        return {frozenset(i for i in range(count) if mask >> i & 1) for mask in range(1 << count)}
    every = range(count)
    alone = ({i} for i in every)
    without = ({*every} - {i} for i in every)
    first = ({*range(i)} for i in range(count + 1))
    some = ({i for i in every if random.random() < 0.5} for _ in range(8))
    return {frozenset(chosen) for chosen in chain(alone, without, first, some)}


@dataclass
class Disk:
    """One folder, from now on; what it holds now is on the disk."""

    root: Path
    points: list[Point] = field(default_factory=list)
    _numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    _held: list[int] = field(default_factory=list)  # open files, so that no inode comes again under another number
    _seen: dict[int, tuple[int, int]] = field(default_factory=dict)  # size and time at the last look

    def __post_init__(self) -> None:
        root = self.root.stat()
        self._numbers[root.st_dev, root.st_ino] = ROOT
        self._current = self._look()
        self._names = {folder: {**entries} for folder, entries in self._current.items()}
        self._pending: list[Change] = []
        self._synced, self._now = dict(self._written()), {}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """While it holds, every call of this process that changes names or syncs is a point."""
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._around(name, getattr(os, name)))
            yield
        self._point("the end")
        for descriptor in self._held:
            os.close(descriptor)

    def states(self, seed: int = 0) -> Iterator[tuple[str, Tree]]:
        """Every state once, with the call at which a cut first leaves it. What temporary files hold makes no other."""
        been: set[int] = set()
        for number, point in enumerate(self.points):
            for tree in point.states(Random(f"{seed} {number}")):
                told = {(path, b"" if path.endswith(".tmp") else data) for path, data in tree.items()}
                if (mark := hash(frozenset(told))) not in been:
                    been.add(mark)
                    yield f"{number} {point.call}", tree

    # -- recording -----------------------------------------------------------------------------------------------

    def _around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._note_changes()  # files that were made or written to by opening them
            self._point(f"before {name} {arguments[-1]}")
            done = real(*arguments, **named)
            self._note_changes()
            if name == "fsync":
                self._sync(arguments[0])
            return done

        return call

    def _note_changes(self) -> None:
        """What became of the names since the last look is one change; bytes that were written are not synced."""
        before, self._current = self._current, self._look()
        change: Change = {}
        for folder in before.keys() | self._current.keys():
            old, new = before.get(folder, {}), self._current.get(folder, {})
            names = (name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
            change |= {(folder, name): new.get(name) for name in names}
        if change:
            self._pending.append(change)
        self._now.update(self._written())

    def _sync(self, descriptor: int) -> None:
        stat = os.fstat(descriptor)
        number = self._numbers.get((stat.st_dev, stat.st_ino))
        if number is None:
            return  # a file outside
        if number in self._current:
            self._names[number] = {**self._current[number]}
            kept = ({key: to for key, to in change.items() if key[0] != number} for change in self._pending)
            self._pending = [change for change in kept if change]
        elif number in self._now:
            self._synced[number] = self._now.pop(number)

    def _point(self, call: str) -> None:
        names = {folder: {**entries} for folder, entries in self._names.items()}
        sqlite = {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob(f"{SQLITE}*")
            if not path.name.endswith("-shm")  # which SQLite makes anew
        }
        self.points.append(Point(call, names, tuple(self._pending), {**self._synced}, {**self._now}, sqlite))

    def _look(self) -> Names:
        """All names there are now, but SQLite's."""
        names: Names = {}
        self._paths: dict[int, str] = {}
        todo = [(ROOT, str(self.root))]
        while todo:
            folder, path = todo.pop()
            names[folder] = {}
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name.startswith(SQLITE):
                        continue
                    names[folder][entry.name] = number = self._number(entry.path)
                    if entry.is_dir():
                        todo.append((number, entry.path))
                    else:
                        self._paths[number] = entry.path
        return names

    def _number(self, path: str) -> int:
        stat = Path(path).stat()
        inode = stat.st_dev, stat.st_ino
        if inode not in self._numbers:
            self._numbers[inode] = len(self._numbers) + 1
            self._held.append(os.open(path, os.O_PATH))
        return self._numbers[inode]

    def _written(self) -> Iterator[tuple[int, bytes]]:
        """Files whose bytes are others than at the last look."""
        for number, path in self._paths.items():
            stat = Path(path).stat()
            if self._seen.get(number) != (stat.st_size, stat.st_mtime_ns):
                self._seen[number] = stat.st_size, stat.st_mtime_ns
                yield number, Path(path).read_bytes()


def lay(tree: Tree, folder: Path) -> Path:
    """Make a folder that holds such a state."""
    folder.mkdir(mode=0o700)
    for path, data in sorted(tree.items()):
        place = folder / path
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if data is None:
            place.mkdir(mode=0o700, exist_ok=True)
        else:
            place.write_bytes(data)
    return folder
