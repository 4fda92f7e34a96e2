from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import TextPath
from PIL import Image
from torch import Tensor, nn

from triplicate import parts
from triplicate.records.run_folder import RunRecord
from triplicate.reports import draw
from triplicate.reports.figures import Figures
from triplicate.reports.figures.activation_maps import ActivationMaps
from triplicate.reports.figures.boundary import Boundary, predictions
from triplicate.reports.figures.feature_maps import FeatureMaps
from triplicate.reports.figures.filters import Filters, kernel_tiles
from triplicate.reports.figures.gradient_layers import GradientLayers
from triplicate.reports.figures.samples import samples
from triplicate.reports.figures.steps import Steps
from triplicate.reports.plots import bars, canvas, confusion, curves, gradients, style
from triplicate.reports.plots.tiles import _GROUND
from triplicate.reports.plots.trained import Trained
from triplicate.reports.rows import Cell, Row
from triplicate.reports.tables import Table

CLASSES = ["shoe", "bag", "coat"]
LAYERS = ["features.0", "features.3", "last"]
FIGURES = ("activation_maps", "boundary", "feature_maps", "filters", "gradient_layers", "samples", "steps")

SMALL = FontProperties(size=6.5)

Make = Callable[..., RunRecord]


@pytest.fixture(autouse=True)
def in_our_style() -> Iterator[None]:
    with matplotlib.rc_context(style._STYLE):
        yield


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function to a run: its accuracies over the epochs, and what else its record holds."""
    made: list[RunRecord] = []

    def one(
        accuracies: Sequence[float] = (0.5, 0.7, 0.8),
        *,
        report: Mapping[str, Any] | None = None,
        measures: Mapping[str, float | None] | None = None,
        status: str = "finished",
        classes: Sequence[str] = CLASSES,
        traced: pd.DataFrame | None = None,
        steps: pd.DataFrame | None = None,
        **columns: Sequence[float],
    ) -> RunRecord:
        path = tmp_path / f"run{len(made)}"
        path.mkdir()
        test = np.array(accuracies)
        epochs = np.arange(1, len(test) + 1)
        metrics = {"epoch": epochs, "train_loss": 1 - test, "train_accuracy": test + 0.1}
        metrics |= {"test_loss": 1.5 - test, "test_accuracy": test} | {k: np.array(v) for k, v in columns.items()}
        shown: dict[str, Any] = {"title": "", "curves": (), "bars": (), "gradients": (), "figures": ()}
        summary = {
            "status": status,
            "classes": list(classes),
            "measures": measures or {"test_accuracy": accuracies[-1]},
        }
        config = {"report": shown | dict(report or {})}
        made.append(RunRecord(path, config, summary, pd.DataFrame(metrics), traced, steps, path.name, "a setting"))
        return made[-1]

    return one


def table(*rows: Sequence[RunRecord], cells: Mapping[str, Cell] | None = None) -> Table:
    named = (Row({"optimizer.lr": str(number)}, tuple(runs), (), cells or {}) for number, runs in enumerate(rows))
    return Table("A title", tuple(named), "", rows[0][0].config["report"])


def trace(layers: Sequence[str] = LAYERS, factor: float = 1.0, tensors_alone: bool = False) -> pd.DataFrame:
    """Gradients at steps 1 and 2: of layer l (from 1) the mean absolute is factor · l · step, biases ten times that."""
    rows = []
    for step in (1, 2):
        parameters = ("weight", "bias") if tensors_alone else ("all", "weight", "bias")
        places = [(i, layer, p) for i, layer in enumerate(layers, 1) for p in parameters]
        for size, layer, parameter in [] if tensors_alone else [(9, "all", "all")]:
            rows.append((step, layer, parameter, -0.1 * step, factor * size * step, 2.0 * step))
        for size, layer, parameter in places:
            times = 10 if parameter == "bias" else 1
            rows.append((step, layer, parameter, 0.1 * step, factor * size * step * times, 3.0 * step))
    return pd.DataFrame(rows, columns=["step", "layer", "parameter", "mean", "mean_absolute", "l2"])


def every_step(count: int = 5) -> pd.DataFrame:
    steps = np.arange(1, count + 1)
    return pd.DataFrame({"step": steps, "loss": 2.0 / steps, "accuracy": steps / 10})


def keep(run: RunRecord, inputs: Tensor, labels: Tensor) -> None:
    safetensors.torch.save_file({"inputs": inputs, "labels": labels}, run.path / "samples.safetensors")


def learned(
    run: RunRecord,
    network: nn.Module,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Tensor], Tensor] = Tensor.float,
) -> Trained:
    """The run with a network in place of what its weights would give."""
    (run.path / "weights.safetensors").touch()
    monkeypatch.setattr("triplicate.reports.plots.trained.restore", lambda _run: (network.eval(), prepare))
    return Trained(run)


def network_of_convolutions(channels: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 10, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(10, 70, 3),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(70 * 4, 3),
    )


def images_of(count: int = 3, channels: int = 3) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, 8, 8), generator=draws).to(torch.uint8), torch.arange(count) % 3


def lines(figure: Figure, panel: int = 0) -> dict[str, tuple[list[float], list[float]]]:
    """Label → x and y of each line with a label."""
    found = figure.axes[panel].get_lines()
    named = {str(line.get_label()): line for line in found if not str(line.get_label()).startswith("_")}
    return {k: (np.asarray(v.get_xdata()).tolist(), np.asarray(v.get_ydata()).tolist()) for k, v in named.items()}


def picture(figure: Figure, panel: int = 0) -> np.ndarray[Any, np.dtype[Any]]:
    return np.asarray(figure.axes[panel].get_images()[0].get_array())


def numbers(figure: Figure) -> dict[tuple[float, ...], tuple[list[float], tuple[float, ...]]]:
    """Place (column, row) → the width and height in points, and the colour, of each number of a confusion matrix."""
    return {
        tuple(place): (np.ptp(path.vertices, axis=0).tolist(), to_rgb(drawn_numbers.get_facecolor()[0]))
        for drawn_numbers in figure.axes[0].collections
        for path, place in zip(drawn_numbers.get_paths(), drawn_numbers.get_offsets().tolist(), strict=True)
    }


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


# What is written


def test_the_names_of_figures_are_those_that_are_drawn() -> None:
    assert set(FIGURES) == {name for name, cls in parts.classes("figure").items() if cls.of_run is not Figures.of_run}


def test_a_run_with_all_records_has_all_plots(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(report={"figures": FIGURES}, traced=trace(), steps=every_step())
    keep(run, *images_of())
    learned(run, network_of_convolutions(), monkeypatch)
    pd.DataFrame(np.eye(3, dtype=int), CLASSES, CLASSES).to_csv(run.path / "confusion.csv")
    written = draw.write_run(run)
    maps = {"activation_maps", "feature_maps_first", "feature_maps_last", "filters_first", "filters_last"}
    others = {"loss", "accuracy", "gradients", "confusion", "gradient_layers", "samples", "steps"}
    assert {path.stem for path in written} == maps | others
    for path in written:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert len(image.convert("RGB").getcolors(1 << 20) or []) > 10


def test_a_run_with_no_further_records_has_two_plots(make: Make) -> None:
    run = make(report={"figures": FIGURES})
    assert [path.name for path in draw.write_run(run)] == ["loss.png", "accuracy.png"]
    assert not list((run.path / "plots").glob(".*"))


def test_a_run_of_points_has_its_boundary_and_no_pictures(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(report={"figures": FIGURES})
    keep(run, torch.randn(20, 2), torch.arange(20) % 3)
    learned(run, nn.Linear(2, 3), monkeypatch)
    assert [path.stem for path in draw.write_run(run)][2:] == ["boundary", "samples"]


def test_weights_that_are_not_finite_have_no_plots(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(report={"figures": ("filters", "activation_maps", "feature_maps")}, status="diverged")
    keep(run, *images_of())
    network = network_of_convolutions()
    network[3].load_state_dict({"weight": torch.ones(70, 10, 3, 3), "bias": torch.full((70,), math.nan)})
    learned(run, network, monkeypatch)
    assert len(draw.write_run(run)) == 2


def test_a_sweep_has_the_plots_of_its_report(make: Make, tmp_path: Path) -> None:
    report = {
        "title": "What costs $5 and $6",
        "curves": ("loss", "accuracy", "accuracy_gap", "seconds", "unheard_of"),
        "bars": ("test_accuracy", "test_f1"),
        "gradients": ("all.all.l2", "features.0.weight.mean", "layers.l2", "none.all.l2", "all.all.step"),
        "figures": ("steps", "gradient_layers", "filters"),
    }
    rows = [[make(report=report, traced=trace(), steps=every_step(), seconds=(1, 2, 1))] for _ in range(2)]
    written = draw.write_sweep(table(*rows), tmp_path)
    assert [path.stem for path in written] == [
        *("loss_curves", "accuracy_curves", "accuracy_gap_curves", "seconds_curves"),
        "test_accuracy_bars",
        *("gradient_all.all.l2", "gradient_features.0.weight.mean", "gradient_layers.l2"),
        *("steps_curves", "gradient_layers"),
    ]
    assert all(path.stat().st_size > 5000 for path in written)


def test_a_sweep_whose_records_lack_what_is_asked_for_has_none(make: Make, tmp_path: Path) -> None:
    report = {"gradients": ("all.all.l2", "layers.mean"), "figures": FIGURES, "bars": ("test_f1",)}
    assert draw.write_sweep(table([make(report=report)]), tmp_path) == ()


# Curves


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def band(figure: Figure, panel: int, place: float) -> tuple[float, float]:
    """The lower and the upper edge of the one band of a panel, at an epoch."""
    (drawn_band,) = figure.axes[panel].collections
    edges = [float(edge) for x, edge in np.asarray(drawn_band.get_paths()[0].vertices) if x == place]
    return min(edges), max(edges)


def test_curves_are_the_mean_and_std_in_percent(make: Make) -> None:
    figure = drawn(curves.of_sweep(table([make([0.5, 0.6]), make([0.7, 0.8])]), "accuracy"))
    x, y = lines(figure, 1)["optimizer.lr=0"]
    assert x == [1, 2]
    assert y == pytest.approx([60, 70])
    for epoch, mean in [(1, 60), (2, 70)]:
        assert band(figure, 1, epoch) == pytest.approx((mean - math.sqrt(200), mean + math.sqrt(200)))
    assert caption(figure) == "Line: mean over 2 seeds. Band: ± 1 standard deviation."


def caption(figure: Figure) -> str:
    """What stands below the panels."""
    return " ".join(figure.texts[1].get_text().split())


def all_lines(figure: Figure, panel: int = 0) -> list[list[tuple[float, float]]]:
    """The points of every line of a panel."""
    found = figure.axes[panel].get_lines()
    return [list(zip(map(float, line.get_xdata()), map(float, line.get_ydata()), strict=True)) for line in found]


def test_the_mean_ends_with_the_first_seed_and_the_others_go_on_alone(make: Make) -> None:
    runs = [make([0.5, 0.6, 0.7, 0.8]), make([0.7, 0.8, 0.9]), make([0.6, 0.7])]
    figure = drawn(curves.of_sweep(table(runs), "accuracy"))
    mean, first, second = (np.array(points) for points in all_lines(figure, 1))
    assert mean == pytest.approx(np.array([(1, 60), (2, 70)]))
    assert first == pytest.approx(np.array([(2, 60), (3, 70), (4, 80)]))
    assert second == pytest.approx(np.array([(2, 80), (3, 90)]))
    assert "Thin lines: single seeds, after the first seed of their row has ended." in caption(figure)
    assert band(figure, 1, 2) == pytest.approx((60, 80))
    assert max(float(x) for x, _ in figure.axes[1].collections[0].get_paths()[0].vertices) == 2


def test_a_seed_that_diverged_is_in_no_mean_and_ends_in_a_cross(make: Make) -> None:
    runs = [make([0.5, 0.6]), make([0.7, 0.8]), make([0.9, math.nan], status="diverged")]
    figure = drawn(curves.of_sweep(table(runs), "accuracy"))
    assert lines(figure, 1)["optimizer.lr=0"][1] == pytest.approx([60, 70])
    assert all_lines(figure, 1)[1:] == [[(1, 90)], [(1, 90)]]
    assert "×: a seed that diverged; no mean counts it." in caption(figure)


def test_where_all_diverged_at_once_the_figure_says_so(make: Make) -> None:
    gone = [make([math.nan, math.inf], status="diverged") for _ in range(2)]
    figure = drawn(curves.of_sweep(table(gone), "accuracy"))
    assert caption(figure) == "No finite values."
    figure = drawn(curves.of_sweep(table(gone, [make([0.5, 0.6])]), "accuracy"))
    assert caption(figure) == "Line: one seed each. Without a finite value: optimizer.lr=0."


def test_the_band_of_a_loss_stays_above_0(make: Make) -> None:
    runs = [make(test_loss=(0.1, 0.2, 0.3)), make(test_loss=(0.1, 0.2, 5.0)), make(test_loss=(0.1, 0.2, 0.2))]
    figure = drawn(curves.of_sweep(table(runs), "test_loss"))
    assert band(figure, 0, 3)[0] == pytest.approx(0.2)
    fractions = drawn(curves.of_sweep(table([make([0.99, 0.9]), make([0.9, 0.99])]), "test_accuracy"))
    assert band(fractions, 0, 1)[1] == 100


def test_one_epoch_is_a_dot_with_whiskers_in_the_middle(make: Make) -> None:
    figure = drawn(curves.of_sweep(table([make([0.5]), make([0.7])], [make([0.6]), make([0.6])]), "accuracy"))
    assert figure.axes[0].get_xlim() == (0, 2)
    (first,), (second,) = (x for x, _ in lines(figure, 1).values())
    assert first < 1 < second
    assert caption(figure) == "Dot: mean over 2 seeds. Whisker: ± 1 standard deviation."
    alone = drawn(curves.of_run(make([0.5]), "accuracy"))
    assert alone.axes[0].get_xlim() == (0, 2)


def test_validation_has_a_panel_if_all_runs_have_it(make: Make) -> None:
    with_it = [make(validation_loss=(3, 2, 1)), make(validation_loss=(3, 2, 1))]
    figure = drawn(curves.of_sweep(table(with_it), "loss"))
    assert [axes.get_title() for axes in figure.axes] == ["training", "validation", "test"]
    assert lines(figure, 1)["optimizer.lr=0"][1] == [3, 2, 1]
    figure = drawn(curves.of_sweep(table(with_it, [make()]), "loss"))
    assert [axes.get_title() for axes in figure.axes] == ["training", "test"]


def test_the_gap_prefers_the_training_images_as_evaluated(make: Make) -> None:
    seen = make([0.5, 0.6])
    evaluated = make([0.5, 0.6], evaluated_train_accuracy=[0.7, 0.9])
    figure = drawn(curves.of_sweep(table([seen], [evaluated]), "accuracy_gap"))
    assert lines(figure)["optimizer.lr=0"][1] == pytest.approx([10, 10])
    assert lines(figure)["optimizer.lr=1"][1] == pytest.approx([20, 30])


def test_a_column_is_drawn_for_the_rows_that_have_it(make: Make) -> None:
    figure = drawn(curves.of_sweep(table([make(test_f1=(0.1, 0.2, 0.3))], [make()]), "test_f1"))
    assert {k: v[1] for k, v in lines(figure).items()} == {"optimizer.lr=0": pytest.approx([10, 20, 30])}
    assert figure.axes[0].get_ylabel() == "test F1 %"


def test_one_rate_that_explodes_leaves_the_others_readable(make: Make) -> None:
    falling = [2.0 / epoch for epoch in range(1, 11)]
    accuracies = [0.5] * 10
    rows = [[make(accuracies, train_loss=falling, test_loss=falling)] for _ in range(3)]
    rows.append([make(accuracies, train_loss=[2.3] * 10, test_loss=[26.1, *[2.3] * 9])])
    figure = drawn(curves.of_sweep(table(*rows), "loss"))
    for axes in figure.axes:
        assert axes.get_yscale() == "linear"
        assert axes.get_ylim()[0] < 0.2
        assert 2.3 < axes.get_ylim()[1] < 4
    assert caption(figure) == "Line: one seed each. ▲ above the axis, up to 26.1."
    triangles = [line for line in figure.axes[1].get_lines() if line.get_marker() == "^" and line.get_gid()]
    assert [(*line.get_xdata(), *line.get_ydata()) for line in triangles] == [(1, 1)]


def test_losses_that_span_powers_of_ten_have_a_logarithmic_axis(make: Make) -> None:
    rows = [[make([0.5] * 6, test_loss=[10.0**-power / 2**epoch for epoch in range(6)])] for power in range(4)]
    figure = drawn(curves.of_sweep(table(*rows), "test_loss"))
    assert figure.axes[0].get_yscale() == "log"
    low, high = figure.axes[0].get_ylim()
    assert low < 1e-3 / 2**5
    assert high > 1


def test_steps_are_drawn_for_every_seed(make: Make) -> None:
    runs = [make(steps=every_step(5)), make(steps=every_step(7)), make()]
    figure = drawn(Steps().of_sweep(table(runs))["steps_curves"])
    loss, accuracy = figure.axes
    assert [len(np.asarray(line.get_xdata())) for line in loss.get_lines()] == [5, 7]
    assert np.asarray(accuracy.get_lines()[0].get_ydata()).tolist() == pytest.approx([10, 20, 30, 40, 50])


def test_every_row_has_panels_of_its_own(make: Make) -> None:
    rows = [[make(steps=every_step())] for _ in range(6)]
    shown = [axes for axes in drawn(Steps().of_sweep(table(*rows))["steps_curves"]).axes if axes.get_visible()]
    assert len(shown) == 12
    assert all(len(axes.get_lines()) == 1 for axes in shown)
    assert len({axes.get_ylim() for axes in shown}) == 2
    headings = {axes.get_title() for axes in shown if axes.get_title()}
    assert headings == {f"optimizer.lr={number}" for number in range(6)}


# Bars


def cell(mean: float, std: float = math.nan, published: float | str = math.nan) -> Cell:
    return Cell(mean, std, 3, published, False)


def bar_widths(figure: Figure) -> list[float]:
    (container,) = [c for c in figure.axes[0].containers if isinstance(c, BarContainer)]
    return [float(bar.get_width()) for bar in container]


def error_lengths(figure: Figure) -> list[float]:
    container = next(c for c in figure.axes[0].containers if isinstance(c, ErrorbarContainer))
    return [float(np.ptp(segment[:, 0])) for segment in container[2][0].get_segments() if len(segment)]


def test_bars_show_mean_std_and_published_number(make: Make) -> None:
    figure = drawn(bars.of_sweep(table([make()], cells={"test_accuracy": cell(0.87, 0.01, 0.88)}), "test_accuracy"))
    assert bar_widths(figure) == pytest.approx([87])
    assert error_lengths(figure) == pytest.approx([2])
    offsets = np.asarray(figure.axes[0].collections[-1].get_offsets())
    assert offsets[0].tolist() == pytest.approx([88, 0])
    assert texts(figure) == ["87.00 ± 1.00"]


def test_bars_of_what_the_table_does_not_show_are_of_the_runs_that_finished(make: Make) -> None:
    runs = [make(measures={"seconds": 10.0}), make(measures={"seconds": 14.0})]
    runs.append(make(measures={"seconds": 1000.0}, status="diverged"))
    figure = drawn(bars.of_sweep(table(runs), "seconds"))
    assert bar_widths(figure) == pytest.approx([12])
    assert error_lengths(figure) == pytest.approx([2 * math.sqrt(8)])
    assert figure.axes[0].get_xlim()[0] == 0


def test_one_seed_has_no_error_bar_and_no_run_no_bar(make: Make) -> None:
    diverged = make(measures={"test_accuracy": None}, status="diverged")
    figure = drawn(bars.of_sweep(table([make(measures={"test_accuracy": 0.8})], [diverged]), "test_accuracy"))
    assert bar_widths(figure) == pytest.approx([80, 0])
    assert not np.isfinite(error_lengths(figure)).any()
    assert texts(figure) == ["80.00", "none"]


def test_what_is_not_finite_has_no_bar(make: Make) -> None:
    rows = [[make(measures={"test_loss": value})] for value in (0.5, math.inf)]
    figure = drawn(bars.of_sweep(table(*rows), "test_loss"))
    assert bar_widths(figure) == pytest.approx([0.5, 0])
    assert texts(figure) == ["0.5000", "none"]


def test_a_published_word_is_not_drawn(make: Make) -> None:
    figure = drawn(bars.of_sweep(table([make()], cells={"best_epoch": cell(12, published=">100")}), "best_epoch"))
    assert figure.axes[0].get_legend() is None
    assert figure.axes[0].get_xlim()[1] < 100


@pytest.mark.parametrize(("low", "starts_at_0"), [(0.86, False), (0.1, True)])
def test_shares_that_are_close_together_can_be_told_apart(make: Make, low: float, starts_at_0: bool) -> None:
    runs = [[make(measures={"test_accuracy": value})] for value in (low, 0.87)]
    figure = drawn(bars.of_sweep(table(*runs), "test_accuracy"))
    left, right = figure.axes[0].get_xlim()
    assert (left == 0) == starts_at_0
    assert left < 100 * low
    assert 87 < right <= 100


# Gradients


def test_a_tensor_is_drawn_over_the_steps_as_mean_of_the_seeds(make: Make) -> None:
    rows = [[make(traced=trace(factor=1)), make(traced=trace(factor=3))], [make()]]
    figure = drawn(gradients.of_sweep(table(*rows), "features.3.bias.mean_absolute"))
    assert len(figure.axes) == 1
    assert lines(figure)["optimizer.lr=0"][1] == pytest.approx([40, 80])
    figure = drawn(gradients.of_sweep(table(*rows), "all.all.l2"))
    assert lines(figure)["optimizer.lr=0"][1] == pytest.approx([2, 4])


def test_each_row_has_a_panel_and_no_line_covers_another(make: Make) -> None:
    rows = [[make(traced=trace(factor=1))], [make(traced=trace(factor=100))]]
    figure = drawn(gradients.of_sweep(table(*rows), "all.all.mean_absolute"))
    assert [axes.get_title() for axes in figure.axes] == ["optimizer.lr=0", "optimizer.lr=1"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_signed_means_of_other_size_have_a_scale_each_and_the_figure_says_so(make: Make) -> None:
    rows = [[make(traced=trace().assign(mean=lambda t, size=size: t["mean"] * size))] for size in (1, 1000)]
    figure = drawn(gradients.of_sweep(table(*rows), "all.all.mean"))
    assert len({axes.get_ylim() for axes in figure.axes}) == 2
    assert "Each panel has its own scale." in caption(figure)
    close = [[make(traced=trace().assign(mean=lambda t, size=size: t["mean"] * size))] for size in (1, 3)]
    figure = drawn(gradients.of_sweep(table(*close), "all.all.mean"))
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert "own scale" not in caption(figure)


def test_an_entry_shows_the_first_steps_alone(make: Make) -> None:
    run = make(traced=trace())
    figure = drawn(gradients.of_sweep(table([run]), "all.all.l2@1"))
    assert lines(figure)["optimizer.lr=0"] == ([1], [2])
    assert "gradient of all parameters, the first 1 steps" in figure.texts[0].get_text()
    layers = drawn(gradients.of_sweep(table([run]), "layers.l2@1"))
    assert {name: x for name, (x, _) in lines(layers).items()} == {name: [1] for name in LAYERS}
    assert gradients.of_sweep(table([run]), "all.all.l2@x") is None
    assert gradients.of_sweep(table([run]), "all.all.l2@0") is None


def test_the_layers_have_a_panel_for_each_row(make: Make) -> None:
    rows = [[make(traced=trace(LAYERS[:2])), make(traced=trace(LAYERS[:2], 3))], [make()], [make(traced=trace())]]
    figure = drawn(gradients.of_sweep(table(*rows), "layers.mean_absolute"))
    assert [axes.get_title() for axes in figure.axes] == ["optimizer.lr=0", "optimizer.lr=2"]
    assert [(k, *y) for k, (_, y) in lines(figure, 0).items()] == [("features.0", 2, 4), ("features.3", 4, 8)]
    assert list(lines(figure, 1)) == LAYERS


def test_gradients_over_the_layers_are_of_the_first_step(make: Make) -> None:
    seeds = [make(traced=trace(factor=1)), make(traced=trace(factor=3))]
    figure = drawn(GradientLayers().of_sweep(table(seeds, [make(traced=trace(LAYERS[:1]))]))["gradient_layers"])
    weights, biases = figure.axes[0].get_lines()[:2]
    assert np.asarray(weights.get_ydata()).tolist() == pytest.approx([2, 4, 6])
    assert np.asarray(biases.get_ydata()).tolist() == pytest.approx([20, 40, 60])
    names = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert [names[int(place)] for place in np.asarray(weights.get_xdata())] == [f"{x}.weight" for x in LAYERS]
    assert [names[int(place)] for place in np.asarray(biases.get_xdata())] == [f"{x}.bias" for x in LAYERS]
    assert figure.axes[0].get_yscale() == "log"


def test_gradients_that_are_all_0_are_drawn(make: Make, tmp_path: Path) -> None:
    figure = drawn(GradientLayers().of_run(Trained(make(traced=trace(factor=0))))["gradient_layers"])
    assert canvas.save(figure, tmp_path / "x.png").is_file()


def test_single_tensors_that_were_traced_are_shown(make: Make) -> None:
    figure = drawn(gradients.of_run(make(traced=trace(["conv1"], tensors_alone=True))))
    assert list(lines(figure, 1)) == ["conv1.weight", "conv1.bias"]
    assert np.asarray(figure.axes[0].get_lines()[0].get_ydata()).tolist() == pytest.approx([0.1, 0.2])


# Confusion


def test_confusion_has_counts_names_and_the_share_of_the_true_class(make: Make) -> None:
    run = make()
    counts = np.array([[8, 2, 0], [0, 0, 0], [1, 2, 1]])
    names = ["shoe", "NA", "7"]
    pd.DataFrame(counts, names, names).rename_axis("true class").to_csv(run.path / "confusion.csv")
    figure = drawn(confusion.of_run(run))
    shown = numbers(figure)
    assert {place: size for place, (size, _) in shown.items()} == {
        (column, row): pytest.approx(np.ptp(TextPath((0, 0), str(count), prop=SMALL).vertices, axis=0))
        for (row, column), count in np.ndenumerate(counts)
    }
    assert [place for place, (_, colour) in shown.items() if colour == (1, 1, 1)] == [(0, 0)]
    shares = picture(figure)
    assert shares.tolist() == [[0.8, 0.2, 0], [0, 0, 0], [0.25, 0.5, 0.25]]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == names
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == names


@pytest.mark.parametrize("count", [30, 100])
def test_many_classes_have_no_numbers(count: int) -> None:
    assert not numbers(confusion.draw(np.eye(count, dtype=np.int64), [str(number) for number in range(count)]))


def test_a_plot_does_not_depend_on_those_drawn_before_it(make: Make) -> None:
    """What one run's plot is made of is used for the next: its scale, lines and numbers must not stay."""
    nan, inf = math.nan, math.inf
    runs = [
        make(traced=trace()),
        make((0.1, nan, nan), train_loss=(2.0, inf, nan), test_loss=(nan, nan, nan), traced=trace().assign(mean=-1e-9)),
        make((0.5,), traced=trace(["conv1"])),
        make([0.5] * 60, train_loss=[1e9, *[0.1] * 59], traced=trace(["conv1"], tensors_alone=True)),
        make(validation_loss=(3.0, 2.0, 1.0), validation_accuracy=(0.1, 0.2, 0.3)),
    ]
    for number, run in enumerate(runs):
        counts = pd.DataFrame(np.diag([number, 10, 10**number]) + number, CLASSES, CLASSES)
        counts.rename_axis("true class").to_csv(run.path / "confusion.csv")

    def plots(run: RunRecord) -> dict[str, bytes]:
        return {name: canvas.png(figure) for name, plot in draw._of_run(run) if isinstance(figure := plot(), Figure)}

    def plots_by_themselves(run: RunRecord) -> dict[str, bytes]:
        for kept in (curves._panel_of_run, gradients._panels_of_run, confusion._panel):
            kept.cache_clear()
        return plots(run)

    alone = [plots_by_themselves(run) for run in runs]
    assert len({plot for of_run in alone for plot in of_run.values()}) == 4 * len(runs) - 1  # the last was not traced
    assert [plots(run) for run in (*runs, *reversed(runs))] == [*alone, *reversed(alone)]


