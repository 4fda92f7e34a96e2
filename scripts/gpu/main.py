"""What only a machine with a GPU can tell: named checks, each with its figures, then the bench.

    PYTHON=python3 scripts/gpu-check --wheels DIR --data DIR     all, in under 8 minutes
    scripts/gpu-check --only recorded masks                      some
    scripts/gpu-check --device cpu                               a rehearsal in tiny sizes, without a GPU

Not run on a GPU so far. It uses the Python that it is given, with torch and torchvision, and installs nothing. A check
is a process of its own: after an error on a GPU the next one begins anew, and one that takes too long is ended. The
exit code is 1 if a check failed, 2 if none could begin. Goals of speed stand beside the figures and fail nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import libraries
from outcome import Outcome, Setting, Verdict

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Part:
    """A check: the function of its name in a module, and the seconds after which it is ended."""

    name: str
    module: str
    seconds: int


# In this order; the seconds are what each may take at most, and usually does not.
PARTS = (
    Part("tests", "commands", 170),
    Part("recorded", "recording", 40),
    Part("inputs_alive", "recording", 30),
    Part("workers", "commands", 60),
    Part("waits", "recording", 60),
    Part("stacks", "stacks", 60),
    Part("statistics", "stacks", 60),
    Part("masks", "recording", 20),
    Part("memory", "commands", 60),
    Part("sweep", "bench", 60),
    Part("bench", "bench", 120),
)


def main(argv: Sequence[str] | None = None) -> int:
    chosen = arguments(argv)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as name:
        folder = Path(name)
        problem = libraries.prepare(ROOT, chosen.wheels, folder / "site")
        if problem is not None:
            print(f"error: {problem}", file=sys.stderr)
            return 2
        setting = Setting(chosen.device, chosen.data, folder)
        return check(setting, [part for part in PARTS if part.name in chosen.only], chosen.seconds)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(prog="scripts/gpu-check", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="wheels of what this Python lacks")
    parser.add_argument("--data", type=Path, metavar="DIR", help="published files; without them, random images")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: a rehearsal in tiny sizes")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--seconds", type=float, default=460, help="for all of them together (default: 460)")
    return parser.parse_args(argv)


def check(setting: Setting, parts: Sequence[Part], seconds: float) -> int:
    """Run the checks one after the other, tell of each, and give the exit code."""
    import processes  # only here: it loads torch, which what stands in --wheels may be needed for

    ends = time.monotonic() + seconds
    begun = processes.run("machine", "machine", setting, 60)
    print(begun.line("machine"), flush=True)
    if begun.verdict is Verdict.FAIL:
        return 2
    if setting.is_rehearsal:
        print("A rehearsal on a CPU, in tiny sizes: it says nothing of a GPU.", flush=True)
    outcomes = []
    for part in parts:
        outcome = processes.run(part.module, part.name, setting, min(part.seconds, ends - time.monotonic()))
        print(outcome.line(part.name), flush=True)
        outcomes.append(outcome)
    return told(outcomes)


def told(outcomes: Sequence[Outcome]) -> int:
    """Print the tables and the sum of it; the exit code."""
    for outcome in outcomes:
        if outcome.table:
            print(f"\n{outcome.table}")
    counts = {verdict: sum(outcome.verdict is verdict for outcome in outcomes) for verdict in Verdict}
    print("\n" + ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items()))
    return 1 if counts[Verdict.FAIL] else 0


if __name__ == "__main__":
    sys.exit(main())
