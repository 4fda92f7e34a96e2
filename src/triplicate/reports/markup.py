"""Columns of text as tables in the languages of documents, where no letter of a value means anything."""

from __future__ import annotations

import re
from collections.abc import Sequence

import tabulate

from triplicate.reports.columns import Column

_LATEX_LETTERS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    **{letter: f"\\{letter}" for letter in "_%&#${}"},
}
# Of Markdown, and of HTML that stands in it. An underscore inside a word means nothing there.
_MARKDOWN_LETTERS = re.compile(r"[\\|`*<>&~]|\b_|_\b|\](?=\()")
# A measured number in a cell: 87.83, -0.05, 1,863,690, 1.6e29
_NUMBER = re.compile(r"(?<![\w.])([+-]?)(\d[\d,]*(?:\.\d+)?(?:e-?\d+)?)(?![\w.])")


def markdown(columns: Sequence[Column]) -> str:
    """A table as GitHub and others render it."""
    cells = [[in_markdown(cell) for cell in column.cells] for column in columns]
    return tabulate.tabulate(
        list(zip(*cells, strict=True)),
        headers=[in_markdown(column.heading) for column in columns],
        tablefmt="github",
        disable_numparse=True,
        stralign="right",
    )


def html(columns: Sequence[Column]) -> str:
    """A table for a notebook."""
    return tabulate.tabulate(
        list(zip(*(column.cells for column in columns), strict=True)),
        headers=[column.heading for column in columns],
        tablefmt="html",
        disable_numparse=True,
        stralign="right",
    )


def latex(columns: Sequence[Column]) -> str:
    """A tabular with the rules of booktabs and the numbers of siunitx."""
    heads = " & ".join(in_latex(column.heading) for column in columns)
    cells = [[in_latex(cell) if column.is_typed else _measured(cell) for cell in column.cells] for column in columns]
    lines = [" & ".join(line) for line in zip(*cells, strict=True)]
    rows = "\n".join(f"{line} \\\\" for line in lines)
    layout = "r" * len(columns)
    return f"\\begin{{tabular}}{{{layout}}}\n\\toprule\n{heads} \\\\\n\\midrule\n{rows}\n\\bottomrule\n\\end{{tabular}}"


def in_markdown(text: str) -> str:
    """Text that is rendered as it is, on one line."""
    return _MARKDOWN_LETTERS.sub(lambda found: f"\\{found[0]}", text.replace("\n", " "))


def in_latex(text: str) -> str:
    """Text that is typeset as it is, on one line."""
    return "".join(_LATEX_LETTERS.get(letter, letter) for letter in text.replace("\n", " "))


def _measured(text: str) -> str:
    r"""A cell with its numbers as \num, which would leave a plus out."""
    pieces, end = [], 0
    for found in _NUMBER.finditer(text):
        sign, digits = found[1], found[2].replace(",", "")
        pieces += [in_latex(text[end : found.start()]), "$+$" * (sign == "+"), rf"\num{{{sign.strip('+')}{digits}}}"]
        end = found.end()
    return "".join(pieces) + in_latex(text[end:])
