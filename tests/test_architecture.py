"""The rules of the lay-out: who may import whom, where heavy libraries live, and how a file begins.

They are kept by reading the source, not by running it. When one fails, the code is to be moved, not the rule.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edgesleep"

# From the bottom up. A module imports only from rows below its own, so neighbours never import each other.
LAYERS = (
    ("errors", "_native"),
    ("files", "forgotten", "secrets", "plots", "night.lexicon", "night.dates", "night.paired"),
    ("database", "records", "daemon.aside"),
    (
        "tables",
        "daemon.nvidia",
        "daemon.x11",
        "night.pointing",
        "night.travels",
        "night.undone",
        "entries",
        "tombstones",
        "traces",
    ),
    (
        "config",
        "machine",
        "catalog",
        "held",
        "waiting",
        "daemon.hours",
        "daemon.linux",
        "daemon.log",
        "daemon.macos",
        "daemon.windows",
        "night.phrases",
        "night.plain",
        "night.thesaurus",
    ),
    ("errands", "lock", "daemon.policy"),
    ("daemon.control",),
    (
        "daemon.keeper",
        "daemon.sensors",
        "gguf",
        "kernel",
        "journal",
        "store",
        "embed",
        "night.reading",
        "night.links",
        "night.untold",
        "night.echoes",
        "night.forms",
        "night.artefacts",
        "night.steps",
    ),
    (
        "account",
        "adapter",
        "model",
        "night.spent",
        "night.underway",
        "night.parts",
        "night.verbs",
        "night.corrections",
        "night.withheld",
    ),
    ("morning", "sampling", "night.parties", "night.succession"),
    ("engine", "page", "reference", "night.clauses"),
    ("network", "modelfile", "night.questions", "night.asides", "night.introductions", "night.standing"),
    (
        "writer",
        "night.children",
        "night.drafts",
        "night.fragments",
        "night.habits",
        "night.health",
        "night.latecomers",
        "night.notes",
        "night.orders",
        "night.roles",
        "night.sayings",
        "night.subjects",
        "night.synonyms",
        "night.tallies",
        "night.threads",
        "night.whereabouts",
    ),
    ("night.appointments", "night.consequences", "night.events", "night.hearsay", "night.limits"),
    ("night.rules",),
    ("night.grammar",),
    ("night.hearing",),
    ("night.proposals",),
    ("night.beside", "night.curate", "night.dream", "night.train", "night.merge", "night.gate", "night.report"),
    ("night.agenda", "night.owner", "day.pieces", "day.recall", "day.wire"),
    (
        "night.generations",
        "night.pending",
        "night.scope",
        "day.answers",
        "day.conversations",
        "day.guard",
        "day.logbook",
    ),
    ("day.keeping",),
    (
        "day.chat",
        "doctor",
        "night.compare",
        "night.remains",
        "night.stages",
        "night.verify",
        "day.exports",
        "day.json_lines",
        "day.llm_logs",
    ),
    ("night.cycle", "night.proofs", "day.transcripts", "day.upstream"),
    ("night.forget", "export", "day.importers", "day.serve", "day.visitors"),
    ("api",),
    ("llm_plugin",),
    ("apart", "progress", "terminal", "cli_shared", "daemon.loop", "daemon.service"),
    ("cli_memories",),
    (
        "cli_chat",
        "cli_daemon",
        "cli_doctor",
        "cli_encrypt",
        "cli_export",
        "cli_forget",
        "cli_generations",
        "cli_import",
        "cli_morning",
    ),
    ("mcp_server", "web"),
    ("cli_mcp", "cli_serve"),
    ("cli",),
    ("__main__",),
)
LEVEL = {module: level for level, row in enumerate(LAYERS) for module in row}

# One file per heavy dependency (the native module has two); `edgesleep --help` loads none but click.
HOMES = {
    "Xlib": {"daemon.x11"},
    "_native": {"kernel", "network"},
    "click": {"llm_plugin", *(module for module in LEVEL if module.startswith("cli"))},
    "detect_secrets": {"secrets"},
    "filelock": {"lock"},
    "gguf": {"gguf"},
    "httpx": {"day.upstream"},
    "huggingface_hub": {"catalog"},
    "jeepney": {"daemon.linux"},
    "jinja2": {"page"},
    "keyring": {"database"},
    "leather": {"plots"},
    "llama_cpp": {"engine"},
    "llm": {"llm_plugin"},
    "mcp": {"mcp_server"},
    "onnxruntime": {"embed"},
    "prompt_toolkit": {"terminal"},
    "psutil": {"daemon.linux", "daemon.sensors", "held", "machine"},
    "pynvml": {"daemon.nvidia"},
    "rich": {"progress", "terminal"},
    "safetensors": {"adapter"},
    "sqlcipher3": {"database"},
    "sqlite_utils": {"journal", "tables"},
    "starlette": {"day.serve", "web"},
    "stdnum": {"secrets"},
    "tokenizers": {"embed"},
    "torch": {"reference"},
    "uvicorn": {"day.serve"},
}
MAX_LINES = 600


def modules() -> dict[str, Path]:
    """Source files by dotted name within the package, without the packages' own __init__."""
    files = (path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in files}


