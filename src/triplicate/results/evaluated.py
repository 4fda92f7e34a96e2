"""What a run's network gives for a test set: its measures and its confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from triplicate.lazy import pandas as pd
from triplicate.measures.shared.classes import by_class

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)
class Evaluated:
    """The measures on a test set, as the sweep takes them. In a notebook it shows them.

    Attributes:
        measures: by the names that metrics.csv has: test_loss, test_accuracy, test_precision, test_recall, test_f1, and
            what else the report of the run asks for. Accuracies are fractions.
        confusion: counts, a row for each true class, a column for each predicted one.
        classes: by class: precision, recall, f1 (fractions) and the number of images.
        images: how many were evaluated.
    """

    measures: Mapping[str, float]
    confusion: pd.DataFrame
    classes: pd.DataFrame
    images: int

    @staticmethod
    def of(measures: Mapping[str, float], counts: Tensor, classes: tuple[str, ...]) -> Evaluated:
        """Args: `counts` [classes, classes], true class by predicted class."""
        table = pd.DataFrame(counts.numpy(), index=list(classes), columns=list(classes)).rename_axis("true class")
        scores = by_class(counts)
        columns = {name: getattr(scores, name).numpy() for name in ("precision", "recall", "f1")}
        each = pd.DataFrame({**columns, "images": counts.sum(1).numpy()}, index=pd.Index(classes, name="class"))
        return Evaluated(dict(measures), table, each, int(counts.sum()))

    @property
    def frame(self) -> pd.DataFrame:
        """The measures as a table of one row."""
        return pd.DataFrame([{"images": self.images, **self.measures}])

    def __repr__(self) -> str:
        measures = ", ".join(f"{name}={value:.6g}" for name, value in self.measures.items())
        return f"Evaluated({self.images} images: {measures})"

    def _repr_html_(self) -> str:
        return str(self.frame._repr_html_()) + str(self.confusion._repr_html_())  # type: ignore[operator]
