"""Figures that `report.figures` names. Every file here is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.parts import Part

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from triplicate.reports.plots.trained import Trained
    from triplicate.reports.tables import Table


@dataclass(frozen=True)
class Figures(Part, kind="figure", has_group=False):
    """What a configuration names in `report.figures`: plots of one run, of a sweep, or of both.

    What a record does not hold is left out: a run whose gradients were not traced has no figure of them.
    One that raises is left out with a note, and drawn when the sweep is reported again; the others are there.
    """

    def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
        """The figures of one run, by the names of their files; None where there is nothing to draw."""
        return {}

    def of_sweep(self, table: Table) -> Mapping[str, Figure | None]:
        """The figures that compare the rows of a sweep, in the same way."""
        return {}
