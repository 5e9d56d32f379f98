"""Training on cards: the device's kernels on the emulator, through nvcc and as Metal, and the choice of a device.

What is compared is in native/emu/; here are the builds and what has to come of them. No card is ever asked for.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgesleep import kernel
from edgesleep.errors import KernelError

NATIVE = Path(__file__).parent.parent / "native"
MOST_REGISTERS = 65536 // 512  # of a thread, so that two blocks of 256 fit
MOST_SHARED = 32 << 10  # of a block; Metal has no more


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bool, float]]:
    """Each line of the self-test: whether it is good, and how far apart the two sides were."""
    beside = Path(sys.executable).parent
    cmake = shutil.which("cmake", path=str(beside)) or shutil.which("cmake")
    if cmake is None or shutil.which("c++") is None:
        pytest.skip("no cmake or no C++ compiler here")
    folder = tmp_path_factory.mktemp("devices")
    options = ["-DEDGESLEEP_DEVICES=ON", "-DCMAKE_BUILD_TYPE=None"]
    for command in (["-S", NATIVE.parent, "-B", folder, *options], ["--build", folder, "-j", "2"]):
        subprocess.run([cmake, *command], check=True, capture_output=True)
    done = subprocess.run([folder / "edgesleep_devices"], capture_output=True, text=True, timeout=600)
    lines = re.findall(r"^(ok|BAD) (.+): apart (\S+), allowed \S+, \d+ times$", done.stdout, re.MULTILINE)
    found = {what: (verdict == "ok", float(apart)) for verdict, what, apart in lines}
    assert found, done.stdout + done.stderr
    assert (done.returncode == 0) is all(good for good, _ in found.values())
    return found


def test_every_operation_agrees_with_ref(emulated: dict[str, tuple[bool, float]]) -> None:
    """Within the tolerance that the self-test states, and without a complaint of the emulator."""
    assert not {what: apart for what, (good, apart) in emulated.items() if not good}


@pytest.mark.parametrize(
    "operation",
    [
        "round: packed bytes of every type",
        "rows of every type",
        "linear forward of every type",
        "linear input gradient of every type",
        "low-rank products",
        "rotary turn, both ways",
        "Adam",
        "the step uses the bytes of the merge",
    ],
)
def test_what_must_be_equal_is(emulated: dict[str, tuple[bool, float]], operation: str) -> None:
    assert emulated[operation] == (True, 0.0)


@pytest.mark.parametrize(
    "mistake",
    [
        "race: read after",
        "race: two threads write",
        "race: ",
        "outside of a buffer",
        "outside of shared memory",
        "a barrier that not all threads reach",
        "shared memory is read before it is written",
    ],
)
def test_the_emulator_finds_a_planted_mistake(emulated: dict[str, tuple[bool, float]], mistake: str) -> None:
    assert emulated[f"planted is found: {mistake}"] == (True, 0.0)
    assert emulated["a sound kernel passes"] == (True, 0.0)


@pytest.mark.parametrize(
    "trouble",
    [
        "short memory is told",
        "other bytes than the processor's are refused",
        "a step that failed is done again",
    ],
)
def test_the_processor_goes_on_where_a_card_fails(emulated: dict[str, tuple[bool, float]], trouble: str) -> None:
    assert emulated[trouble] == (True, 0.0)
    assert emulated["a card stays in use"] == (True, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["sm_75", "sm_120"])
def test_nvcc_compiles_the_library_within_the_limits(tmp_path: Path, architecture: str) -> None:
    """Without a warning or a spilled register; `make cuda` does the same for all architectures."""
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if nvcc is None:
        pytest.skip("no nvcc here: it comes with the CUDA toolkit")
    flags = ["-std=c++17", "-fmad=false", "-Werror", "all-warnings", "-Xptxas", "-v,-warn-spills"]
    command = [nvcc, *flags, f"-arch={architecture}", "-shared", "-Xcompiler", "-fPIC"]
    library = tmp_path / "libedgesleep_cuda.so"
    done = subprocess.run([*command, "-o", library, NATIVE / "cuda/device.cu"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    used = re.findall(
        r"Compiling entry function 'edgesleep_(\w+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers([^\n]*)",
        said,
        re.DOTALL,
    )
    kernels = {name for name, *_ in used}
    assert kernels == set(re.findall(r"what\((\w+), \w+, \w+\)", (NATIVE / "device/kernels.h").read_text("utf-8")))
    for name, spilled, registers, rest in used:
        shared = re.search(r"(\d+) bytes smem", rest)
        print(f"{name}: {registers} registers, {shared[1] if shared else 0} bytes of shared memory")
        assert int(spilled) == 0 and int(registers) <= MOST_REGISTERS
        assert shared is None or int(shared[1]) <= MOST_SHARED
    exported = subprocess.run([sys.executable, "-c", ASKED, library], capture_output=True, text=True, check=True)
    assert exported.stdout.strip()  # a reason, or the name of a card


# The library of a card is loaded and asked; without a driver it says so.
ASKED = """
import ctypes, sys
words = ctypes.create_string_buffer(256)
library = ctypes.CDLL(sys.argv[1])
library.es_library_table.restype = ctypes.POINTER(ctypes.c_void_p * 9)
probe = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)(library.es_library_table().contents[2])
probe(words)
print(words.value.decode())
"""


def test_the_metal_sources_keep_to_the_language() -> None:
    """As clang reads them, with address spaces as part of the types; Metal's own compiler has not seen them."""
    cindex = pytest.importorskip("clang.cindex")
    source = NATIVE / "metal/kernels.metal"
    language = ["-x", "c++", "-std=c++14", "-D__METAL_VERSION__=310", "-nostdinc", "-nostdinc++"]
    warnings = ["-Wall", "-Wextra", "-Wno-unknown-attributes", "-Wno-unused-parameter", "-Wno-unused-function"]

    def complaints(text: str) -> list[str]:
        parsed = cindex.Index.create().parse(
            str(source), [*language, *warnings, f"-I{NATIVE / 'metal/shim'}"], [(str(source), text)]
        )
        return [f"{found.location.file}:{found.location.line}: {found.spelling}" for found in parsed.diagnostics]

    text = source.read_text("utf-8")
    assert complaints(text) == []
    assert complaints(text + "device float *lost(threadgroup float *x) { return x; }\n")
    assert complaints(text + "double wide(double x) { return x; }\n")


def test_a_device_is_chosen_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from edgesleep import kernel; print(*kernel.device(), sep='|')"

    def said(name: str) -> str:
        monkeypatch.setenv("EDGESLEEP_DEVICE", name)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert said("cpu") == "cpu|EDGESLEEP_DEVICE=cpu"
    for name in ("auto", "cuda", "metal"):
        device, _, why = said(name).partition("|")
        assert device in ("cpu", "cuda", "metal") and why
    monkeypatch.setenv("EDGESLEEP_DEVICE", "abacus")
    with pytest.raises(KernelError, match="abacus"):
        kernel.device()
