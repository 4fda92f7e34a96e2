"""What sweeps have left, listed, compared and shown: against numbers worked out by hand."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import statistics
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from tests.commands.conftest import Say, Sweeps
from tests.conftest import Configure
from tests.reports.sweeps import OnDisk, wanted
from triplicate.records.run_folder import write_json

# Its options are enough for all forms.
FORMS = ("list", "show", "best", "compare", "clean")


def test_list_tells_of_every_sweep_the_newest_last(say: Say, written: Sweeps) -> None:
    said = say("list", written.folder)
    assert said.code == 0
    lines = said.out.splitlines()
    assert [line.split("  ")[-1] for line in lines[::2]] == [
        str(written.broken),
        str(written.whole),
        str(written.empty),
    ]
    assert "1 of 3 runs, 1 failed, 1 missing; best accuracy 50.00 % (optimizer.lr=0.1)" in lines[1]
    assert "3 of 4 runs, 1 diverged; best accuracy 65.00 % (optimizer.lr=0.01)" in lines[3]
    assert lines[5] == "  0 of 1 run, 1 missing"
    assert all(len(line) <= 80 for line in lines[1::2])


def test_list_in_numbers(say: Say, written: Sweeps) -> None:
    found = {line["folder"]: line for line in say("list", written.folder, "--json").json}
    whole = found[str(written.whole)]
    assert whole["date"] == "2026-03-02T00:00:00+00:00"
    counts = [whole[state] for state in ("runs", "finished", "diverged", "failed", "damaged", "missing")]
    assert counts == [4, 3, 1, 0, 0, 0]
    assert whole["best"] == {"row": "optimizer.lr=0.01", "test_accuracy_mean": 0.65, "test_accuracy_std": None, "n": 1}
    assert whole["bytes"] == sum(path.stat().st_size for path in written.whole.rglob("*") if path.is_file())
    assert found[str(written.empty)]["best"]["n"] is None
    table = pd.read_csv(io.StringIO(say("list", written.folder, "--csv").out))
    assert dict(zip(table["folder"], table["best_test_accuracy_mean"], strict=True))[str(written.whole)] == 0.65


def test_list_of_nothing(say: Say, tmp_path: Path) -> None:
    assert say("list", tmp_path).out == f"no sweep is in {tmp_path} or below\n"
    assert say("list", tmp_path, "--json").json == []
    assert pd.read_csv(io.StringIO(say("list", tmp_path, "--csv").out)).empty


def test_list_says_what_is_damaged_in_the_row(say: Say, own: Sweeps) -> None:
    (own.whole / "sweep.json").write_text("{}garbage")
    (own.run("0.1", 0) / "summary.json").write_text("")
    shutil.rmtree(own.broken / "runs")
    (own.empty / "sweep.json").write_text('{"name": "no hash"}')
    found = {line["folder"]: line for line in say("list", own.folder, "--json").json}
    whole = found[str(own.whole)]
    assert whole["problem"].startswith("sweep.json: it cannot be read")
    assert (whole["finished"], whole["diverged"], whole["damaged"]) == (2, 1, 1)
    assert found[str(own.broken)]["missing"] == 3
    assert found[str(own.empty)]["problem"] == "sweep.json: it is not of this version ('experiment')"
    assert say("list", own.folder).code == 0


def test_list_says_which_is_in_training(say: Say, own: Sweeps) -> None:
    with FileLock(own.whole / ".lock"):
        assert [line["in_training"] for line in say("list", own.whole, "--json").json] == [True]
    assert [line["in_training"] for line in say("list", own.whole, "--json").json] == [False]


def test_best_is_by_the_measure(say: Say, written: Sweeps) -> None:
    said = say("best", written.whole)
    assert said.out.splitlines() == [
        "greatest mean of test accuracy %: 65.00, optimizer.lr=0.01, 1 run",
        "greatest test accuracy % of one run: 70.00, optimizer.lr=0.1, seed=1",
        str(written.run("0.1", 1)),
    ]
    assert say("best", written.whole, "--path").out == f"{written.run('0.1', 1)}\n"
    # Less is better, and of equals the first is named.
    lower = say("best", written.whole, "--by", "test_loss", "--json").json
    assert lower["better"] == "lower"
    assert lower["run"] == {
        "path": str(written.run("0.1", 0)),
        "axes": {"optimizer.lr": "0.1"},
        "seed": 0,
        "value": 0.5,
    }
    assert lower["row"] == {"axes": {"optimizer.lr": "0.1"}, "mean": 0.5, "std": 0.0, "n": 2}
    run, row = say("best", written.whole, "--csv").csv
    assert (run["best"], run["optimizer.lr"], run["seed"], run["value"]) == ("run", "0.1", "1", "0.7")
    assert (row["best"], row["optimizer.lr"], row["n"], row["path"]) == ("row", "0.01", "1", "")


def test_compare_counts_a_run_once(say: Say, written: Sweeps) -> None:
    found = say("compare", written.whole, written.broken, "--json").json
    assert found["sweeps"] == [str(written.whole), str(written.broken)]
    assert found["keys"] == ["optimizer.lr"]
    assert found["in_several"] == 1
    rows = {row["axes"]["optimizer.lr"]: row for row in found["rows"]}
    assert rows["0.1"]["sweeps"] == found["sweeps"]
    assert rows["0.1"]["measures"]["test_accuracy_mean"] == pytest.approx(0.6)
    assert rows["0.1"]["measures"]["test_accuracy_std"] == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert [rows[rate]["n"] for rate in ("0.1", "0.01", "1")] == [2, 1, 0]
    assert rows["1"]["sweeps"] == [str(written.broken)]
    assert (rows["1"]["failed"], rows["1"]["missing"], rows["1"]["measures"]["test_accuracy_mean"]) == (1, 1, None)
    # The same folder by another name, and one that is above it.
    twice = say("compare", written.whole, written.whole / "..", written.broken, "--json").json
    assert len(twice["sweeps"]) == 2
    assert [row["n"] for row in twice["rows"]] == [row["n"] for row in found["rows"]]


def test_compare_for_people_and_tables(say: Say, written: Sweeps) -> None:
    said = say("compare", written.whole, written.broken)
    assert [line.split()[:3] for line in said.out.splitlines()[2:5]] == [
        ["1", "2", "0.1"],
        ["1", "0.01", "65.00"],
        ["2", "1", "failed"],
    ]
    assert f"1: {written.whole}\n2: {written.broken}\n" in said.out
    assert "in more than one of the sweeps, and counted once: 1 run\n" in said.out
    table = pd.read_csv(io.StringIO(say("compare", written.whole, written.broken, "--csv").out))
    assert list(table["optimizer.lr"]) == [0.1, 0.01, 1.0]
    assert list(table["n"]) == [2, 1, 0]


def test_show_of_a_run(say: Say, written: Sweeps) -> None:
    found = say("show", written.run("0.1", 1), "--json").json
    assert (found["status"], found["diverged_step"], found["config"]["optimizer"]["lr"]) == ("finished", None, 0.1)
    assert found["measures"]["test_accuracy"] == 0.7
    near = {Path(each["folder"]).name: each for each in found["neighbours"]}
    assert near["optimizer.lr=0.1,seed=0"]["differences"] == {"seed": {"own": "1", "other": "0"}}
    both = {"seed": {"own": "1", "other": "0"}, "optimizer.lr": {"own": "0.1", "other": "0.01"}}
    assert near["optimizer.lr=0.01,seed=0"]["differences"] == both
    assert len(near) == 3
    text = say("show", written.run("0.1", 1)).out
    assert "\n  seed=0: test accuracy 50.00 % (-20.00)\n" in text
    assert "\n  optimizer.lr=0.01: diverged\n" in text
    optimizer = re.search(r"\noptimizer: (\{[^}]*\})", text)
    assert optimizer is not None
    assert {"name: sgd", "lr: 0.1"} <= set(optimizer[1].strip("{}").split(", "))
    lines = {line["key"]: line["value"] for line in say("show", written.run("0.1", 1), "--csv").csv}
    assert (lines["measures.test_accuracy"], lines["config.optimizer.lr"]) == ("0.7", "0.1")


def test_show_of_runs_without_a_result(say: Say, written: Sweeps) -> None:
    assert "status   diverged in step 7\n" in say("show", written.run("0.01", 1)).out
    failed = written.broken / "runs" / "optimizer.lr=1,seed=0"
    said = say("show", failed).out
    assert "status   failed\ncause    no memory\n" in said
    assert f"log      {failed / 'triplicate.log'}\n" in said
    missing = say("show", written.broken / "runs" / "optimizer.lr=1,seed=1", "--json").json
    assert missing["epochs"] is None
    assert (missing["status"], missing["config"], missing["measures"]) == ("missing", {}, {})
    assert missing["neighbours"][0]["differences"] == {"seed": {"own": "1", "other": "0"}}


def test_show_of_a_sweep(say: Say, written: Sweeps) -> None:
    text = say("show", written.broken).out
    assert "runs     3: 1 finished, 1 failed, 1 missing\n" in text
    assert "0/2 seeds, 1 failed, 1 missing" in text
    found = say("show", written.broken, "--json").json
    assert [line["n"] for line in found["table"]] == [1, 0]
    assert found["table"][1]["test_accuracy_mean"] is None


@pytest.mark.parametrize("command", FORMS)
def test_one_form_at_a_time(say: Say, written: Sweeps, command: str) -> None:
    said = say(command, written.whole, "--json", "--csv")
    assert (said.code, said.err) == (2, "error: --csv: it cannot be combined with --json; give one of them\n")


@pytest.mark.parametrize("command", [*FORMS, "predict", "evaluate"])
def test_folders_that_are_none(say: Say, own: Sweeps, command: str) -> None:
    image = ["image.png"] if command == "predict" else []
    missing = say(command, own.folder / "nothing", *image)
    assert (missing.code, missing.err.startswith(f"error: {own.folder / 'nothing'}: it is not there; ")) == (2, True)
    file = own.whole / "sweep.json"
    said = say(command, file, *image)
    assert (said.code, said.err.startswith(f"error: {file}: it is a file, no folder; ")) == (2, True)
    if command not in ("list", "clean"):
        other = own.folder / "other"
        other.mkdir()
        said = say(command, other, *image)
        assert said.code == 2
        assert said.err.startswith(f"error: {other}: it is no ")
        assert said.err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_folder_that_may_not_be_read(say: Say, own: Sweeps) -> None:
    own.whole.chmod(0)
    try:
        said = say("list", own.folder)
    finally:
        own.whole.chmod(0o755)
    assert said.code == 0
    assert f"  {own.whole}\n  it cannot be read; " in said.out


def test_mistakes(say: Say, written: Sweeps) -> None:
    known = {
        ("evaluate", written.run("0.01", 1)): "it diverged in step 7, and its weights mean nothing; ",
        ("best", written.folder): "it is no sweep, but several are below it; see triplicate list",
        ("best", written.run("0.1", 0)): f"it is a run, not a sweep; name its sweep: {written.whole}",
        ("best", written.empty): "no run has finished without diverging; train some first",
        (
            "best",
            written.whole,
            "--by",
            "test_acuracy",
        ): "--by: there is no 'test_acuracy'; did you mean test_accuracy?",
        ("best", written.whole, "--by", "validation_loss"): "--by: no finished run has validation_loss; ",
        ("best", written.whole, "--path", "--json"): "--path: it prints the path alone; ",
        ("compare",): "compare: DIR is missing; ",
        (
            "predict",
            written.whole,
            "a.png",
        ): f"it is a sweep of 4 runs; name one of them; triplicate best {written.whole}",
        (
            "clean",
            written.folder,
            "--only",
            "checkpoints",
        ): "--only: there is no 'checkpoints'; did you mean checkpoint?",
        ("clean", written.folder, "--yes", "--dry-run"): "--dry-run: it cannot be combined with --yes; ",
    }
    for words, part in known.items():
        said = say(*words)
        assert (said.code, said.out) == (2, ""), words
        assert part in said.err, words
        assert said.err.count("\n") == 1, words


def test_json_has_no_other_numbers_than_the_records(say: Say, written: Sweeps) -> None:
    recorded = json.loads((written.run("0.1", 0) / "summary.json").read_text())
    assert say("show", written.run("0.1", 0), "--json").json["measures"] == recorded["measures"]


def test_the_keys_are_documented(say: Say, written: Sweeps) -> None:
    """Every key of the JSON stands in its section of docs/commands.md."""
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    sections = {part.split()[0].rstrip(","): part for part in text.split("\n## ")[1:]}
    run, whole = written.run("0.1", 0), written.whole
    answers = {
        "list": say("list", written.folder, "--json").json[0],
        "show": say("show", run, "--json").json | say("show", whole, "--json").json,
        "best": say("best", whole, "--json").json,
        "compare": say("compare", whole, "--json").json,
        "clean": say("clean", written.folder, "--json").json,
    }
    inner = {"best": answers["best"]["run"] | answers["best"]["row"], "compare": answers["compare"]["rows"][0]}
    inner |= {"list": answers["list"]["best"], "clean": answers["clean"]["found"][0]}
    inner["show"] = answers["show"]["neighbours"][0]
    for command, answer in answers.items():
        for key in (*answer, *inner[command]):
            known = sections[command] + sections["list"] * (command == "show")  # the counts of its states
            assert f"`{key}`" in known, f"{command}: {key}"


def test_a_folder_called_runs_makes_no_sweep(say: Say, tmp_path: Path) -> None:
    (tmp_path / "runs" / "Nov21").mkdir(parents=True)
    (tmp_path / "runs" / "Nov21" / "events.out.tfevents").write_bytes(b"somebody else's")
    assert say("list", tmp_path, "--json").json == []
    assert say("clean", tmp_path, "--json").json["found"] == []


def test_compare_of_other_data_and_of_what_was_not_begun(say: Say, own: Sweeps) -> None:
    """The first row is of a run that left nothing; the data set is a key that differs."""
    record = json.loads((own.whole / "sweep.json").read_text())
    record.pop("sha256")
    for run in record["wanted"]:
        run["choices"] |= {"dataset": "mnist"}
        run["fingerprint"] += "mnist"
        run["setting"] += "mnist"
    other = own.folder / "other"
    other.mkdir()
    write_json(other / "sweep.json", record)
    found = say("compare", other, own.whole, "--json").json
    assert found["keys"][0] == "dataset"
    assert [row["axes"]["dataset"] for row in found["rows"]] == ["mnist", "mnist", "glyphs", "glyphs"]
    assert [row["axes"]["optimizer.lr"] for row in found["rows"]] == ["0.1", "0.01", "0.1", "0.01"]


def test_a_run_on_points_sees_no_images(say: Say, tmp_path: Path, configure: Configure) -> None:
    run = OnDisk(tmp_path / "points", configure).finish(wanted("0.1", 0), image_shape=[2])
    said = say("predict", run.parent.parent, tmp_path / "a.png")  # its only run
    assert said.code == 2
    assert said.err == f"error: {run}: it was trained on points, not on images; choose another run\n"


def test_show_of_a_run_that_was_interrupted(say: Say, own: Sweeps) -> None:
    (own.run("0.1", 1) / "summary.json").unlink()
    said = say("show", own.run("0.1", 1)).out
    assert "status   missing\n" in said
    assert "epochs   2 so far\n" in said
