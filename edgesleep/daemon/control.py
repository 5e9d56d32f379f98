"""The control socket: how the daemon is asked and told something by whoever owns the home.

Owns the socket, one line of JSON each way, and who may connect. Leaves what is asked to `loop` and `cli_daemon`. Must
stay true: only the owner of the home gets through; a client that says nothing, or too much, holds up nobody for longer
than a moment; no second daemon serves the same home. On Windows, where this never ran, it is a port of the machine
itself, and a word that only the owner can read.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import stat
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from edgesleep.daemon.log import CLAIM, FOLDER
from edgesleep.errors import BusyError, EdgesleepError
from edgesleep.files import make_folder, write_atomically
from edgesleep.lock import Claim

SOCKET, PORT = "control.sock", "control.json"
PATIENCE = 0.2  # seconds that a client may take
ANSWER = 10.0  # seconds within which the daemon answers: it may be reading its sensors
MOST = 1 << 16  # bytes of a request, and of an answer
LONGEST = 100  # bytes of a socket's path, everywhere

Answer = dict[str, Any]


class Server:
    """The daemon's end. `socket` becomes readable when someone asks."""

    def __init__(self, home: Path) -> None:
        folder = make_folder(home / FOLDER)
        self.path, self.word = folder / (SOCKET if hasattr(socket, "AF_UNIX") else PORT), ""
        self._claim = Claim(folder / CLAIM)
        try:
            # The claim is what counts; a daemon from before an update has made none, but answers.
            if not self._claim.take() or answers(home):
                raise BusyError("A daemon already serves this home.", "`edgesleep daemon status` asks it.")
            self._listen()
        except BaseException:
            self._claim.drop()
            raise

    def _listen(self) -> None:
        if hasattr(socket, "AF_UNIX"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.path.unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                self.socket.bind(_short(self.path))
            except OSError as error:
                raise EdgesleepError(
                    f"{self.path} cannot be made: {error.strerror}.", "Its file system has to know sockets."
                ) from error
            finally:
                os.umask(before)
        else:
            self.socket, self.word = socket.socket(), secrets.token_hex(16)
            self.socket.bind(("127.0.0.1", 0))
            write_atomically(self.path, json.dumps([self.socket.getsockname()[1], self.word]).encode())
        self.socket.listen(4)

    def serve(self, answer: Callable[[Answer], Answer]) -> None:
        """Take one request and answer it; one that makes no sense is told so, whatever it is."""
        with suppress(OSError), closing(self.socket.accept()[0]) as client:
            told: Answer = {"error": "That is no request."}
            try:
                asked = json.loads(_line(client, PATIENCE))
                word = str(asked.get("word", "")).encode("utf-8", "replace")
                if secrets.compare_digest(word, self.word.encode()):
                    told = {
                        "error": "The daemon could not do that.",
                        "hint": "`edgesleep daemon logs` shows what it did.",
                    }
                    told = answer(asked)
            except OSError:
                raise
            except Exception:  # there is no end of what JSON can hold, and none of it may end a night
                pass
            client.settimeout(PATIENCE)
            client.sendall(json.dumps(told).encode() + b"\n")

    def close(self) -> None:
        self.socket.close()
        with suppress(OSError):  # of a home that is gone
            self.path.unlink(missing_ok=True)
        self._claim.drop()


def ask(home: Path, **asked: Any) -> Answer:
    """What the daemon answers. Raises EdgesleepError where none runs, or where it says that it cannot."""
    try:
        told = _ask(home, asked)
    except (OSError, ValueError) as error:
        raise EdgesleepError("No daemon serves this home.", "`edgesleep daemon start` starts it.") from error
    if "error" in told:
        raise EdgesleepError(str(told["error"]), str(told.get("hint", "")))
    return told


def answers(home: Path) -> bool:
    """Whether a daemon serves this home."""
    try:
        return bool(_ask(home, {"do": "ping"}))
    except (OSError, ValueError):
        return False


def makes_way(home: Path) -> bool:
    """Have the daemon end a night that it holds still; whether there is one that ends."""
    with suppress(EdgesleepError):
        return bool(ask(home, do="make way").get("makes_way"))
    return False


def _ask(home: Path, asked: Answer) -> Answer:
    with closing(_connected(home, asked)) as daemon:
        daemon.sendall(json.dumps(asked).encode() + b"\n")
        told: Answer = json.loads(_line(daemon, ANSWER))
        return told


def _connected(home: Path, asked: Answer) -> socket.socket:
    folder = home / FOLDER
    if hasattr(socket, "AF_UNIX"):
        daemon: socket.socket = socket.socket(socket.AF_UNIX)
        place: Any = _short(folder / SOCKET)
        if not stat.S_ISSOCK((folder / SOCKET).stat().st_mode):
            raise OSError("not a socket")
    else:
        daemon = socket.socket()
        port, asked["word"] = json.loads((folder / PORT).read_bytes())
        place = ("127.0.0.1", port)
    daemon.settimeout(ANSWER)
    try:
        daemon.connect(place)
    except OSError:
        daemon.close()
        raise
    return daemon


def _short(path: Path) -> str:
    """The path of a socket. Raises EdgesleepError where it is longer than systems allow."""
    if len(os.fsencode(path)) > LONGEST:
        raise EdgesleepError(
            f"{path} is too long for a socket.", f"Choose a home whose path has less than {LONGEST - 20} letters."
        )
    return str(path)


def _line(end: socket.socket, seconds: float) -> bytes:
    """Everything up to the end of the line. Raises OSError where it takes too long, ValueError where it is too much."""
    data, late = b"", time.monotonic() + seconds  # for all of it: whoever sends a byte at a time gets no more
    while not data.endswith(b"\n"):
        if (left := late - time.monotonic()) <= 0:
            raise TimeoutError("too slow")
        end.settimeout(left)
        part = end.recv(4096)
        if not part:
            break
        data += part
        if len(data) > MOST:
            raise ValueError("too long")
    return data