def test_a_plot_does_not_depend_on_how_long_it_takes(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """matplotlib warns where it is long in finding a place for a legend, as on a machine with much to do."""
    run = make()
    expected = [path.read_bytes() for path in draw.write_run(run)]
    seconds = itertools.count(0, 10)
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    for kept in (curves._panel_of_run, gradients._panels_of_run, confusion._panel):
        kept.cache_clear()
    assert [path.read_bytes() for path in draw.write_run(run)] == expected


def test_runs_that_are_drawn_at_once_have_each_its_own_plots(make: Make) -> None:
    """What is made once is used for all runs; two threads must not write into it together."""
    runs = [make([0.1 * number, 0.5]) for number in range(1, 4)]
    expected = [[path.read_bytes() for path in draw.write_run(run)] for run in runs]
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(draw.write_run, runs))
    assert [[path.read_bytes() for path in paths] for paths in written] == expected


# Pictures


def test_kernels_that_look_at_colours_are_shown_in_them_each_in_its_own_range() -> None:
    kernels = torch.randn(5, 3, 2, 2) * torch.tensor([1, 10, 0.1, 1, 1]).reshape(-1, 1, 1, 1)
    kernels[4] = 7
    tiles = kernel_tiles(kernels)
    assert tiles.shape == (5, 2, 2, 3)
    assert tiles[:4].min((1, 2, 3)).tolist() == [0] * 4
    assert tiles[:4].max((1, 2, 3)).tolist() == [1] * 4
    assert (tiles[4] == 0.5).all()
    least = int(kernels[1].argmin())
    assert tiles[1].transpose(2, 0, 1).reshape(-1)[least] == 0


