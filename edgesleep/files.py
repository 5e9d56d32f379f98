"""Files: the one layer through which everything that has to last is written.

Owns writing that is whole or absent, folders, linking, copying and removing large files, and what a person is told
when the disk fails. Leaves what is written to its callers, and the journal's file to SQLite. Must stay true: a name
appears only when its bytes are on the disk, and is itself on the disk when a call returns; what was removed does not
come back after a power cut; all of it is for its owner alone, whatever the umask.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from edgesleep.errors import EdgesleepError

LEFT = ".*.tmp"  # what a write, or a removal, leaves that was cut short; in a home others may have names like it
_OURS = re.compile(r"\.(?:.+\.\d+|\d{4,})\.tmp")
_HOME = ("base.json", "journal.db")  # what makes a folder a home


# -- whole or absent -------------------------------------------------------------------------------------------------


def write_atomically(path: Path, data: bytes) -> Path:
    """Write a file so that it is either whole or absent, whatever happens."""
    with whole_file(path) as file:
        file.write(data)
    return path


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A temporary file beside `path`, open for writing: synced and renamed when the block ends well, else removed.

    Raises EdgesleepError when the disk is full or the place cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        make_folder(path.parent)
        with open(temporary, "wb", opener=_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish_file(temporary, path)
    except OSError as error:
        raise EdgesleepError(
            f"{path} cannot be written: {error.strerror}.", f"Free space in {path.parent}, or check its permissions."
        ) from error
    finally:
        # Where even that fails, the next one who holds the lock sweeps it away; what failed first is what is told.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    """Nearly all that is written tells of someone's life: only its owner may read it."""
    return os.open(path, flags, 0o600)


def publish_file(temporary: Path, path: Path) -> None:
    """Rename a finished, synced file into place and make the rename itself durable."""
    temporary.replace(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file or a folder, where it is there, for good: after a power cut it is not there again.

    Where a folder is a link to one elsewhere, that goes as well.
    """
    with writing(f"{path} cannot be removed"):
        places = {path.parent, path.resolve().parent} if path.is_symlink() or path.exists() else set()
        if path.is_dir():
            shutil.rmtree(path.resolve())
        path.unlink(missing_ok=True)
        for place in places:
            sync_folder(place)


def sweep(folder: Path) -> None:
    """Remove what killed writes left in a folder. Only where no other process writes: under the lock."""
    for path in leftovers(folder):
        with suppress(OSError, EdgesleepError):
            if not path.is_symlink():
                remove(path)


def leftovers(folder: Path) -> list[Path]:
    """What was cut short here, by the names that are ours alone."""
    return [path for path in folder.glob(LEFT) if _OURS.fullmatch(path.name)]


# -- folders ---------------------------------------------------------------------------------------------------------


def make_folder(path: Path) -> Path:
    """Make a folder, and those above it, for their owner alone, each durable; what is there stays as it is."""
    if not path.is_dir():
        make_folder(path.parent)
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
        sync_folder(path.parent)
    return path


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk. Windows has no such call, and keeps names in its own log."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# -- large files -----------------------------------------------------------------------------------------------------


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turns what the disk says into what a person is told."""
    try:
        yield
    except OSError as error:
        raise EdgesleepError(f"{what}: {error}.", "Make room on the disk and try again.") from error


def place(source: Path, target: Path) -> None:
    """Put a file under another name as well, private and synced; the new name lasts once its folder is synced."""
    # A link and not a move: a publish that is cut short can be tried again with the same files.
    try:
        os.link(source, target)
    except FileNotFoundError as error:
        raise EdgesleepError(f"{source} is missing.", "Run the night again.") from error
    except OSError:  # another file system, or one without links
        _copy(source, target)
    private(target)
    with target.open("r+b") as file:
        os.fsync(file.fileno())


def _copy(source: Path, target: Path) -> None:
    """Copy a file; where the file system can, as between two subvolumes, its blocks are shared and not copied."""
    if hasattr(os, "copy_file_range"):
        with suppress(OSError), source.open("rb") as old, target.open("wb") as new:
            while os.copy_file_range(old.fileno(), new.fileno(), 1 << 30):
                pass
            if os.fstat(old.fileno()).st_size == os.fstat(new.fileno()).st_size:
                return
    shutil.copyfile(source, target)


# -- for nobody else -------------------------------------------------------------------------------------------------


def private(path: Path) -> None:
    path.chmod(0o600)


def make_home(home: Path) -> None:
    """Make the folder of all that is private, or take it from others.

    But for one that holds other things only, or that its owner lives or works in, or its parents: that would cut others
    off from more than is ours, so `verify` only tells of it.
    """
    make_folder(home)
    ours = any((home / name).exists() for name in _HOME) or not any(home.iterdir())
    places = (place.resolve() for place in (Path.home(), Path.cwd()))
    if ours and open_to_others(home) and not any(place.is_relative_to(home.resolve()) for place in places):
        with suppress(PermissionError):  # another's, who has let us in
            home.chmod(0o700)


def open_to_others(path: Path) -> bool:
    """Whether anyone but its owner may do anything with a file or folder, as far as its mode tells."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)
