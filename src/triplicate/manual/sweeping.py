"""The help of the commands that sweep, which Typer does not know."""

from __future__ import annotations

from collections.abc import Mapping

_PLAN = """\
Usage: triplicate plan [FLAGS] [key=value …]

  Show what a sweep would train, and train nothing: its runs, how they are put
  into stacks, why some train alone, and what output_dir holds already. Without
  key=value it is the plan of the quick start.

  Example:

    triplicate plan model=mlp_base,cnn dataset=mnist"""

_SAMPLES = """\
Usage: triplicate samples [FLAGS] dataset=NAME [key=value …]

  Show the shapes of a data set, its classes with their counts, and pictures of
  three of its images, which are written to samples.png in output_dir.

  Example:

    triplicate samples dataset=cifar10"""

_REPRODUCE = """\
Usage: triplicate reproduce [FLAGS] STUDY… [key=value …]

  Train every experiment of a study, or single ones, one after the other, and
  write one table of them all: published, measured, difference, seconds. It goes
  on after a failure, and its exit code is then 1.

  Example:

    triplicate reproduce cv2025 dlhw1/mlp seed=0"""

PAGES: Mapping[str, str] = {"plan": _PLAN, "samples": _SAMPLES, "reproduce": _REPRODUCE}
