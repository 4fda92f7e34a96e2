"""What is wrong with a part from outside is one clear line, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from triplicate.cli import main

HEAD = """from dataclasses import dataclass
from pathlib import Path
from torch import nn
from triplicate import Activation, Figures, Model, Optimizer, UserError, key, part
"""
MODULE = """
    def module(self):
        return nn.Mish()
"""


def mine(
    field: str = "", base: str = "Activation", method: str = MODULE, name: str = "mine", frozen: bool = True
) -> str:
    """A part as a file has it."""
    dataclass = "@dataclass(frozen=True)" if frozen else ""
    parent = f"({base})" if base else ""
    return f"@part({name!r})\n{dataclass}\nclass Mine{parent}:\n    {field}\n    pass\n{method}"


RULE = """
    def rule(self, parameters):
        pass
"""
IMPORT = "it cannot be imported"

# The text of parts.py, behind its imports → what the line says.
MISTAKES = {
    "def (": f"{IMPORT} (line 5: SyntaxError:",
    "\nnothing_here": f"{IMPORT} (line 6: NameError: name 'nothing_here' is not defined); mend the file",
    "import no_such_module": f"{IMPORT} (line 5: ModuleNotFoundError: No module named 'no_such_module')",
    "raise SystemExit(0)": f"{IMPORT} (line 5: SystemExit: 0)",
    "x = 1": "it registers no part; put @part(",
    mine(name="relu"): "activation relu is there already, from triplicate; give it another name",
    mine() + mine().replace("class Mine", "class Other"): "activation mine is there already, from parts.py",
    mine("a: float = 1.0"): "the key a of activation mine has no help; write a: … = key(",
    mine("a: float = key(' ', default=1.0)"): "the key a of activation mine has no help",
    mine("name: str = key('x', default='')"): "activation mine has a key 'name', which every part has",
    mine("a: dict = key('x', default=None)"): "the type of the key a is none that a configuration can hold",
    mine("a: 'Lost' = key('x', default=None)"): "the type of a key cannot be read (name 'Lost' is not defined)",
    mine("a: float = key('x')"): "activation mine has no default for a; write key(…, default=…)",
    mine(frozen=False): "activation mine is no frozen dataclass; put @dataclass(frozen=True) above Mine",
    mine(method=""): "activation mine has no module; see Activation",
    mine(base=""): "Mine derives from no kind of part; derive it from one of Activation, Augmentation, DataSource",
    mine(name="a b"): "'a b' is no name for a part",
    mine("a: int = key('x', default=1)", "Figures"): "figure mine has keys (a), but a figure is a name in a list",
    mine(base="Optimizer", method=RULE): "optimizer mine has no key lr",
    "raise UserError('here', 'it is so', 'mend it')": "here: it is so; mend it",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check_refusal(arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1, printed.err
    assert message in printed.err
    assert [p for p in sorted(folder.rglob("*")) if "__pycache__" not in p.parts] == before


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: MISTAKES[text][:50])
def test_a_file_with_a_mistake(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "parts.py").write_text(HEAD + text)
    for arguments in (["--parts", "parts.py"], ["plan", "dataset=points", "--parts=parts.py"]):
        check_refusal(arguments, MISTAKES[text], tmp_path, capsys)


def test_a_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "parts.txt").write_text("")
    for arguments, message in {
        ("--parts", "none.py"): "--parts none.py: there is no such file",
        ("--parts", "."): "it is a folder",
        ("--parts", "parts.txt"): "it is no Python file",
        ("dataset=points", "--parts"): "--parts: no file is named; write --parts FILE",
    }.items():
        check_refusal([*arguments], message, tmp_path, capsys)


# A model's build and forward → what the line says.
MODELS = {
    ("return nn.Linear(3, outputs)", "RuntimeError"): "model mine: it fails on this data (RuntimeError:",
    ("raise KeyError('size')", "KeyError"): "model mine: it fails on this data (KeyError: 'size'); mend it in parts.py",
    ("return nn.Sequential(nn.Flatten(), nn.Linear(2, outputs + 1))", "shape"): (
        "model mine: for one example it gives [1, 3], not logits [1, 2]"
    ),
    ("return nn.Flatten()", "nothing"): "model mine: it has nothing to train",
    ("raise UserError('model.x', 'it is so', 'mend it')", "UserError"): "model.x: it is so; mend it",
}


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build[1])
def test_a_model_that_does_not_fit(build: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{HEAD}@part('mine')\n@dataclass(frozen=True)\nclass Mine(Model):\n"
    (tmp_path / "parts.py").write_text(f"{text}    def build(self, shape, outputs, activation):\n        {build[0]}\n")
    arguments = ["--parts", "parts.py", "dataset=points", "model=mine", "output_dir=out"]
    check_refusal(arguments, MODELS[build], tmp_path, capsys)


def test_examples_that_are_no_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = "import torch\nfrom dataclasses import dataclass\nfrom triplicate import Dataset, DataSource, Images, part\n"
    cases = {
        "Images(torch.zeros(4, 1, 3, 3), torch.zeros(4).long())": "float32 [4, 1, 3, 3] is neither images, uint8",
        "Images(torch.zeros(4, 2), torch.zeros(4))": "the labels are not int64 [4]",
        "Images(torch.zeros(4, 2), torch.full((4,), 9))": "a label is no index into the 2 classes",
        "Images(torch.zeros(0, 2), torch.zeros(0).long())": "it has no examples",
    }
    for images, message in cases.items():
        text = f"{head}@part('mine')\n@dataclass(frozen=True)\nclass Mine(DataSource):\n    def read(self, data_dir):\n"
        (tmp_path / "parts.py").write_text(
            f"{text}        images = {images}\n        return Dataset(images, images, ('a', 'b'))\n"
        )
        check_refusal(
            ["--parts", "parts.py", "dataset=mine", "output_dir=out"],
            f"dataset mine: train: {message}",
            tmp_path,
            capsys,
        )
