"""The native self-test: under sanitizers, on emulated processors, and with newer ones' instructions imitated.

What it checks is in native/selftest.cpp; here are the builds and what has to come of them.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgesleep import _native, kernel

SOURCE = Path(__file__).parent.parent


def self_test(folder: Path, *options: str, source: Path = SOURCE) -> Path:
    """Builds native/selftest.cpp; where it lies. Skips where there is no compiler."""
    beside = Path(sys.executable).parent
    cmake = shutil.which("cmake", path=str(beside)) or shutil.which("cmake")
    if cmake is None or shutil.which("c++") is None:
        pytest.skip("no cmake or no C++ compiler here")
    for command in (["-S", source, "-B", folder, "-DEDGESLEEP_SELFTEST=ON", *options], ["--build", folder, "-j", "2"]):
        subprocess.run([cmake, *command], check=True, capture_output=True)
    return folder / "edgesleep_selftest"


def emulator(name: str) -> str:
    found = shutil.which(name) or shutil.which(f"{name}-static")
    if found is None:
        pytest.skip(f"no {name} here: `make emulators` installs it on Debian and Ubuntu")
    return found


def run_self_test(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    own = {name: value for name, value in os.environ.items() if name != "EDGESLEEP_KERNEL"} | (environment or {})
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=own)
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


ARM = {"cortex-a57": ["neon"], "cortex-a76": ["neon-dotprod", "neon"], "max": ["neon-i8mm", "neon-dotprod", "neon"]}


@pytest.fixture(scope="module")
def source_for_arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the native sources, on which `self_test_for_arm` works."""
    emulator("qemu-aarch64")
    if shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("no cross compiler for ARM here: `make emulators` installs it on Debian and Ubuntu")
    copy = tmp_path_factory.mktemp("arm")
    shutil.copytree(SOURCE / "native", copy / "native")
    shutil.copy(SOURCE / "CMakeLists.txt", copy)
    return copy


def self_test_for_arm(source: Path) -> Path:
    """Only what has changed in the copy is compiled again."""
    toolchain = source / "native" / "aarch64.cmake"
    return self_test(source / "build", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", source=source)


@pytest.mark.slow
def test_neon_gives_the_bytes_of_every_other_kernel(static_self_test: Path, source_for_arm: Path) -> None:
    """Cross-compiled for 64-bit ARM and run under an emulator: without dotprod, with it, and with i8mm."""
    said = run_self_test(emulator("qemu-aarch64"), "-cpu", "max", self_test_for_arm(source_for_arm), "2")
    for name in (*ARM["max"], "ref"):
        assert f"{name}: 0 failures" in said
    assert digest(said) == digest(run_self_test(static_self_test, "2"))


@pytest.mark.slow
@pytest.mark.parametrize("processor", ARM)
def test_a_kernel_for_arm_is_chosen_where_it_runs(source_for_arm: Path, processor: str) -> None:
    """The best that the processor has, or the one that is forced, if it has what that needs; 8-bit products agree."""
    command = [emulator("qemu-aarch64"), "-cpu", processor, self_test_for_arm(source_for_arm), "0"]
    said = run_self_test(*command)
    assert said.splitlines()[0] == f"selected: {ARM[processor][0]}"
    assert said.splitlines()[1:] == [f"{name}: 0 failures" for name in (*ARM[processor], "ref")]
    for name in ARM["max"]:
        forced = run_self_test(*command, environment={"EDGESLEEP_KERNEL": name}).splitlines()[0]
        assert forced == f"selected: {name if name in ARM[processor] else 'no kernel'}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("rows > 1 ? 2 * p + 1 : 0", "0"),  # the second row of a pair
        ("vzip2q_u32(first, second)", "vzip2q_u32(second, first)"),  # the order of steps, of two tokens in four
        ("first < kDots;", "first < kDots - kTile;"),  # the last steps of a group
    ],
)
def test_a_mistake_in_the_kernel_for_i8mm_is_found(source_for_arm: Path, right: str, wrong: str) -> None:
    kernel_file = source_for_arm / "native" / "cpu" / "neon_i8mm.cpp"
    text = kernel_file.read_text("utf-8")
    assert text.count(right) == 1
    kernel_file.write_text(text.replace(right, wrong), "utf-8")
    try:
        built = self_test_for_arm(source_for_arm)
    finally:
        kernel_file.write_text(text, "utf-8")
    done = subprocess.run([emulator("qemu-aarch64"), "-cpu", "max", built, "0"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "neon-i8mm: 0 failures" not in done.stdout and "neon-dotprod: 0 failures" in done.stdout


def digest(said: str) -> str:
    """Of all results of the random tensors."""
    return next(line for line in said.splitlines() if "tensors of each type" in line)