def test_other_kernels_are_grey_and_averaged_over_the_depth() -> None:
    kernels = torch.randn(4, 6, 3, 3)
    tiles = kernel_tiles(kernels)
    assert (tiles[..., 0] == tiles[..., 1]).all()
    assert (tiles[..., 0] == tiles[..., 2]).all()
    flat = kernels.mean(1).flatten(1)
    assert tiles[..., 0].reshape(4, -1).argmax(1).tolist() == flat.argmax(1).tolist()


def test_kernels_of_one_pixel_are_scaled_together() -> None:
    tiles = kernel_tiles(torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1))
    assert tiles[:, 0, 0, 0].tolist() == [0, 0.5, 1]


def tiles_in(figure: Figure) -> int:
    """The tiles of a mosaic: places between the gaps, down and across, that are not all ground."""
    ground = (picture(figure) == _GROUND).all(-1)
    down, across = (np.flatnonzero(np.diff(ground.all(axis).astype(int)) == -1) + 1 for axis in (1, 0))
    return sum(not ground[top, left] for top in down for left in across)


def test_filters_and_maps_are_as_many_as_there_are_and_fit(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    keep(run, *images_of(5))
    trained = learned(run, network_of_convolutions(), monkeypatch)
    shown = {**Filters().of_run(trained), **ActivationMaps().of_run(trained), **FeatureMaps().of_run(trained)}
    assert {name: tiles_in(drawn(figure)) for name, figure in shown.items()} == {
        "filters_first": 10,
        "filters_last": 70,
        "activation_maps": 3 * 9,
        "feature_maps_first": 10,
        "feature_maps_last": 64,
    }


def test_a_network_without_convolutions_has_no_filters(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    keep(run, *images_of())
    trained = learned(run, nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), monkeypatch)
    assert Filters().of_run(trained) == ActivationMaps().of_run(trained) == FeatureMaps().of_run(trained) == {}


def test_maps_are_what_the_convolution_gives_before_the_activation(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of_convolutions(1)
    inputs, _ = images_of(2, 1)
    trained = learned(make(), network, monkeypatch, lambda raw: raw.float() / 255)
    maps = trained.maps(inputs, trained.convolutions[0])
    with torch.inference_mode():
        expected = network[0](inputs.float() / 255)
    assert torch.equal(maps, expected)
    assert maps.min() < 0
    assert not network[0]._forward_hooks


def test_samples_are_the_images_with_their_labels() -> None:
    inputs, labels = images_of(4)
    figure = samples(inputs, labels, CLASSES)
    assert [axes.get_title() for axes in figure.axes] == ["shoe", "bag", "coat", "shoe"]
    assert picture(figure, 1) == pytest.approx(inputs[1].permute(1, 2, 0).numpy() / 255)
    grey = samples(*images_of(1, 1), CLASSES)
    assert picture(grey).shape == (8, 8, 3)


def test_samples_of_points_have_the_colours_of_their_classes() -> None:
    points = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])
    figure = samples(points, torch.tensor([0, 1, 1]), CLASSES)
    clouds = [np.asarray(cloud.get_offsets()).tolist() for cloud in figure.axes[0].collections]
    assert clouds == [[[0, 0]], [[1, 2], [3, 4]], []]


