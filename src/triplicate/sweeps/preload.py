"""Imports what a worker may need, in the server before workers are forked from it, so that they share it at once."""

import atexit
import gc
import os
import sys

from triplicate.lazy import importing
from triplicate.parts import classes, kinds

with importing():
    import triplicate.reports.report
    import triplicate.sweeps.train  # noqa: F401

    for _kind in list(kinds()):
        classes(_kind)

# A worker need not look through all that for what is no longer needed, and so shares the memory of it for good.
gc.freeze()

# The server has nothing to tidy up when it ends, and taking every module apart would take the next command's time.
if any("multiprocessing.forkserver" in word for word in sys.orig_argv):
    atexit.register(os._exit, 0)
