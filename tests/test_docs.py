"""The documents agree with the program: pages are what would be generated, and what they name exists."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from edgesleep import config
from edgesleep.cli import main

ROOT = Path(__file__).parents[1]
CLI = (ROOT / "docs" / "cli.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
DEVICES = (ROOT / "docs" / "devices.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
PROSE = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "models/README.md")]
PROSE += [ROOT / "docs" / name for name in ("cli.md", "how-it-works.md")]
SOURCES = sorted((ROOT / "edgesleep").rglob("*.py"))


def test_the_page_of_commands_is_what_make_docs_writes() -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "make_cli.py"))["page"]
    assert generate() == CLI, "run `make docs`"


@pytest.mark.parametrize("name", [name for name, _ in config.flat(config.Settings())])
def test_a_setting_is_documented(name: str) -> None:
    assert re.search(rf"^\| `{re.escape(name)}` \| .+ \| .* \| .+ \|$", CLI, re.MULTILINE)


def commands() -> Iterator[tuple[str, click.Command]]:
    """All by name, those of a group after it."""
    for name, command in main.commands.items():
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {part}", inner) for part, inner in command.commands.items())


@pytest.mark.parametrize(("name", "command"), [*commands()])
def test_a_command_has_an_example_and_is_in_the_readme(name: str, command: click.Command) -> None:
    assert f"edgesleep {name}" in (command.help or "").partition("Example: ")[2]
    assert f"\n    edgesleep {name.split()[0]}" in README
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []


@pytest.mark.parametrize("path", [*PROSE, *SOURCES], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_that_is_named_exists(path: Path) -> None:
    named = re.findall(r"(?:`|^    |\$\()edgesleep ([a-z][a-z-]*)", path.read_text("utf-8"), re.MULTILINE)
    assert not set(named) - set(main.commands)


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_make_target_that_is_named_exists(path: Path) -> None:
    named = re.findall(r"(?:`|^    )make ((?:[a-z]+ ?)+)", path.read_text("utf-8"), re.MULTILINE)
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    assert not {target for words in named for target in words.split()} - targets


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_linked_file_exists(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8"))
    assert not [link for link in links if not (path.parent / link).exists()]


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose head begins so; of each cell what comes before a semicolon or a bracket."""
    lines = text.partition(f"\n| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[re.split(r";| \(", cell)[0].strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_the_readme_claims_no_more_than_the_page_of_devices() -> None:
    """Each operation of its table is verified as the kernels that do it are, by the tables of docs/devices.md."""
    cards = {name: row[2:5] for row in table(DEVICES, "operation") for name in re.findall(r"`(.+?)`", row[1])}
    processors = {row[0].strip("`"): row[1:] for row in table(DEVICES, "kernel | what is its own")}
    layers = "norm norm_back turn attend attend_back_* dots gate gate_back loss adam add places"
    kernels = {
        "rounding, same bytes": "round_weights read_rows",
        "products in f32": "linear product",
        "products in 8 bits": "",
        "products in bf16": "linear_bf16",
        "norms, RoPE, attention, gates, loss, Adam": layers,
        "a whole training step": "device/network.h",
    }
    assert set(" ".join(kernels.values()).split()) == cards.keys() - {"device.cu", "device.mm", "card.cpp"}

    def of_processor(operation: str, name: str) -> str:
        own = {"all", operation} if operation == "products in 8 bits" else {"all"}
        said = {how for kernel, (what, how) in processors.items() if kernel.startswith(name) and what in own}
        return "none" if operation == "products in bf16" else ", ".join(said)

    def of_card(operation: str, card: int) -> str:
        said = {f"{cards[kernel][0]}, {cards[kernel][card]}" for kernel in kernels[operation].split()}
        return ", ".join(said) or "none"

    assert table(README, "| x86") == [
        [what, of_processor(what, "avx"), of_processor(what, "neon"), of_card(what, 1), of_card(what, 2)]
        for what in kernels
    ]


def test_the_page_of_devices_has_every_kernel_of_a_processor() -> None:
    text = "".join(path.read_text("utf-8") for path in (ROOT / "native" / "cpu").glob("*.cpp"))
    named = [row[0].strip("`") for row in table(DEVICES, "kernel | what is its own")]
    assert sorted(named) == sorted(re.findall(r' Kernel k\w+ =[^"]+"([\w-]+)"', text))
