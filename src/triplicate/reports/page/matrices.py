"""The confusion matrices of a page: of each row the mean over its seeds, and of each run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from triplicate.records.run_folder import Damaged, RunRecord
from triplicate.reports.plots.recorded import recorded
from triplicate.reports.tables import Table

# A table of more classes is not readable; the picture of each run has them.
MOST_CLASSES = 25


def matrices(table: Table) -> dict[str, Any] | None:
    """Classes, and for each choice its name and counts [true class][predicted class]; None where there are none.

    Runs that diverged are left out, as in the table; so are runs with other classes than the first.
    """
    classes: list[str] | None = None
    groups = []
    for row in table.rows:
        of_row = []
        for run in row.settled:
            frame = _read(run)
            if frame is None or len(frame.columns) > MOST_CLASSES:
                continue
            classes = classes or [str(c) for c in frame.columns]
            if [str(c) for c in frame.columns] == classes:
                of_row.append((f"seed {run.summary['seed']}", frame.to_numpy(np.float64)))
        if of_row:
            mean = (f"mean of {len(of_row)} seeds", np.mean([counts for _, counts in of_row], axis=0))
            choices = [mean, *of_row] if len(of_row) > 1 else of_row
            groups.append({"label": row.label or "all runs", "choices": [_choice(*choice) for choice in choices]})
    return {"classes": classes, "groups": groups} if groups else None


def _choice(label: str, counts: NDArray[np.float64]) -> dict[str, Any]:
    return {"label": label, "counts": [[_count(value) for value in line] for line in counts]}


def _count(value: float) -> float:
    return int(value) if value == int(value) else round(value, 1)


def _read(run: RunRecord) -> pd.DataFrame | None:
    try:
        path = recorded(run, "confusion.csv")
    except Damaged:
        return None
    return None if path is None else pd.read_csv(path, index_col=0, keep_default_na=False)  # a class may be called NA
