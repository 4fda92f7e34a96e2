"""`python -m triplicate`, the same as the console script."""

import gc
import signal
import sys


def main() -> int:
    """Run the command line. Ctrl-C while it is being imported ends it too; while it ends, signals change nothing."""
    try:
        from triplicate.sweeps import server

        try:
            server.start_early(sys.argv[1:])
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


if __name__ == "__main__":
    raise SystemExit(main())
