"""Exports: the very file that was passed, in the layout each program wants, private, whole, and never over another."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from grown import ADAPTER, CAT, DELTA, DOG, MODEL, fails, full, go_to, grow, make_store, migrate, run
from tiny import CHATML, make_tiny

from edgesleep import export, files
from edgesleep.engine import Engine
from edgesleep.errors import EdgesleepError
from edgesleep.forgotten import PENDING
from edgesleep.modelfile import Chat, chat_of, modelfile
from edgesleep.records import Message
from edgesleep.store import Store

if TYPE_CHECKING:
    from grown import Bases

PROMPT = [Message("user", "What is my dog called?")]


@pytest.fixture(scope="module")
def grown(bases: Bases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that serves its second generation."""
    store = make_store(tmp_path_factory.mktemp("grown") / "home", bases)
    grow(store, DOG)
    grow(store, DOG, CAT)
    return store.home


@pytest.fixture
def mine(grown: Path, home: Path) -> Store:
    """A copy of it."""
    shutil.copytree(grown, home)
    return Store(home)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def answer(model: Path, adapter: Path | None = None) -> list[int]:
    with Engine(model, adapter=adapter, context=128, threads=1) as engine:
        return engine.complete([engine.chat(PROMPT)], 16)[0]


def modelfile_of(folder: Path) -> dict[str, str]:
    """Instructions of a Modelfile; those that come more than once by their first word as well."""
    text, found = (folder / "Modelfile").read_text(), {}
    while text:
        line, _, text = text.partition("\n")
        if line.startswith("#") or not line:
            continue
        name, _, value = line.partition(" ")
        if name == "PARAMETER":
            key, _, value = value.partition(" ")
            name = f"{name} {key}"
        if value.startswith('"""'):
            value, _, text = (value.removeprefix('"""') + "\n" + text).partition('"""')
            text = text.removeprefix("\n")
        found[name] = value
    return found