MODULES = modules()


def imports(path: Path) -> Iterator[str]:
    """Every dotted name that a file imports, wherever in it; `from a import b` gives a.b."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def own(path: Path) -> set[str]:
    """The package's own modules among a file's imports."""
    found = set()
    for name in imports(path):
        parts = name.split(".")[1:] if name.startswith("edgesleep.") else []
        found |= {".".join(parts[:n]) for n in (1, 2) if ".".join(parts[:n]) in LEVEL}
    return found


def test_every_module_has_its_layer() -> None:
    assert set(MODULES) == set(LEVEL) - {"_native"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module: str) -> None:
    upward = {name for name in own(MODULES[module]) if LEVEL[name] >= LEVEL[module]}
    assert not upward, f"{module} imports {upward}"


def test_day_and_night_meet_only_in_the_journal_and_the_store() -> None:
    for module, path in MODULES.items():
        for name in own(path):
            assert {module.split(".")[0], name.split(".")[0]} != {"day", "night"}, f"{module} imports {name}"


def test_only_one_module_runs_the_stages() -> None:
    """But for curation, which also reads what the owner says, and merge, which also makes a dropped model again."""
    stages = {"night.curate", "night.dream", "night.train", "night.merge", "night.gate", "night.report"}
    users = {module: own(path) & stages for module, path in MODULES.items()}
    assert {module: used for module, used in users.items() if used} == {
        "night.agenda": {"night.curate"},
        "night.stages": stages - {"night.curate"},
        "night.generations": {"night.merge"},
        "night.owner": {"night.curate"},
    }


@pytest.mark.parametrize("library", HOMES)
def test_a_heavy_library_has_one_home(library: str) -> None:
    names = {library} if library != "_native" else {"edgesleep._native"}
    users = {
        m for m, path in MODULES.items() if any(f"{name}.".startswith(f"{n}.") for name in imports(path) for n in names)
    }
    assert users == HOMES[library]


def test_spacy_has_one_home_and_a_process_of_its_own() -> None:
    """Its models are modules as well, imported by name; what they take is given back when the day is read."""
    named = re.compile(r"\ben_core_web|^\s*(?:import|from) spacy\b", re.MULTILINE)
    assert {m for m, path in MODULES.items() if named.search(path.read_text("utf-8"))} == {"night.reading"}
    code = (
        "import sys, edgesleep.night.cycle; print(*sys.modules.keys() & {'spacy', 'thinc', 'edgesleep.night.reading'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "command", [["--help"], ["run-night", "--help"], ["memories", "pin", "--help"], ["diff", "--help"], ["--version"]]
)
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    heavy = {*HOMES, "spacy", "thinc", "numpy", "sqlite3", "jinja2", "edgesleep._native"} - {"click", "_native"}
    code = f"""
import sys
from edgesleep.cli import main
try:
    main({command!r}, prog_name="edgesleep")
except SystemExit as end:
    assert end.code == 0, end.code
print("loaded:", *sorted(sys.modules.keys() & {heavy!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].split() == ["loaded:"]


def sources(*endings: str) -> list[Path]:
    folders = ("edgesleep", "native", "tests", "bench", "docs", "examples")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*")) if path.suffix in endings]


@pytest.mark.parametrize("path", sources(".py"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_python_file_says_what_it_owns(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert len(text.splitlines()) >= (1 if path.name == "__init__.py" or path.parent == ROOT / "tests" else 3)


@pytest.mark.parametrize("path", sources(".h", ".cpp"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_native_file_says_what_it_owns(path: Path) -> None:
    head = path.read_text("utf-8").splitlines()[:3]
    assert all(re.match(r"//|/\*| \*", line) for line in head), head


@pytest.mark.parametrize("path", sources(".py", ".h", ".cpp"), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


def test_no_file_names_a_place_on_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip(f"not a git checkout: {listed.stderr.strip()}")
    place = re.compile(r"(?<![\w.])/(?:work|root|mnt|opt|home/\w+|Users/\w+)/|/tmp/[m]odels")
    files = (ROOT / name for name in listed.stdout.splitlines())
    found = [f"{path}: {hit[0]}" for path in files if path.is_file() for hit in place.finditer(path.read_text("utf-8"))]
    assert not found
