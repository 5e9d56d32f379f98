"""The commands of the daemon: what it would do now, having it run, and asking it.

Owns how its state is told in a line and in JSON. Leaves the service's files to `daemon.service`, the daemon to
`daemon.loop`, and what stands against a night to `daemon.policy`. Must stay true: nothing heavy is loaded, so that the
daemon stays small; what only reports changes nothing.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesleep import config, errors
from edgesleep.cli_shared import daemon_line, dry_run_flag, json_flag, print_json
from edgesleep.errors import EdgesleepError

if TYPE_CHECKING:
    from edgesleep.daemon.loop import Daemon
    from edgesleep.daemon.service import Service

SHOWN = 20  # lines of the log, unless more are asked for

sensors_option = click.option(
    "--sensors",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read this JSON in place of the machine's sensors; for tests. Keys as `would-run --json` shows them.",
)


@click.command("would-run")
@sensors_option
@json_flag
@click.pass_obj
def would_run(home: Path, sensors: Path | None, as_json: bool) -> int:
    """Say whether the daemon would begin a night now, and what stands against it.

    Every reason has a name. What no sensor knows stands against nothing, but for two things: whether someone is here,
    and whether there is mains power. Exit codes: 0 it would, 5 it would not.

    Example: edgesleep would-run --json
    """
    from edgesleep.daemon import loop, policy
    from edgesleep.daemon import sensors as sensing
    from edgesleep.daemon.keeper import Keeper

    settings = config.load(home).daemon
    keeper, machine = Keeper(settings, loop.remembered(home)), sensing.sensors(home, sensors)
    reading = sensing.settled(machine)
    affairs = keeper.affairs(loop.moment(), loop.Home(home).facts())
    keeper.against = tuple(policy.against_beginning(reading, affairs, settings))
    begins = not keeper.against
    if as_json:
        print_json({"would_run": begins, **loop.standing(keeper, reading)})
    else:
        click.echo("A night would begin now." if begins else "No night would begin now:")
        for no in keeper.against:
            click.echo(f"  {no.name}: {no}")
    return errors.DONE if begins else errors.SKIPPED


@click.group()
def daemon() -> None:
    """Have nights come by themselves, while nobody is here.

    Example: edgesleep daemon install
    """


@daemon.command("run")
@click.option("--once", is_flag=True, help="Look once: have a night begin where it may, and stay for that only.")
@sensors_option
@click.pass_obj
def run_(home: Path, once: bool, sensors: Path | None) -> int:
    """Be the daemon, until stopped; a service manager calls this.

    With --once whatever starts programs by the clock can call it. Exit codes: 5 no night began, 4 another daemon is
    there.

    Example: edgesleep daemon run
    """
    began = _daemon(home, sensors).run(once)
    return errors.DONE if began or not once else errors.SKIPPED


def _daemon(home: Path, sensors: Path | None = None) -> Daemon:
    from edgesleep.daemon import loop
    from edgesleep.daemon import sensors as sensing

    return loop.Daemon(home, config.load(home).daemon, sensing.sensors(home, sensors))


# -- the service ---------------------------------------------------------------------------------------------------


@daemon.command()
@click.option(
    "--timer", is_flag=True, help="No daemon that stays: one look every five minutes, and a process only for a night."
)
@dry_run_flag
@click.pass_obj
def install(home: Path, timer: bool, dry_run: bool) -> None:
    """Have the system start the daemon whenever you log in, and start it now.

    A user unit of systemd, an agent of launchd or a scheduled task of Windows. Installed again it is the same; with
    --timer, or without it, it takes the place of the other.

    Example: edgesleep daemon install --dry-run
    """
    from edgesleep.daemon.service import run

    config.load(home)
    service, other = _service(home, timer), _service(home, not timer)
    if dry_run:
        for path, text in service.files:
            click.echo(f"Would write {path}:\n")
            click.echo(text.decode("utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"))
        _remove(other, dry_run)
        for command in (*service.install, *service.start):
            click.echo(f"Would run: {' '.join(command)}")
        return
    if not home.is_dir():
        raise EdgesleepError(f"There is no home at {home}.", "`edgesleep init` makes one.")
    _remove(other, dry_run)
    changed = not service.is_current
    if changed:
        run(service.stop, may_fail=True)
        service.write()
    run(service.install)
    run(service.start, may_fail=not changed)  # launchd refuses what it has started already
    click.echo(f"{'Installed' if changed else 'Already installed'} and started: {service.path}")


@daemon.command()
@dry_run_flag
@click.pass_obj
def uninstall(home: Path, dry_run: bool) -> None:
    """Stop the daemon and have the system no longer start it.

    Example: edgesleep daemon uninstall
    """
    installed = _installed(home)
    for service in installed:
        _remove(service, dry_run)
    if not installed:
        click.echo(f"Not installed: there is no {_service(home).path}")


def _remove(service: Service, dry_run: bool) -> None:
    from edgesleep.daemon.service import run

    if not service.is_installed:
        return
    if dry_run:
        for path, _ in service.files:
            click.echo(f"Would remove {path}")
        for command in service.remove:
            click.echo(f"Would run: {' '.join(command)}")
        return
    run(service.remove[:1], may_fail=True)
    service.erase()
    run(service.remove[1:], may_fail=True)
    click.echo(f"Removed: {service.path}")


@daemon.command()
@click.pass_obj
def start(home: Path) -> None:
    """Start the daemon that is installed.

    Example: edgesleep daemon start
    """
    _control(home, "start")


@daemon.command()
@click.pass_obj
def stop(home: Path) -> None:
    """Stop it, until it is started or you log in again. A night that is under way is gone on with later.

    A timer on Windows stays stopped when you log in again.

    Example: edgesleep daemon stop
    """
    _control(home, "stop")


def _control(home: Path, what: str) -> None:
    from edgesleep.daemon.service import run

    installed = _installed(home)
    if not installed:
        raise EdgesleepError("The daemon is not installed.", "`edgesleep daemon install` does it.")
    for service in installed:
        run(getattr(service, what))
        click.echo(f"{'Started' if what == 'start' else 'Stopped'}: {service.name}")


def _installed(home: Path) -> list[Service]:
    """Which there is of the daemon that stays and the timer, which take each other's place."""
    return [one for one in (_service(home), _service(home, timer=True)) if one.is_installed]


