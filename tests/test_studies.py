"""The published numbers of the presets beside the tables of the studies, where these are there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from triplicate import presets

STUDIES = Path(__file__).parents[2] / "shared" / "studies"
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_ROW = re.compile(r"^\| `(\w+)`(.*)\|$", re.MULTILINE)

# Published in other units than those of the measure: preset and measure → by what it is multiplied there.
OTHER_UNITS = {
    ("cv2024/mlp_vs_cnn_basic", "test_loss"): 1e-3,
    ("cv2024/mlp_vs_cnn_complex", "test_loss"): 1e-3,
    ("dl2023/architectures", "seconds"): 1 / 60,
    ("dl2023/mlp_vs_vgg", "mean_test_loss"): 157,
    ("dl2023/mlp_vs_vgg", "std_test_loss"): 157,
    ("dl2023/mlp_vs_vgg", "mean_test_accuracy"): 10_000,
    ("dl2023/mlp_vs_vgg", "std_test_accuracy"): 10_000,
}
# Numbers in a row of a table that its preset does not name, with the reason.
ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "best accuracy of the 10-epoch runs, which are those of learning_rates_*": {
        "cv2024/epochs_to_85_basic": "30.8 87.5 83.4 71.1",
        "cv2024/epochs_to_85_complex": "85.7 87.0 87.0 87.0",
    },
    "a count of layers or a size that follows from them; tests/models/test_counts.py has its parameters": {
        "cs776/mlp_depth": "512 1024 512",
        "cs776/cnn_best": "2",
        "cv2024/mlp_vs_cnn_basic": "1 3 1 3 1 3136",
        "cv2024/mlp_vs_cnn_complex": "3 1 14 7 3 1152",
        "cv2025/width_depth": "784 784 784",
        "cv2025/cnn": "1568",
        "dl2023/filters": "3 3 3 512 512 3 3",
        "dlhw1/vanishing_gradients": "784",
    },
    "of the data, or of a group's own file": {
        "dl2023/perceptron": "2",
        "dl2023/batch_sizes": "60,000",
        "dlhw1/optimizers": "0.9",
        "dlhw1/regularization": "0.5",
        "dlhw1/features": "8",
    },
    "an accuracy that the head of the preset says in percent": {
        "dl2023/learning_rates": "0.20",
        "dl2023/activations": "0.4",
    },
}


def numbers(text: str) -> list[float]:
    return [float(found.rstrip(",").replace(",", "")) for found in _NUMBER.findall(text)]


def is_among(number: float, others: list[float], apart: float = 1e-9) -> bool:
    return any(math.isclose(number, other, rel_tol=apart) for other in others)


def study_of(name: str) -> str:
    file = STUDIES / f"{name.partition('/')[0]}.md"
    if not file.is_file():
        pytest.skip(f"the studies are not there: {file}")
    return file.read_text(encoding="utf-8")


def text_of(name: str) -> str:
    return (presets.CONF / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")


def published(name: str) -> Iterator[tuple[str, Any]]:
    """Measure and number of all that a preset says was published."""
    rows = yaml.safe_load(text_of(name))["report"].get("published", {})
    yield from ((measure, value) for by_measure in rows.values() for measure, value in by_measure.items())


EXPERIMENTS = [name for name in presets.choices("experiment") if "/" in name]


@pytest.mark.real_data
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_a_preset_says_was_published_stands_in_the_study(name: str) -> None:
    there = numbers(study_of(name))
    for measure, value in published(name):
        factor = OTHER_UNITS.get((name, measure), 1.0)
        apart = 1e-9 if factor == 1 else 5e-4  # what was divided has four digits
        for number in numbers(value) if isinstance(value, str) else [float(value)]:
            assert any(is_among(number * factor * scale, there, apart) for scale in (1, 100)), (measure, value)


@pytest.mark.real_data
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_a_study_says_of_a_preset_stands_in_it(name: str) -> None:
    """In its numbers, its keys or its head; the few others are listed."""
    rows = dict(_ROW.findall(study_of(name)))
    text = text_of(name)
    models = [presets.CONF / "model" / f"{model}.yaml" for model in set(re.findall(r"\b(?:mlp|cnn)\w*", text))]
    here = numbers(text + "".join(file.read_text() for file in models if file.is_file()))
    here += [100 * number for number in here]
    here += [float(v) * OTHER_UNITS.get((name, m), 1.0) for m, v in published(name) if not isinstance(v, str)]
    told = re.sub(r"\w*[A-Za-z_]\d+", "", rows.get(name.partition("/")[2], ""))  # without the digits of ResNet18
    left = [number for number in numbers(told) if not is_among(number, here)]
    assert left == [number for names in ELSEWHERE.values() for number in numbers(names.get(name, ""))]


def test_how_many_numbers_were_published() -> None:
    """Measures in the tables of the presets; the studies tell more in words, which the heads of presets repeat."""
    counted = dict.fromkeys(presets.studies(), 0)
    for name in EXPERIMENTS:
        counted[name.partition("/")[0]] += len(list(published(name)))
    assert counted == {"cs776": 36, "cv2024": 54, "cv2025": 27, "dl2023": 16, "dlhw1": 27}
