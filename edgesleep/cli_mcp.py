"""`edgesleep mcp`: the MCP server on stdin and stdout, as an assistant starts it.

Owns the command. Leaves the tools to `mcp_server`. Must stay true: stdout is the protocol's alone.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from edgesleep.errors import EdgesleepError


@click.command()
@click.pass_obj
def mcp(home: Path) -> None:
    """Let another assistant on this machine remember, recall and forget, by the Model Context Protocol.

    The assistant starts it, and speaks with it through stdin and stdout: give it this command. What it notes for you is
    in its words and not in yours, so nothing is learned or recalled of it before you approve it: `edgesleep memories
    list --state withheld` shows it, and `edgesleep memories approve` makes it your own. It forgets only what it has
    shown before, with a code that stands for just that, and starts no night. What it recalls goes to that assistant,
    and where that one's model is elsewhere, it leaves this machine. Approved secrets are not handed out.
    Needs `pip install 'edgesleep[mcp]'`.

    Example: claude mcp add edgesleep -- edgesleep mcp
    """
    try:
        from edgesleep.mcp_server import server
    except ImportError as error:
        raise EdgesleepError(
            f"The package {error.name} is not here.", "Install it: `pip install 'edgesleep[mcp]'`."
        ) from error
    with suppress(KeyboardInterrupt):
        server(home).run("stdio")