def _service(home: Path, timer: bool = False) -> Service:
    from edgesleep.daemon.service import service

    return service(home, timer=timer)


# -- asking it -----------------------------------------------------------------------------------------------------


@daemon.command()
@json_flag
@click.pass_obj
def status(home: Path, as_json: bool) -> None:
    """Say what the daemon is at, how the last night ended, and when the next may begin.

    Example: edgesleep daemon status --json
    """
    _show(_asked(home, do="status"), as_json)


@daemon.command()
@click.option("--minutes", type=click.FloatRange(min=0), help="For how long; without it until `resume`.")
@json_flag
@click.pass_obj
def pause(home: Path, minutes: float | None, as_json: bool) -> None:
    """Have no night begin, and end the one that is under way.

    Example: edgesleep daemon pause --minutes 120
    """
    _show(_asked(home, do="pause", minutes=minutes), as_json)


@daemon.command()
@json_flag
@click.pass_obj
def resume(home: Path, as_json: bool) -> None:
    """End a pause, and try again what the daemon had given up on.

    Example: edgesleep daemon resume
    """
    _show(_asked(home, do="resume"), as_json)


@daemon.command("run-now")
@json_flag
@click.pass_obj
def run_now(home: Path, as_json: bool) -> None:
    """Have a night begin now, whatever the hour and although you are here.

    Power, heat, memory and disk are still heeded.

    Example: edgesleep daemon run-now
    """
    _show(_asked(home, do="run"), as_json)


@daemon.command()
@click.option("--lines", "count", type=click.IntRange(min=1), default=SHOWN, help="How many. [default 20]")
@json_flag
@click.pass_obj
def logs(home: Path, count: int, as_json: bool) -> None:
    """Show what the daemon did.

    Example: edgesleep daemon logs --lines 100
    """
    from edgesleep.daemon import log

    kept = [*log.lines(home)][-count:]
    if as_json:
        print_json(kept)
        return
    for line in kept:
        more = {name: value for name, value in line.items() if name not in ("at", "event") and value not in (None, [])}
        told = "  ".join(f"{n} {', '.join(v) if isinstance(v, list) else v}" for n, v in more.items())
        click.echo(f"{line.get('at', '')}  {line.get('event', '')}  {told}".rstrip())


def _asked(home: Path, **asked: Any) -> dict[str, Any]:
    """What the daemon answers; between two looks of a timer, whoever asks is it."""
    from edgesleep.daemon.control import answers, ask

    if answers(home) or not _has_timer(home):
        return ask(home, **asked)
    if asked["do"] == "run":
        raise EdgesleepError("A timer looks now and then, and no daemon runs.", "`edgesleep run-night` runs a night.")
    return _daemon(home).alone(asked)


def _has_timer(home: Path) -> bool:
    with suppress(EdgesleepError):  # a system without a known kind of service
        return _service(home, timer=True).is_installed
    return False


def _show(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(told)
    else:
        click.echo(daemon_line(told))