def test_ollama_gets_the_model_with_its_template(mine: Store, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "mine"
    result = run("export", "--ollama", folder)
    assert result.exit_code == 0 and f"ollama create edgesleep -f {folder / 'Modelfile'}" in result.stdout
    assert (folder / "model.gguf").read_bytes() == (mine.folder(2) / MODEL).read_bytes()
    told = modelfile_of(folder)
    assert told["FROM"] == "./model.gguf" and told["PARAMETER stop"] == '"<|im_end|>"'
    assert told["PARAMETER num_ctx"] == "512"  # the tiny model's own; a larger one's is cut to what fits any machine
    assert "<|im_start|>user\n{{ .Content }}<|im_end|>\n" in told["TEMPLATE"] and "SYSTEM" not in told
    assert "Generation 2" in (folder / "Modelfile").read_text()
    assert answer(folder / told["FROM"]) == answer(mine.model_path()) != answer(mine.model_path(0))


def test_lm_studio_gets_publisher_model_and_file(mine: Store, tmp_path: Path) -> None:
    assert run("export", 1, "--lm-studio", tmp_path / "models").exit_code == 0
    path = tmp_path / "models" / "edgesleep" / "first" / "first-generation-1.gguf"
    assert answer(path) == answer(mine.folder(1) / MODEL)
    assert run("export", "--lm-studio", tmp_path / "models").exit_code == 0
    assert {one.name for one in path.parent.iterdir()} == {"first-generation-1.gguf", "first-generation-2.gguf"}


def test_the_adapter_is_one_that_llama_cpp_loads(mine: Store, tmp_path: Path) -> None:
    path = tmp_path / "lora.gguf"
    result = run("export", "--adapter", path)
    assert result.exit_code == 0 and f"llama-cli -m {mine.model_path(0)} --lora {path}" in result.stdout
    assert path.read_bytes() == (mine.folder(2) / ADAPTER).read_bytes()
    assert answer(mine.model_path(0), path) != answer(mine.model_path(0))
    assert "has no adapter" in fails("export", 0, "--adapter", tmp_path / "none")


@pytest.mark.parametrize("kind", ["--ollama", "--lm-studio", "--adapter"])
def test_what_is_exported_is_private_and_said_to_be(mine: Store, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "new" / "place"
    dry, result = run("export", kind, place, "--dry-run"), run("export", kind, place)
    for told in (dry, result):
        assert "private data" in told.stderr and "`edgesleep forget` does not reach it" in told.stderr
    written = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    assert {mode(path) for path in written if path.is_dir()} == {0o700}
    assert {mode(path) for path in written if path.is_file()} == {0o600}
    about = json.loads(run("export", kind, place, "--json", "--force").stdout)
    assert about["private"] and {*about["files"]} == {str(path) for path in written if path.is_file()}
    assert about["bytes"] == max(path.stat().st_size for path in written if path.is_file())


def test_the_base_is_nobodys_secret(store: Store, tmp_path: Path) -> None:
    result = run("export", "--ollama", tmp_path / "base")
    assert result.exit_code == 0 and "private" not in result.stderr
    assert "rivate" not in (tmp_path / "base" / "Modelfile").read_text()


@pytest.mark.parametrize("kind", ["--ollama", "--lm-studio", "--adapter"])
def test_a_dry_run_writes_nothing_and_names_what_would_be(mine: Store, tmp_path: Path, kind: str) -> None:
    (mine.folder(1) / MODEL).unlink()
    before = {*tmp_path.rglob("*")}
    about = json.loads(run("export", 1, kind, tmp_path / "out", "--dry-run", "--json").stdout)
    assert {*tmp_path.rglob("*")} == before and about["dry_run"]
    assert run("export", 1, kind, tmp_path / "out").exit_code == 0
    assert all(Path(path).exists() for path in about["files"])


@pytest.mark.parametrize("kind", ["--ollama", "--lm-studio", "--adapter"])
def test_nothing_is_replaced_unless_forced(mine: Store, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "out"
    (first, *_) = json.loads(run("export", kind, place, "--json").stdout)["files"]
    Path(first).write_text("mine")
    for dry in ([], ["--dry-run"]):
        assert "is there already" in fails("export", kind, place, *dry)
    assert Path(first).read_text() == "mine"
    assert run("export", kind, place, "--force").exit_code == 0 and Path(first).read_bytes()[:4] == b"GGUF"


def test_a_full_disk_leaves_no_half_and_no_modelfile_of_another(
    mine: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    assert run("export", 1, "--ollama", place).exit_code == 0
    old = (place / "model.gguf").read_bytes()
    monkeypatch.setattr(files.os, "fsync", full)
    fails("export", 2, "--ollama", place, "--force")
    assert {path.name for path in place.iterdir()} <= {"model.gguf", "Modelfile"}
    assert (place / "model.gguf").read_bytes() == old


def test_a_model_that_is_no_longer_kept_is_made_again(mine: Store, tmp_path: Path) -> None:
    whole = (mine.folder(1) / MODEL).read_bytes()
    for name in (MODEL, ADAPTER):
        (mine.folder(1) / name).unlink()
    assert run("export", 1, "--adapter", tmp_path / "lora.gguf").exit_code == 0
    assert (mine.folder(1) / MODEL).read_bytes() == whole
    (mine.folder(1) / MODEL).unlink()
    (mine.folder(1) / DELTA).unlink()
    assert "cannot be made again" in fails("export", 1, "--ollama", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_adapter_is_not_handed_out(mine: Store, tmp_path: Path) -> None:
    (mine.folder(1) / ADAPTER).write_bytes(b"GGUF of another")
    (mine.folder(1) / DELTA).write_bytes(b"nor this")
    assert "damaged" in fails("export", 1, "--adapter", tmp_path / "lora.gguf")
    assert not (tmp_path / "lora.gguf").exists()


def test_a_generation_of_a_base_before_is_named_after_it(mine: Store, bases: Bases, tmp_path: Path) -> None:
    migrate(mine, bases.second)
    assert run("export", 2, "--lm-studio", tmp_path).exit_code == 0
    assert (tmp_path / "edgesleep" / "first" / "first-generation-2.gguf").exists()
    assert str(bases.first) in run("export", 2, "--adapter", tmp_path / "lora").stdout
    go_to(mine, 2)


def test_where_nothing_may_be_exported(mine: Store, tmp_path: Path) -> None:
    assert "edgesleep's own" in fails("export", "--ollama", mine.home / "out")
    assert "is a folder" in fails("export", "--adapter", tmp_path)
    assert "no generation 7" in fails("export", 7, "--lm-studio", tmp_path / "out")
    (tmp_path / "file").write_text("")
    assert "cannot be written" in fails("export", "--ollama", tmp_path / "file" / "out")
    fails("export", code=2)
    fails("export", "--ollama", tmp_path / "a", "--adapter", tmp_path / "b", code=2)
    (mine.home / PENDING).write_text("{}")
    assert "forgetting is unfinished" in fails("export", "--ollama", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- the template ------------------------------------------------------------------------------------------------------

CHAT = [Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "Bye")]
DEFAULT = "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nI am a model<|im_end|>\n{% endif %}" + CHATML
FOLDED = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\n\n' %}"
    "{% set rest = messages[1:] %}{% else %}{% set first = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}<|im_start|>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{{ first if loop.first else '' }}{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHATML
NUMBERED = "{% for m in messages %}{{ loop.index }} {{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
BRACES = CHATML.replace("<|im_end|>", "{{ '{{' }}")


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """What is found in a template, and what the template itself writes of a chat."""

    def found(template: str) -> tuple[Chat | None, str]:
        monkeypatch.setattr("tiny.CHATML", template)
        with Engine(make_tiny(tmp_path / "model.gguf", "llama"), vocab_only=True) as engine:
            chat = chat_of(engine)
            return chat, engine.written(CHAT, reply=True) if chat else ""

    return found


def test_templates_that_can_be_said(asked) -> None:  # type: ignore[no-untyped-def]
    plain, said = asked(CHATML)
    assert plain.write(CHAT) == said and plain.default == ""
    named, said = asked(DEFAULT)
    assert named.write(CHAT) == said and named.default == "I am a model"
    assert 'SYSTEM """I am a model"""' in modelfile("", "m", named, 9)
    folded, said = asked(FOLDED)
    assert folded.write(CHAT) == said and folded.system is None and said.startswith("<|endoftext|>")
    assert "{{ if not $open }}<|im_start|>user\n{{ end }}{{ .Content }}" in folded.go()


@pytest.mark.parametrize("template", [NO_SYSTEM, NUMBERED, BRACES], ids=["no system", "numbered", "braces"])
def test_templates_that_cannot(asked, template: str) -> None:  # type: ignore[no-untyped-def]
    chat, _ = asked(template)
    assert chat is None and "TEMPLATE" not in modelfile("", "m", chat, 9)


def test_ollama_is_left_to_choose_where_it_has_to_be(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "chat_of", lambda engine: None)
    result = run("export", "--ollama", tmp_path / "out")
    assert "chooses one by itself" in result.stderr and "TEMPLATE" not in (tmp_path / "out" / "Modelfile").read_text()


def test_writing_checks_what_planning_did(mine: Store, tmp_path: Path) -> None:
    plan = export.to_adapter(mine, 2, tmp_path / "lora.gguf")
    plan.large.write_text("came meanwhile")
    with pytest.raises(EdgesleepError, match="is there already"):
        export.write(mine, plan)
