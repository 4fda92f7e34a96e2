"""What a run's network says of images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from triplicate.lazy import pandas as pd

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class Predictions:
    """The predicted class of each image. In a notebook it shows its table.

    Attributes:
        probabilities: of each class, float [N, classes]: the softmax of the logits, or of two classes the sigmoid.
        labels: the predicted class of each, int64 [N], an index into `classes`.
        names: of the files; None where the images are of no files.
    """

    probabilities: NDArray[np.floating]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    names: tuple[str, ...] | None = None

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for each image, by file or number: `class`, its `probability`, then that of each class, `p_<class>`."""
        index = pd.RangeIndex(len(self), name="image") if self.names is None else pd.Index(self.names, name="image")
        return pd.DataFrame(
            {
                "class": [self.classes[label] for label in self.labels],
                "probability": self.probabilities[range(len(self)), self.labels],
                **{f"p_{name}": self.probabilities[:, place] for place, name in enumerate(self.classes)},
            },
            index=index,
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return repr(self.frame)

    def _repr_html_(self) -> str:
        return str(self.frame._repr_html_())  # type: ignore[operator]
