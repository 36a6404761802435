"""Tables of texts."""

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

LINES = 8
"""The most lines of a cell."""
GAP = 3
"""Characters between columns."""
CHARACTER = 0.07
"""Inches that a character of matplotlib's monospaced font takes in size small, with a little room."""


def text_table(
    columns: Mapping[str, Sequence[str]],
    title: str = "",
    width: int | None = None,
    red: Mapping[str, Sequence[bool]] | None = None,
) -> Figure:
    """Columns of texts under their names.

    Args:
        columns: The texts of each column by its name; all of one length.
        title: What stands above.
        width: Characters of a line, within which texts are wrapped, line breaks kept; if not given, a text is a line,
            and a column as wide as its longest.
        red: Which texts of a column are red.
    """
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    cells = [[text if width is None or not number else wrapped(text, width) for text in row]
             for number, row in enumerate(rows)]  # fmt: skip
    widths = [(width or max(map(len, texts))) + GAP for texts in zip(*cells, strict=True)]
    heights = [max(cell.count("\n") + 1 for cell in row) + (0.25 if width is None else 1) for row in cells]
    above = 2.0 if title else 0.5
    total, whole = sum(heights) + above, sum(widths)
    figure = Figure(figsize=(CHARACTER * whole / 0.98, 0.19 * total), dpi=120)
    if title:
        figure.suptitle(title, fontsize="medium", y=1 - 0.4 / total, va="top", parse_math=False)
    for number, row in enumerate(cells):
        for column, (name, text) in enumerate(zip(columns, row, strict=True)):
            figure.text(
                0.02 + 0.98 * sum(widths[:column]) / whole,
                1 - (above + sum(heights[:number])) / total,
                text,
                family="monospace",
                fontsize="small",
                weight="normal" if number else "bold",
                color="tab:red" if number and red and name in red and red[name][number - 1] else "black",
                va="top",
                parse_math=False,  # a dollar is a dollar
            )
    return figure


def string_table(sources: Sequence[str], targets: Sequence[str], outputs: Sequence[str]) -> Figure:
    """Sources, targets and outputs side by side; wrong outputs in red."""
    wrong = [output != target for output, target in zip(outputs, targets, strict=True)]
    return text_table({"source": sources, "target": targets, "output": outputs}, red={"output": wrong})


def wrapped(text: str, width: int) -> str:
    """A text in lines of at most ``width`` characters and at most ``LINES`` of them; what cannot be drawn is a box."""
    shown = "".join(char if char.isprintable() or char == "\n" else "□" for char in text.expandtabs(4))
    lines = [piece for line in shown.split("\n") for piece in textwrap.wrap(line, width, drop_whitespace=False) or [""]]
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], "..."])
