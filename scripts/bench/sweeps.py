"""How fast sweeps train: triplicate beside what its users could pick instead.

    scripts/bench/run --data DIR                       installs what is compared with, then runs this
    .venv/bin/python scripts/bench/sweeps.py --data DIR --workloads fashion_mlp --repeats 3

What is trained stands in workloads.py, and how each side trains it in sides/, a file a side. Each side is a process of
its own, one after the other and in turn, and the medians of the repeats are compared. Sides whose package is not
installed are told and left out. DIR holds the data as torchvision lays them out (CIFAR-10 also as triplicate reads it
from folders of PNG files). The tables go to standard output, and to files if asked for.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import importlib.metadata
import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from sides import SIDES
from sides.measurement import Measurement
from workloads import WORKLOADS, Workload

PACKAGES = ("triplicate", "torch", "torchvision", "jax", "keras", "lightning", "skorch", "hydra-joblib-launcher")


@dataclass(frozen=True)
class Result:
    """One measurement of one side; `repeat` counts from 1."""

    workload: str
    side: str
    repeat: int
    measurement: Measurement


def main() -> None:
    arguments = parse()
    if arguments.side:
        print(measure_here(arguments.side, WORKLOADS[arguments.workload], arguments.data, arguments.steps))
        return
    workloads = [WORKLOADS[name] for name in arguments.workloads]
    for workload in workloads:
        workload.training_images(arguments.data)  # what is decoded or downloaded the first time is no side's time
    results = measure_all(workloads, arguments.sides, arguments.data, arguments.repeats)
    facts = Facts.here()
    if arguments.csv:
        write_csv(arguments.csv, results, facts)
    page = markdown(results, facts)
    print(page, end="")
    if arguments.markdown:
        arguments.markdown.write_text(page)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--workloads", type=names_of(WORKLOADS), default=list(WORKLOADS), help="a,b; all by default")
    parser.add_argument("--sides", type=names_of(SIDES), default=list(SIDES), help="a,b; all by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--csv", type=Path, help="where every measurement goes")
    parser.add_argument("--markdown", type=Path, help="where the tables go too")
    parser.add_argument("--side", choices=SIDES, help="measure this one in this process, and print a line of JSON")
    parser.add_argument("--workload", choices=WORKLOADS, help="with --side")
    parser.add_argument("--steps", type=int, help="with --side, instead of what workloads.py has for it")
    arguments = parser.parse_args()
    arguments.data = arguments.data.resolve()
    if bool(arguments.side) != bool(arguments.workload) or (arguments.steps is not None and not arguments.side):
        parser.error("--side and --workload go together, and --steps with them")
    return arguments


def names_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """What reads names with commas between them."""

    def names(text: str) -> list[str]:
        chosen = text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(known)}")
        return chosen

    return names


# A side, in a process of its own


def measure_here(side: str, workload: Workload, data: Path, steps: int | None) -> str:
    """The measurement as JSON, or what is missing for it."""
    try:
        module = importlib.import_module(f"sides.{side}")
        measurement = module.measure(workload, data, workload.steps[side] if steps is None else steps)
    except ModuleNotFoundError as error:
        return json.dumps({"missing": error.name})
    return json.dumps(asdict(measurement))


# All sides in turn


def measure_all(workloads: Sequence[Workload], sides: Sequence[str], data: Path, repeats: int) -> list[Result]:
    results = []
    left_out: set[tuple[str, str]] = set()
    for repeat, workload, side in product(range(1, 1 + repeats), workloads, sides):
        if (workload.name, side) in left_out:
            continue
        measurement = measure_apart(side, workload, data)
        if measurement is None:
            left_out.add((workload.name, side))
        else:
            results.append(Result(workload.name, side, repeat, measurement))
    return results


def measure_apart(side: str, workload: Workload, data: Path) -> Measurement | None:
    """Measure a side in a process of its own; None, and a word on standard error, where it cannot."""
    command = [sys.executable, __file__, "--side", side, "--workload", workload.name, "--data", str(data)]
    # Each side waits as it does by default; triplicate's command line says how it waits itself.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        tell(f"{workload.name}, {side}: failed, left out\n{done.stderr}")
        return None
    answer = json.loads(done.stdout.splitlines()[-1])
    if "missing" in answer:
        tell(f"{workload.name}, {side}: {answer['missing']} is not installed, left out")
        return None
    measurement = Measurement(**answer)
    tell(f"{workload.name}, {side}: {shown(measurement.milliseconds_a_run_step, 3)} ms per run and step")
    return measurement


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# What is written


@dataclass(frozen=True)
class Facts:
    """When, where and with what was measured."""

    date: str
    machine: str
    versions: str
    command: str

    @staticmethod
    def here() -> Facts:
        import torch

        from triplicate.records import environment

        machine = environment.describe(torch.device("cpu"))["machine"]
        command = shlex.join(["python", *sys.argv])
        return Facts(f"{datetime.now(UTC):%Y-%m-%d}", machine, ", ".join(versions()), command)


def versions() -> Iterable[str]:
    yield f"Python {sys.version.split()[0]}"
    for package in PACKAGES:
        try:
            yield f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"no {package}"


def write_csv(path: Path, results: Sequence[Result], facts: Facts) -> None:
    """A row a measurement; a field that a side does not know is empty."""
    measures = [field.name for field in fields(Measurement)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["date", "machine", "workload", "side", "repeat", *measures])
        for result in results:
            values = asdict(result.measurement).values()
            row = (result.workload, result.side, result.repeat)
            writer.writerow([facts.date, facts.machine, *row, *values])


def markdown(results: Sequence[Result], facts: Facts) -> str:
    """A table a workload, and where and how they were measured."""
    tables = [table(name, [r for r in results if r.workload == name]) for name in unique(r.workload for r in results)]
    repeats = max((r.repeat for r in results), default=0)
    rates = known(result.measurement.gigaflops for result in results)
    rate = f"float32 matrix products of 2048³: {statistics.median(rates):.0f} GFLOP/s. " if rates else ""
    return "\n".join(
        [
            *tables,
            f"`{facts.command}`, sides in turn, repeats: {repeats}, on {facts.date}, {facts.machine}. {rate}"
            f"{facts.versions}.\n",
        ]
    )


def table(workload: str, results: Sequence[Result]) -> str:
    sides = unique(result.side for result in results)
    by_side = {side: [result.measurement for result in results if result.side == side] for side in sides}
    times = {side: known(m.milliseconds_a_run_step for m in measured) for side, measured in by_side.items()}
    own = statistics.median(times["triplicate"]) if times.get("triplicate") else None
    lines = [
        f"### {workload}: {described(WORKLOADS[workload])}\n",
        "| ms per run and step | median | least | most | to triplicate |",
        "|---|--:|--:|--:|--:|",
    ]
    for side, values in times.items():
        if values:
            median = statistics.median(values)
            numbers = [shown(median), shown(min(values)), shown(max(values)), shown(median / own if own else None)]
            lines.append(f"| {side} | {' | '.join(numbers)} |")
    return "\n".join([*lines, *whole_commands(workload, by_side)]) + "\n"


def described(workload: Workload) -> str:
    rates = ", ".join(f"{rate:g}" for rate in workload.rates)
    return f"{len(workload.runs)} runs of `{workload.model}` on {workload.dataset}, {workload.optimizer}, rates {rates}"


def whole_commands(workload: str, by_side: dict[str, list[Measurement]]) -> Iterable[str]:
    """A line on each side that is a command: how long it took from start to end."""
    for side, measured in by_side.items():
        steps = WORKLOADS[workload].steps[side]
        length = f"{1 + steps} epochs" if side == "triplicate" else f"{steps} steps per run"
        seconds = {
            "one epoch": known(m.one_epoch_process_seconds for m in measured),
            length: known(m.process_seconds for m in measured),
        }
        told = [f"{length} {statistics.median(values):.1f} s" for length, values in seconds.items() if values]
        if told:
            yield f"\nThe whole command of {side}: {', '.join(told)}."


def known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def unique(values: Iterable[str]) -> list[str]:
    """Each value once, in the order in which they come."""
    return list(dict.fromkeys(values))


def shown(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
