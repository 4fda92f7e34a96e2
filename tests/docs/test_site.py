"""The site of docs/ builds without a warning, leads nowhere that is not there, and asks nothing of another host."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from tests.docs.pages import ROOT

pytestmark = pytest.mark.skipif(
    find_spec("zensical") is None, reason="no zensical, which builds the site, is installed"
)


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The pages and their configuration, in a folder of their own."""
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


class Page(HTMLParser):
    """What a page leads to, loads, and can be led to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors = {"", "__top"}
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(values["href"])
        elif "src" in values:
            self.loads.append(values["src"])


def test_it_builds_without_a_warning_and_all_that_it_leads_to_is_there(copy: Path) -> None:
    done = build(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    read = {path: Page(path) for path in (copy / "site").rglob("*.html") if path.name != "404.html"}
    assert len(read) >= 20
    wrong = [
        f"{page.path.name} → {link}"
        for page in read.values()
        for link in (*page.links, *page.loads)
        if not leads(page, link, read)
    ]
    assert not wrong, "\n".join(wrong)
    elsewhere = [load for page in read.values() for load in page.loads if re.match(r"(https?:)?//", load)]
    assert not elsewhere
    styles = "".join(path.read_text() for path in (copy / "site").rglob("*.css"))
    assert not re.search(r"url\(\W*https?:|@import\W+https?:", styles)


def leads(page: Page, link: str, read: dict[Path, Page]) -> bool:
    """Whether something of this site is there; what is of other hosts is not asked for."""
    if re.match(r"(https?:)?//|mailto:|data:", link):
        return True
    file, _, anchor = unquote(link).partition("#")
    target = (page.path.parent / file).resolve() if file else page.path
    target = target / "index.html" if target.is_dir() else target
    return target.is_file() and (target not in read or anchor in read[target].anchors)


def test_links_to_nowhere_fail_the_build(copy: Path) -> None:
    links = ("nowhere.md", "parts.md#nowhere", "#nowhere")
    with (copy / "docs" / "index.md").open("a") as page:
        page.write("".join(f"\n[a link]({link})\n" for link in links))
    done = build(copy)
    assert done.returncode != 0
    assert f"{len(links)} issues found" in done.stdout + done.stderr


def test_every_page_is_in_the_navigation() -> None:
    def files(entries: object) -> set[str]:
        if isinstance(entries, str):
            return {entries}
        values = entries.values() if isinstance(entries, dict) else entries
        return set().union(*(files(entry) for entry in values))  # type: ignore[union-attr]

    told = files(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    # The pages of the studies are reached from the one of all numbers.
    assert told == {page for page in there if not page.startswith("results/") or page in told}


def test_links_between_the_files_of_the_repository() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text()):
            assert (ROOT / link).exists(), f"{name}: {link}"
