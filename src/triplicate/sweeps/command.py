"""The command that sweeps, as it was typed."""

from __future__ import annotations

import shlex
import sys

from triplicate.parts import outside


def command() -> str:
    """The command line, without what was added to it for Hydra."""
    parts = [word for file in outside.Brought.of_this_process().files for word in ("--parts", str(file))]
    return shlex.join(["triplicate", *parts, *(a for a in sys.argv[1:] if a != "--multirun")])