# Decision regions


def colour_at(figure: Figure, x: float, y: float) -> np.ndarray[Any, np.dtype[Any]]:
    """The shade of the regions at a point."""
    (image,) = figure.axes[0].get_images()
    left, right, bottom, top = image.get_extent()
    pixels = np.asarray(image.get_array())
    row = int((y - bottom) / (top - bottom) * (len(pixels) - 1) + 0.5)
    column = int((x - left) / (right - left) * (len(pixels[0]) - 1) + 0.5)
    return np.asarray(pixels[row, column])


def nearest_class(colour: np.ndarray[Any, np.dtype[Any]], count: int) -> int:
    """The class whose colour a shade leans to."""
    away = 1 - np.array([to_rgb(c) for c in style.colours(count)])
    return int((away @ (1 - colour) / np.linalg.norm(away, axis=1)).argmax())


def linear(weight: Sequence[Sequence[float]], bias: Sequence[float]) -> nn.Linear:
    layer = nn.Linear(2, len(bias))
    layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
    return layer


def test_one_logit_is_a_probability_with_a_line_at_a_half(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(classes=["below", "above"])
    points = torch.rand(30, 2) * 4 - 2
    keep(run, points, (points.sum(1) > 0).long())
    # Above the line x + 2y = 1, of inputs that are seen at half their size.
    trained = learned(run, linear([[6.0, 12.0]], [-3.0]), monkeypatch, lambda raw: raw / 2)
    figure = drawn(Boundary().of_run(trained)["boundary"])
    for x, y in [(-1, -1), (1, 1), (1.5, -1.5), (-1.5, 1.9), (1, -0.5), (1, 0.5)]:
        assert nearest_class(colour_at(figure, x, y), 2) == (x + 2 * y > 1)
    (contour,) = [c for c in figure.axes[0].collections if isinstance(c, ContourSet)]
    line = np.concatenate([np.asarray(path.vertices) for path in contour.get_paths()])
    assert line @ [1, 2] == pytest.approx(np.ones(len(line)), abs=0.02)
    assert not texts(figure)


def test_of_several_logits_the_greatest_decides(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make()
    keep(run, torch.rand(30, 2) * 4 - 2, torch.arange(30) % 3)
    # Left, right, or above both.
    weight, bias = [[-1.0, 0.0], [1.0, 0.0], [0.0, 3.0]], [0.0, 0.0, 0.0]
    figure = drawn(Boundary().of_run(learned(run, linear(weight, bias), monkeypatch))["boundary"])
    for x, y, number in [(-1.5, -1, 0), (1.5, -1, 1), (0.1, 1, 2), (-1.5, 0.4, 0), (1.5, 0.6, 2)]:
        assert nearest_class(colour_at(figure, x, y), 3) == number


def test_a_few_points_have_their_predictions_beside_them(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(classes=["0", "1"])
    keep(run, torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1, 1, 0]))
    trained = learned(run, linear([[2.0, 0.0]], [-1.0]), monkeypatch)
    figure = drawn(Boundary().of_run(trained)["boundary"])
    assert texts(figure) == ["P(1) = 0.269", "P(1) = 0.269", "P(1) = 0.731", "P(1) = 0.731"]
    # Softmax of 0 and log 3.
    assert predictions(torch.tensor([[0.0, math.log(3)]]), ["a", "b"]) == ["P(b) = 0.750"]


# Layout


def shown_texts(figure: Figure) -> list[Text]:
    """All texts that are drawn. Labels of ticks beyond the ends of an axis are kept by matplotlib and not drawn."""
    found = list(figure.texts)
    for axes in (axes for axes in figure.axes if axes.get_visible()):
        found += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        found += axes.get_legend().get_texts() if axes.get_legend() else []  # type: ignore[union-attr]
        for axis, ends in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            slack = 1e-6 * abs(ends[1] - ends[0])
            ticks = (tick for tick in axis.get_major_ticks() if tick.label1.get_visible())
            found += [tick.label1 for tick in ticks if min(ends) - slack <= tick.get_loc() <= max(ends) + slack]
    return [text for text in found if text.get_visible() and text.get_text()]


def misplaced(figure: Figure) -> list[str]:
    """Texts that reach over the edge of the figure, and pairs of texts that overlap."""
    drawn_on = FigureCanvasAgg(figure)
    drawn_on.draw()  # type: ignore[no-untyped-call]
    renderer: Any = drawn_on.get_renderer()  # type: ignore[no-untyped-call]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown_texts(figure)]
    edge = figure.bbox.padded(1)
    over = [text for text, box in boxes if not (edge.contains(*box.min) and edge.contains(*box.max))]
    shrunk = [(text, box.padded(-2)) for text, box in boxes]
    return over + [f"{one} / {other}" for (one, a), (other, b) in itertools.combinations(shrunk, 2) if a.overlaps(b)]


LONG = "A title that is longer than the narrowest of the figures is wide. " * 2


def figures_of(rows: Sequence[Row], title: str = LONG) -> list[Figure]:
    """A figure of every kind that a sweep has."""
    shown = Table(title, tuple(rows), "")
    figures = [curves.of_sweep(shown, "loss"), bars.of_sweep(shown, "test_accuracy")]
    figures += [gradients.of_sweep(shown, entry) for entry in ("all.all.mean", "layers.mean_absolute")]
    figures += [GradientLayers().of_sweep(shown)["gradient_layers"], Steps().of_sweep(shown)["steps_curves"]]
    return [drawn(figure) for figure in figures]


def traced_run(make: Make, number: int = 0) -> RunRecord:
    factor = 1 + number / 10
    gradients_of_run = trace(["a.rather.long.name.of.a.layer", "b"], factor)
    return make([0.5, 0.6 + number / 100, 0.65], traced=gradients_of_run, steps=every_step())


@pytest.mark.parametrize("count", [2, 24])
def test_many_rows_of_long_names_fit(make: Make, count: int) -> None:
    def row(number: int) -> Row:
        axes = {"optimizer.lr": str(10.0**-number), "model.hidden": "[1024, 512, 256, 128, 64]", "init": f"a{number}"}
        return Row(axes, (traced_run(make, number),), (), {"test_accuracy": cell(0.7 + number / 100, 0.01, 0.8)})

    assert [misplaced(figure) for figure in figures_of([row(number) for number in range(count)])] == [[]] * 6


def test_two_axes_and_short_names_fit(make: Make) -> None:
    names = [("1", "relu"), ("1", "tanh"), ("0.1", "relu"), ("0.1", "tanh"), ("0.01", "relu"), ("0.01", "tanh")]
    rows = [
        Row({"optimizer.lr": rate, "activation": activation}, (traced_run(make),), (), {}) for rate, activation in names
    ]
    for figure in figures_of(rows, "Short"):
        assert misplaced(figure) == []
        if figure.axes[-1].get_legend() is not None and len(figure.axes) < 3:
            legend = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]  # type: ignore[union-attr]
            assert legend == ["optimizer.lr", "1", "0.1", "0.01", "activation", "relu", "tanh"]


