"""Commands as a new user types them, one after the other in one folder, and what each must and must not say."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

TINY = "dataset.limit=64 model.hidden=[4] train.epochs=2"
RUN = "one/runs/optimizer.lr=0.1,seed=0"


@dataclass(frozen=True)
class Command:
    """
    Attributes:
        line: what is typed behind `triplicate`.
        says: texts of its output.
        code: that it ends with.
        not_says: texts that are not in its output.
        answer: what is typed when it asks, on a terminal.
        code_of_a_pipe: that it ends with where there is no terminal to ask on; None: the same.
        is_brief: it is in the short tour too; the commands of that need none of the others.
    """

    line: str
    says: Sequence[str] = ()
    code: int = 0
    not_says: Sequence[str] = ()
    answer: str = ""
    code_of_a_pipe: int | None = None
    is_brief: bool = False

    def words(self) -> list[str]:
        return shlex.split(self.line)


TOUR = (
    Command("--version", ["triplicate 0."], is_brief=True),
    Command("--help", ["reproduce STUDY", "triplicate help model"], is_brief=True),
    Command("help model", ["mlp", "cnn"]),
    Command("help model=cnn", ["model.filters=[16,32]"], is_brief=True),
    Command("help optimizer.lr", ["learning rate", "above 0"]),
    Command("help experiment=cv2025/cnn", ["cv2025/cnn"]),
    Command("plan --help", ["triplicate plan"]),
    Command("hlep", ["error: hlep: ", "did you mean help?"], 2, is_brief=True),
    Command("optimizer=sdg", ["error: optimizer: there is no 'sdg'; did you mean sgd?"], 2, is_brief=True),
    Command("optimizer.lr=-1", ["error: optimizer.lr: -1.0 is out of range; give a number above 0"], 2),
    Command("dataset=folder", ["error: dataset.path: no folder is named"], 2),
    Command(f"{TINY} output_dir=/proc/none", ["error: /proc/none"], 2),
    Command("report nowhere", ["error: "], 2),
    Command("--config-dir nowhere plan", ["error: --config-dir: there is no folder 'nowhere'"], 2, is_brief=True),
    Command(f"plan {TINY} model=mlp,cnn model.hidden=[8]", ["error: model.hidden"], 2),
    Command(f"plan -m {TINY} optimizer.lr=0.1,0.01 seed=0", ["2 runs to train"]),
    Command("plan experiment=quickstart,smoke", ["quickstart (1 of 2)", "smoke (2 of 2)", "12 runs to train"]),
    Command("--cfg job optimizer=adam", ["beta2: 0.999"]),
    Command("samples dataset=glyphs", ["28"]),
    Command("list", ["no sweep is in outputs or below"]),
    Command(f"{TINY} optimizer.lr=0.1,0.01 seed=0,1 output_dir=one", ["optimizer.lr", "±", "table.csv"], is_brief=True),
    Command(f"{TINY} optimizer.lr=0.1,0.01 seed=0,1 output_dir=one", ["0 runs to train; 4 finished already"]),
    Command(
        f"-q {TINY} optimizer.lr=0.1,0.01 seed=0,1 output_dir=one train.epochs=2",
        ["error: train.epochs: it is given twice"],
        2,
    ),
    Command(
        f"-q {TINY} optimizer.lr=1e30,0.1 seed=0 output_dir=two",
        ["1 diverged", "1e30"],
        0,
        ["left", "epoch "],
        is_brief=True,
    ),
    Command(f"--no-progress {TINY} seed=0 name=mine", ["outputs/mine/"], 0, ["run-epochs"]),
    Command(f"-v {TINY} seed=0 name=mine resume=last", ["1 finished already", "outputs/mine/"]),
    Command("list .", ["one", "two"], is_brief=True),
    Command("list . --csv", ["folder,name,"], 0),
    Command("list --json --csv", ["error: "], 2),
    Command("best one", [RUN.rpartition(",")[0]], is_brief=True),
    Command("best one --by test_acuracy", ["did you mean test_accuracy?"], 2),
    Command("show one", ["4"]),
    Command(f"show {RUN}", ["optimizer.lr", "finished"]),
    Command("compare one two", ["1e30", "1 run"], 0, ["e+"], is_brief=True),
    Command("compare one two --json", ['"keys"']),
    Command(f"evaluate {RUN}", ["accuracy"]),
    Command(f"predict {RUN} image.png image.png --csv", ["file,class,probability"], is_brief=True),
    Command(f"predict {RUN} missing.png", ["missing.png"], 2),
    Command("report one", ["table.csv"]),
    Command("report one two", ["error: "], 2),
    Command("check one", ["4 runs are finished and whole"], is_brief=True),
    Command("clean one --dry-run", ["checkpoint"]),
    Command("clean one", ["remove"], 0, (), "n\n", 2, is_brief=True),
    Command("clean one --yes", ["checkpoint"]),
)

# What no command may say, on any terminal.
NEVER = ("Traceback", "Warning", "-00:00", " -1 s", "BrokenPipe")


def prepare(folder: Path) -> None:
    """What the commands need to be there: an image."""
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "image.png")
