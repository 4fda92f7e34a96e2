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
       triplicate reproduce [FLAGS] --all [key=value …]

  Train every experiment of a study, single ones, or with --all those of all
  studies, the cheapest first, and write one table of them: published, measured,
  difference, verdict. It goes on after a failure, and its exit code is then 1.

  Each has its folder in outputs/reproduce, or in DIR with output_dir=DIR. The
  same command goes on there where it was interrupted, be it days later, and
  trains nothing that is finished. With keys that change what is trained, such
  as train.epochs=1, the folder is outputs/reproduce/train.epochs=1, and its
  tables have no verdicts.

  What takes a GPU is left out on a CPU, and trained where there is a GPU; an
  experiment that is named by itself is trained anyway.

  Examples:

    triplicate reproduce --all
    triplicate reproduce cv2025 dlhw1/mlp seed=0"""

PAGES: Mapping[str, str] = {"plan": _PLAN, "samples": _SAMPLES, "reproduce": _REPRODUCE}
