"""How long a command takes beside its training steps: from its first letter to the first step, and after the last.

    .venv/bin/python scripts/bench/start.py --data DIR --repeats 5
    … --sources src,/other/checkout/src               two versions in turn
    … --without-bytecode                               as where an installation has compiled nothing

Each sweep is a command of its own in a new process; the first one of each, which may decode data, is not counted. When
the steps began and ended is told by its run folders: config.yaml is written before the network is built, confusion.csv
after its last evaluation. DIR holds MNIST as torchvision lays it out. The table goes to standard output.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

SWEEPS: Mapping[str, Sequence[str]] = {
    "quick start": ["experiment=quickstart"],
    "12 runs of MLP 128-64, Adam, MNIST, 1 epoch": [
        "dataset=mnist",
        "model=mlp_small",
        "optimizer=adam",
        "optimizer.lr=0.01,0.003,0.001,0.0003",
        "train.epochs=1",
    ],
}

# A server that a command has started may still be ending when the command has.
_SECONDS_BETWEEN = 2.0


@dataclass(frozen=True)
class Case:
    """What is measured: a sweep by its name, the sources of triplicate, and whether their bytecode may be used."""

    sweep: str
    source: Path
    with_bytecode: bool


@dataclass(frozen=True)
class Seconds:
    """Of one command."""

    start: float
    steps: float
    end: float

    @property
    def whole(self) -> float:
        return self.start + self.steps + self.end

    @property
    def beside(self) -> float:
        return self.start + self.end


def main() -> None:
    arguments = parse()
    bytecodes = (True, False) if arguments.without_bytecode else (True,)
    cases = [Case(*values) for values in product(SWEEPS, arguments.sources, bytecodes)]
    measured: dict[Case, list[Seconds]] = {case: [] for case in cases}
    for repeat, case in product(range(1 + arguments.repeats), cases):
        seconds = measure(case, arguments.data)
        print(f"{repeat}/{arguments.repeats} {case}: {seconds}", file=sys.stderr, flush=True)
        if repeat:
            measured[case].append(seconds)
    print("\n".join(table(measured)))
    print(f"\n`{shlex.join(['python', *sys.argv])}`, medians, on {datetime.now(UTC):%Y-%m-%d}, {machine()}.")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--repeats", type=int, default=5)
    own = Path(__file__).resolve().parents[2] / "src"
    parser.add_argument("--sources", type=paths, default=[own], help="a,b: src folders to compare; its own by default")
    parser.add_argument("--without-bytecode", action="store_true", help="measure that too")
    arguments = parser.parse_args()
    arguments.data = arguments.data.resolve()
    return arguments


def paths(text: str) -> list[Path]:
    return [Path(name).resolve() for name in text.split(",")]


def measure(case: Case, data: Path) -> Seconds:
    """One command, in a new process and a new folder."""
    time.sleep(_SECONDS_BETWEEN)
    with tempfile.TemporaryDirectory() as folder:
        sweep = Path(folder, "sweep")
        words = [*SWEEPS[case.sweep], f"data_dir={data}", "device=cpu", f"output_dir={sweep}"]
        began = time.time()
        done = subprocess.run(
            [sys.executable, "-m", "triplicate", *words],
            env=environment(case, Path(folder)),
            cwd=folder,
            capture_output=True,
            text=True,
        )
        ended = time.time()
        if done.returncode != 0:
            raise SystemExit(f"{case}: failed\n{done.stderr}")
        first = min(file.stat().st_mtime for file in sweep.glob("runs/*/config.yaml"))
        last = max(file.stat().st_mtime for file in sweep.glob("runs/*/confusion.csv"))
    return Seconds(start=first - began, steps=last - first, end=ended - last)


def environment(case: Case, empty: Path) -> dict[str, str]:
    """The variables of a command. OMP_WAIT_POLICY is set by the command itself."""
    unwanted = ("OMP_WAIT_POLICY", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    variables = {name: value for name, value in os.environ.items() if name not in unwanted}
    variables["PYTHONPATH"] = str(case.source)
    if not case.with_bytecode:
        variables |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(empty)}
    return variables


def table(measured: Mapping[Case, Sequence[Seconds]]) -> Iterator[str]:
    """A row for each case, in seconds; the least and the most of the whole command too."""
    several = len({case.source for case in measured}) > 1
    yield "| seconds | to the first step | steps | after the last | whole command | least | most | beside the steps |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for case, seconds in measured.items():
        notes = [case.sweep, *([str(case.source)] if several else []), *([] if case.with_bytecode else ["no bytecode"])]
        wholes = [one.whole for one in seconds]
        middle = [
            statistics.median(values)
            for values in (
                [one.start for one in seconds],
                [one.steps for one in seconds],
                [one.end for one in seconds],
                wholes,
            )
        ]
        numbers = [*middle, min(wholes), max(wholes), statistics.median(one.beside for one in seconds)]
        yield f"| {', '.join(notes)} | {' | '.join(f'{number:.1f}' for number in numbers)} |"


def machine() -> str:
    import torch

    from triplicate.records import environment

    return str(environment.describe(torch.device("cpu"))["machine"])


if __name__ == "__main__":
    main()
