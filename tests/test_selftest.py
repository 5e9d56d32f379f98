"""The native self-test: under sanitizers, on emulated processors, and with newer ones' instructions imitated.

What it checks is in native/selftest.cpp; here are the builds and what has to come of them.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgesleep import _native, kernel


def self_test(folder: Path, *options: str) -> Path:
    """Builds native/selftest.cpp; where it lies. Skips where there is no compiler."""
    beside = Path(sys.executable).parent
    cmake = shutil.which("cmake", path=str(beside)) or shutil.which("cmake")
    if cmake is None or shutil.which("c++") is None:
        pytest.skip("no cmake or no C++ compiler here")
    source = Path(__file__).parent.parent
    for command in (["-S", source, "-B", folder, "-DEDGESLEEP_SELFTEST=ON", *options], ["--build", folder, "-j", "2"]):
        subprocess.run([cmake, *command], check=True, capture_output=True)
    return folder / "edgesleep_selftest"


def emulator(name: str) -> str:
    found = shutil.which(name) or shutil.which(f"{name}-static")
    if found is None:
        pytest.skip(f"no {name} here: `make emulators` installs it on Debian and Ubuntu")
    return found


def run_self_test(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_native_self_test_under_sanitizers(tmp_path: Path) -> None:
    """Address and undefined-behaviour sanitizers find nothing in any kernel that runs here."""
    said = run_self_test(self_test(tmp_path))
    for name in kernel.supported():
        assert f"{name}: 0 failures" in said


@pytest.fixture(scope="module")
def static_self_test(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("older x86 processors are emulated on an x86 machine only")
    return self_test(tmp_path_factory.mktemp("static"), "-DEDGESLEEP_EMULATED=ON")


@pytest.mark.slow
@pytest.mark.parametrize(("processor", "best"), [("Nehalem", "ref"), ("Haswell", "avx2")])
def test_an_older_processor_meets_no_instruction_that_it_lacks(
    static_self_test: Path, processor: str, best: str
) -> None:
    """Without AVX at all, and without AVX-512: what runs is the best that there is, and the results are the same."""
    qemu = emulator("qemu-x86_64")
    said = run_self_test(qemu, "-cpu", processor, static_self_test, "2")
    assert f"selected: {best}\n" in said
    assert f"{best}: 0 failures" in said and "avx512: " not in said
    assert digest(said) == digest(run_self_test(static_self_test, "2"))


@pytest.mark.slow
def test_a_newer_processor_would_give_the_same_bytes(static_self_test: Path, tmp_path: Path) -> None:
    """The kernels for AVX-512, its VNNI and AVX-VNNI, with those instructions imitated in plain C++."""
    if "avx2" not in kernel.supported():
        pytest.skip("no AVX2 here, on which the imitations stand")
    said = run_self_test(self_test(tmp_path, "-DEDGESLEEP_EMULATED=ON", "-DEDGESLEEP_IMITATED=ON"), "2")
    assert "selected: avx512-vnni\n" in said
    for name, _ in _native.kernels():
        assert f"{name}: 0 failures" in said
    assert digest(said) == digest(run_self_test(static_self_test, "2"))


@pytest.mark.slow
def test_neon_gives_the_bytes_of_every_other_kernel(static_self_test: Path, tmp_path: Path) -> None:
    """Cross-compiled for 64-bit ARM and run under an emulator, with and without dotprod."""
    qemu = emulator("qemu-aarch64")
    if shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("no cross compiler for ARM here: `make emulators` installs it on Debian and Ubuntu")
    toolchain = Path(__file__).parent.parent / "native" / "aarch64.cmake"
    said = run_self_test(qemu, self_test(tmp_path, f"-DCMAKE_TOOLCHAIN_FILE={toolchain}"), "2")
    assert "selected: neon-dotprod\n" in said
    assert "neon-dotprod: 0 failures" in said and "neon: 0 failures" in said
    assert digest(said) == digest(run_self_test(static_self_test, "2"))


def digest(said: str) -> str:
    """Of all results of the random tensors."""
    return next(line for line in said.splitlines() if "tensors of each type" in line)
