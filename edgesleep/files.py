"""Files: how the store puts large files in their place.

Owns linking, copying and removing them, their sizes, and what a person is told when the disk fails. Leaves records, and
writing that is whole or absent, to `records`. Must stay true: what was placed is private and synced, and what was
removed does not come back after a power cut.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgesleep.errors import EdgesleepError
from edgesleep.records import file_digest, sync_folder


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Turns what the disk says into what a person is told."""
    try:
        yield
    except OSError as error:
        raise EdgesleepError(f"{what}: {error}.", "Make room on the disk and try again.") from error


def fits(path: Path, sha256: str) -> bool:
    return path.exists() and file_digest(path) == sha256


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def place(source: Path, target: Path) -> None:
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


def remove(path: Path) -> None:
    """Remove a file or a folder for good; where a folder is a link to one elsewhere, that as well."""
    if path.is_dir():
        shutil.rmtree(path.resolve())
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def private(path: Path) -> None:
    path.chmod(0o600)
