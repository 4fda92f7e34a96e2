"""Imports what a worker may need, in the server before workers are forked from it, so that they share it at once."""

import triplicate.reports.report
import triplicate.sweeps.train  # noqa: F401
from triplicate.parts import classes, kinds

for _kind in list(kinds()):
    classes(_kind)
