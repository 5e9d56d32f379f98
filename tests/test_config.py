"""Every setting, however it is given, arrives at the night; and what is no setting is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from edgesleep import cli, config, records
from edgesleep.config import NightSettings, Settings
from edgesleep.errors import EdgesleepError
from edgesleep.night import cycle, stages
from edgesleep.records import NightReport
from edgesleep.store import Store

FIELDS = config.flat(Settings())
NAMES = [name for name, _ in FIELDS]


def other(value: Any) -> Any:
    """A value of the same type that is not the default."""
    return not value if isinstance(value, bool) else "another" if isinstance(value, str) else value * 2 + 1


def written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def value_of(settings: Settings, name: str) -> Any:
    found: Any = settings
    for part in name.split("."):
        found = getattr(found, part)
    return found


def toml(home: Path, text: str) -> None:
    home.mkdir(exist_ok=True)
    (home / config.FILE).write_text(text)


@pytest.fixture
def night(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings of every night that the command line starts; no night is run."""
    base = tmp_path / "base.gguf"
    base.write_bytes(b"a model")
    Store.open(home).adopt_base(base, "tiny")
    started: list[Settings] = []

    def run_night(home: Path, settings: Settings, watch: stages.Watch, *, force: bool) -> NightReport:
        started.append(settings)
        return NightReport(1, "promoted", "", 1, "model.gguf")

    monkeypatch.setattr(cycle, "run_night", run_night)
    return started


def run(*words: str) -> None:
    result = CliRunner().invoke(cli.main, ["run-night", *words])
    assert result.exit_code == 0, result.output


def test_defaults(home: Path) -> None:
    assert config.load(home) == Settings()


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_has_help_and_a_plain_default(name: str) -> None:
    field = dict(FIELDS)[name]
    assert field.metadata["help"] and type(field.default) in (bool, int, float, str)


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_in_toml_arrives(name: str, home: Path, night: list[Settings]) -> None:
    wanted = other(dict(FIELDS)[name].default)
    section, _, key = name.rpartition(".")
    toml(home, f"[{section}]\n" * bool(section) + f"{key} = {msgspec.json.encode(wanted).decode()}\n")
    run()
    assert value_of(night[0], name) == wanted
    assert sum(value_of(night[0], n) != value_of(Settings(), n) for n in NAMES) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_setting_by_set_arrives_and_wins_over_toml(name: str, home: Path, night: list[Settings]) -> None:
    wanted = other(other(dict(FIELDS)[name].default)) if name != "model" else "a third"
    section, _, key = name.rpartition(".")
    toml(home, f"[{section}]\n" * bool(section) + f"{key} = {msgspec.json.encode(other(wanted)).decode()}\n")
    run("--set", f"{name}={written(wanted)}")
    assert value_of(night[0], name) == wanted


def test_all_settings_at_once_arrive(night: list[Settings]) -> None:
    run(*(word for name, field in FIELDS for word in ("--set", f"{name}={written(other(field.default))}")))
    assert {name: value_of(night[0], name) for name in NAMES} == {n: other(field.default) for n, field in FIELDS}


@pytest.mark.parametrize("field", dataclasses.fields(NightSettings), ids=lambda field: field.name)
def test_a_flag_of_the_night_arrives_and_wins(field: dataclasses.Field[Any], home: Path, night: list[Settings]) -> None:
    name, wanted = f"night.{field.name}", other(field.default)
    toml(home, f"[night]\n{field.name} = {wanted + 1}\n")
    run("--set", f"{name}={wanted + 2}", f"--{field.name.replace('_', '-')}", str(wanted))
    assert night[0] == dataclasses.replace(
        Settings(), night=dataclasses.replace(NightSettings(), **{field.name: wanted})
    )
    assert type(value_of(night[0], name)) is type(field.default)


def test_unknown_settings_are_all_named(home: Path) -> None:
    toml(home, "colour = 1\n[night]\nhours = 2\nminutes = 3\n[moon]\nfull = 1\n")
    with pytest.raises(EdgesleepError, match=r"Unknown settings: colour, night\.hours, moon\.") as caught:
        config.load(home)
    assert "night.minutes" in caught.value.hint


@pytest.mark.parametrize(
    "text", ['[night]\npasses = "many"\n', "[night]\npasses = 1.5\n", "night = 5\n", "model = 7\n", "[model]\nx = 1\n"]
)
def test_a_wrong_type_is_refused(text: str, home: Path) -> None:
    toml(home, text)
    with pytest.raises(EdgesleepError, match="wrong type"):
        config.load(home)


@pytest.mark.parametrize("text", ["[night\n", "night.minutes: 5\n", "a = 1\na = 2\n"])
def test_what_is_no_toml_is_refused(text: str, home: Path) -> None:
    toml(home, text)
    with pytest.raises(EdgesleepError, match="not valid TOML"):
        config.load(home)


def test_toml_that_is_not_utf8_is_refused(home: Path) -> None:
    home.mkdir()
    (home / config.FILE).write_bytes(b'model = "\xff"\n')
    with pytest.raises(EdgesleepError, match="not valid TOML"):
        config.load(home)


def test_settings_survive_a_manifest(home: Path) -> None:
    changed = config.load(home, {"night": {"seed": 7}})
    assert msgspec.convert(records.plain(changed), Settings) == changed
