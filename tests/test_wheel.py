"""The wheel: what every one is built with, and that the one for this system is whole where nothing of the source is.

With all that it needs, in an environment that has nothing else, it is tried by `make wheel`: that takes minutes.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


def test_wheels_are_built_for_every_system_and_tried_there() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    building = config["tool"]["cibuildwheel"]
    assert {"linux", "macos", "windows"} <= building.keys()
    assert all(building[system]["archs"] for system in ("linux", "macos", "windows"))
    [script] = [part for part in building["test-command"].split() if part.startswith("{project}/")]
    assert (ROOT / script.removeprefix("{project}/")).is_file()
    assert (
        f"cp{config['project']['requires-python'].removeprefix('>=').replace('.', '')}-*" in building["build"].split()
    )


@pytest.mark.slow
def test_the_wheel_for_this_system_is_whole_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """What it needs is lent by this environment; edgesleep itself is there as the wheel alone."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    made = subprocess.run(build, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[-2000:]
    [wheel] = tmp_path.glob("edgesleep-*.whl")
    venv.create(tmp_path / "clean", with_pip=False)
    folder = tmp_path / "clean" / ("Scripts" if sys.platform == "win32" else "bin")
    clean = folder / Path(sys.executable).name
    asked = [clean, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"]
    target = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    install = [sys.executable, "-m", "pip", "--python", clean, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    (target / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    tried = [clean, ROOT / "packaging" / "try_wheel.py"]
    done = subprocess.run(tried, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and "1 passed, 0 failed" in done.stdout, done.stderr[-2000:]
