"""`python -m triplicate`, the same as the console script. What loads slowly is imported when the server has begun."""

import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

# Words with which nothing is trained.
_SHOWING = ("--help", "-h", "--version", "--cfg", "-c", "--info", "-i", "--hydra-help", "--shell-completion", "-sc")


def main() -> int:
    """Run the command line. Ctrl-C while it is being imported ends it too; while it ends, signals change nothing."""
    try:
        from triplicate.sweeps import server

        try:
            start_early(sys.argv[1:])
            from triplicate import cli
            from triplicate.sweeps.interruption import SIGNALS

            code = cli.main()
        finally:
            server.stop()
    except KeyboardInterrupt:
        return 130
    if code > 128:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    gc.freeze()  # else Python searches all of torch for what is no longer needed before it ends, most of a second
    return code


def start_early(words: Sequence[str]) -> None:
    """Start the process that workers are forked from, where a command line looks as if it trained or planned a sweep:
    it loads torch while this one reads what the line says.
    """
    from triplicate.commands import COMMANDS
    from triplicate.errors import UserError
    from triplicate.sweeps import server

    given = [word.partition("=")[0] for word in words]
    others = [name for name, command in COMMANDS.items() if not command.sweeps or name == "samples"]
    if "COMP_LINE" in os.environ or not {*others, *_SHOWING, "--run", "-r"}.isdisjoint(given):
        return
    with suppress(OSError, UserError):  # it is told of when a worker is wanted
        server.start()


if __name__ == "__main__":
    raise SystemExit(main())
