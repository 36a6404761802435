"""Tables of texts."""

import textwrap
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

LINES = 8
"""The most lines of a cell."""


def text_table(columns: Mapping[str, Sequence[str]], title: str = "", width: int = 46) -> Figure:
    """Texts side by side, each wrapped within its column; line breaks are kept.

    Args:
        columns: The texts of each column by its name.
        title: What stands above.
        width: Characters of a line.
    """
    cells = [[wrapped(text, width) for text in texts] for texts in zip(*columns.values(), strict=True)]
    heights = [max(cell.count("\n") + 1 for cell in row) + 1 for row in cells]
    total = sum(heights) + 3.5
    figure = Figure(figsize=(0.075 * width * len(columns) + 0.4, 0.19 * total), dpi=120)
    figure.suptitle(title, fontsize="medium", y=1 - 0.4 / total, va="top", parse_math=False)
    written = [(list(columns), 2.0, "bold")]
    for number, row in enumerate(cells):
        written.append((row, 3.5 + sum(heights[:number]), "normal"))
    for texts, line, weight in written:
        for column, text in enumerate(texts):
            figure.text(
                0.02 + 0.98 * column / len(columns),
                1 - line / total,
                text,
                family="monospace",
                fontsize="small",
                weight=weight,
                va="top",
                parse_math=False,  # a dollar is a dollar
            )
    return figure


def wrapped(text: str, width: int) -> str:
    """A text in lines of at most ``width`` characters and at most ``LINES`` of them; what cannot be drawn is a box."""
    shown = "".join(char if char.isprintable() or char == "\n" else "□" for char in text.expandtabs(4))
    lines = [piece for line in shown.split("\n") for piece in textwrap.wrap(line, width, drop_whitespace=False) or [""]]
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], "..."])
