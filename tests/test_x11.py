"""How long nobody has touched an X display: a real server where there is one, and one of the test's own that is ill."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("X servers are asked on Linux", allow_module_level=True)

from edgesleep.daemon import aside, x11

ROOT, SAVER = 0x2A, 0x90  # the root window, and the number of the extension that tells


class Server:
    """As much of an X server as is asked here. `idle`: milliseconds, None: it never answers; `key` has to be shown."""

    numbers = itertools.count(30_000 + os.getpid() % 30_000 * 100)

    def __init__(self) -> None:
        self.idle: int | None = 61_500
        self.key = b""
        self.extensions = ["MIT-SCREEN-SAVER"]
        self.opened = 0
        self.number = next(self.numbers)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(f"\0/tmp/.X11-unix/X{self.number}")
        self.socket.listen(4)
        self.clients: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:  # closed
                return
            self.clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as asked:
            *_, name, length = struct.unpack("<BxHHHH2x", asked.read(12))
            asked.read(-(-name // 4) * 4)
            key = asked.read(-(-length // 4) * 4)[:length]
            self.opened += 1
            if key != self.key:
                reason = b"No such key!"
                client.sendall(struct.pack("<BBHHH", 0, len(reason), 11, 0, len(reason) // 4) + reason)
                return
            root = struct.pack("<IIIIIHHHHHHIBBBB", ROOT, 1, 0, 0, 0, 640, 480, 1, 1, 1, 1, 0, 0, 0, 24, 0)
            setup = struct.pack("<IIIIHHBBBBBBBB4x", 0, 1 << 21, (1 << 21) - 1, 0, 0, 65535, 1, 0, 0, 0, 32, 32, 8, 8)
            client.sendall(struct.pack("<BxHHH", 1, 11, 0, len(setup + root) // 4) + setup + root)
            count = 0
            while head := asked.read(4):
                count += 1
                operation, detail, length = struct.unpack("<BBH", head)
                asked.read(4 * length - 4)
                if (reply := self._reply(operation, detail)) is None:
                    return threading.Event().wait()
                detail, body = reply
                body = body.ljust(max(24, -(-len(body) // 4) * 4), b"\0")
                client.sendall(struct.pack("<BBHI", 1, detail, count & 0xFFFF, len(body) // 4 - 6) + body)

    def _reply(self, operation: int, detail: int) -> tuple[int, bytes] | None:
        if operation == 98:  # QueryExtension
            return 0, struct.pack("<BBBB", 1, SAVER, 0, 0)
        if operation == 99:  # ListExtensions
            names = b"".join(bytes([len(name)]) + name.encode() for name in self.extensions)
            return len(self.extensions), b"\0" * 24 + names
        if operation == 101:  # GetKeyboardMapping, of one key
            return 1, b"\0" * 24 + struct.pack("<I", 0)
        if (operation, detail) == (SAVER, 1):  # QueryInfo
            return None if self.idle is None else (0, struct.pack("<IIIIB", 0, 0, self.idle, 0, 0))
        return 0, b""

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)  # it is waited for
        self.socket.close()
        for client in self.clients:
            client.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("XAUTHORITY", str(tmp_path / "none"))
    monkeypatch.setattr(aside, "TIMEOUT", 60.0)  # a machine that does much else is slow
    made = Server()
    yield made
    made.close()


def test_a_display_tells_how_long_nobody_touched_it_over_one_connection(server: Server) -> None:
    displays = x11.Displays()
    assert displays.idle([server.number], None) == 61.5
    server.idle = 250
    assert displays.idle([server.number], None) == 0.25
    assert server.opened == 1
    assert displays.idle([], None) is None


def test_of_two_displays_the_one_counts_that_was_used_last_and_both_have_to_tell(server: Server) -> None:
    told: dict[int, float | None] = {1: 300.0, 2: 5.0}
    displays = x11.Displays()
    for number in told:
        displays._known[number] = x11._Display(number)
        displays._known[number].idle = aside.Aside(lambda number=number: told[number])  # type: ignore[misc]
    assert displays.idle([1, 2], None) == 5.0
    told[1] = None
    assert displays.idle([1, 2], None) is None


@pytest.mark.parametrize("extensions", [[], ["MIT-SCREEN-SAVER", "XWAYLAND"]])
def test_a_server_that_cannot_tell_or_sees_only_its_own_windows_is_unknown(
    server: Server, extensions: list[str]
) -> None:
    server.extensions = extensions
    assert x11.Displays().idle([server.number], None) is None
    assert server.opened == 1


def test_a_server_that_hangs_is_unknown_within_a_moment_and_holds_up_nobody(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    displays = x11.Displays()
    assert displays.idle([server.number], None) == 61.5
    server.idle = None
    monkeypatch.setattr(aside, "TIMEOUT", 0.2)
    threads, began = threading.active_count(), time.monotonic()
    for _ in range(200):
        assert displays.idle([server.number], None) is None
    assert time.monotonic() - began < 200 * aside.TIMEOUT / 2  # only the first waited for it
    assert threading.active_count() <= threads + 1


def test_whoever_has_time_is_told_by_a_server_that_is_slow(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, displays = threading.Semaphore(0), x11.Displays()

    def slow() -> float:
        answers.acquire()
        return 61.5

    displays._known[server.number] = x11._Display(server.number)
    displays._known[server.number].idle = aside.Aside(slow)
    monkeypatch.setattr(aside, "TIMEOUT", 0.01)
    assert displays.idle([server.number], None) is None
    for _ in range(2):  # the question that is under way, and one of its own
        late = threading.Timer(0.2, answers.release)
        late.start()
        with aside.patience(60.0):
            assert displays.idle([server.number], None) == 61.5
        late.join()
    assert displays.idle([server.number], None) is None
    answers.release()


def test_a_server_that_is_gone_ends_nothing_and_is_tried_again_later(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    displays = x11.Displays()
    assert displays.idle([server.number], None) == 61.5
    server.clients[0].shutdown(socket.SHUT_RDWR)
    assert displays.idle([server.number], None) is None
    assert displays.idle([server.number], None) is None and server.opened == 1
    monkeypatch.setattr(x11, "AGAIN", 0.0)
    assert displays.idle([server.number], None) == 61.5 and server.opened == 2


def test_a_display_is_opened_with_the_key_that_the_desktop_has_for_it(server: Server, tmp_path: Path) -> None:
    server.key = bytes(range(16))
    assert x11.Displays().idle([server.number], None) is None
    fields = [socket.gethostname().encode(), str(server.number).encode(), b"MIT-MAGIC-COOKIE-1", server.key]
    packed = b"".join(struct.pack(">H", len(field)) + field for field in fields)
    (tmp_path / "keys").write_bytes(struct.pack(">H", 256) + packed)
    assert x11.Displays().idle([server.number], str(tmp_path / "keys")) == 61.5


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([""], [7]),
        ([":3"], [3, 7]),
        (["unix/:3.0", ":7"], [3, 7]),
        (["localhost:3.0", "far.example:3", ":4", "3"], [7]),
    ],
)
def test_a_display_is_this_users_where_it_is_named_or_served_by_its_own_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, names: list[str], found: list[int]
) -> None:
    for name in ("X3", "X7", "X7-lock", "other"):
        (tmp_path / name).touch()
    monkeypatch.setattr(x11, "SOCKETS", tmp_path)
    owner = os.stat_result((0, 0, 0, 0, os.getuid() + 1, *(0,) * 5))
    own: Callable[[Path], os.stat_result] = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: owner if path.name == "X3" else own(path, **how))
    assert x11.displays(names) == found


def test_without_any_display_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(x11, "SOCKETS", tmp_path / "none")
    assert x11.displays([":0"]) == []


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[int]:
    """A real X server, which shows its windows nowhere."""
    if not shutil.which("Xvfb"):
        pytest.skip("there is no Xvfb here")
    monkeypatch.setenv("XAUTHORITY", str(tmp_path / "none"))
    reads, writes = os.pipe()
    command = ["Xvfb", "-displayfd", str(writes), "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[writes], stderr=subprocess.DEVNULL) as running:
        os.close(writes)
        with Path(f"/dev/fd/{reads}").open(encoding="ascii") as told:
            number = told.readline()
        os.close(reads)
        yield int(number)
        running.terminate()


def test_a_real_server_tells_when_a_key_was_pressed(display: int) -> None:
    from Xlib import X
    from Xlib.display import Display
    from Xlib.ext import xtest

    assert display in x11.displays([])
    displays, until = x11.Displays(), time.monotonic() + 60
    while (before := displays.idle([display], None)) is None or before < 0.5:
        assert time.monotonic() < until
        time.sleep(0.1)
    typing = Display(f"unix/:{display}")
    for event in (X.KeyPress, X.KeyRelease):
        xtest.fake_input(typing, event, 38)
    typing.sync()
    after = displays.idle([display], None)
    assert after is not None and after < before
    typing.close()
