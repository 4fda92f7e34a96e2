"""What a side is found to take."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

WARM_UP_STEPS = 20


@dataclass(frozen=True)
class Measurement:
    """
    Attributes:
        milliseconds_a_run_step: wall time of training / (runs trained × their steps).
        process_seconds: of the whole command from its start to its end, where the side is a command.
        one_epoch_process_seconds: the same for a command that trains one epoch, if it was measured too.
        gigaflops: the machine's rate of float32 matrix products, in 10⁹ operations a second.
    """

    milliseconds_a_run_step: float | None = None
    process_seconds: float | None = None
    one_epoch_process_seconds: float | None = None
    gigaflops: float | None = None

    @staticmethod
    def of(seconds: float, run_steps: int) -> Measurement:
        """From the wall time in which so many steps were made, counted over all runs."""
        return Measurement(1e3 * seconds / run_steps)


def seconds_of(command: Sequence[str]) -> float:
    """Of a whole command, which must succeed; what it prints goes to standard error."""
    began = time.perf_counter()
    subprocess.run(command, stdout=sys.stderr, check=True)
    return time.perf_counter() - began