def test_plots_of_a_run_have_titles_and_fit(make: Make) -> None:
    run = make(report={"title": LONG, "figures": FIGURES}, traced=trace(), steps=every_step())
    pd.DataFrame(np.eye(3, dtype=int), CLASSES, CLASSES).to_csv(run.path / "confusion.csv")
    drawn_figures = [plot() for _, plot in draw._of_run(run)]
    figures = [figure for one in drawn_figures for figure in (one.values() if isinstance(one, Mapping) else [one])]
    found = [figure for figure in figures if figure is not None]
    assert len(found) == 6
    for figure in found:
        assert figure.texts[0].get_text().startswith(f"{run.path.name}\nA title")
        assert misplaced(figure) == []


@pytest.mark.parametrize("count", [2, 10, 100])
def test_a_confusion_matrix_fits(count: int) -> None:
    figure = confusion.draw(np.full((count, count), 1000), ["a class of a long name"] * count)
    assert misplaced(figure) == []


def test_a_label_breaks_between_settings_and_is_no_formula() -> None:
    label = "model.hidden=[1024, 512, 256], optimizer.lr=0.1, name=$x$"
    assert canvas.wrap(label) == "model.hidden=[1024, 512, 256],\noptimizer.lr=0.1,\nname=\\$x\\$"
