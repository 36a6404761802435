"""Plots of what is done to strings."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

END = "■"
"""Stands for the end token."""


def attention_maps(examples: Sequence[tuple[str, str, Tensor]]) -> Figure:
    """Attention of each output character (rows) to each source character (columns).

    Args:
        examples: Source, output and weights (T, S), of which the first rows and columns are the strings' own; the row
            after the output's last character is its end.
    """
    columns = min(3, len(examples))
    rows = -(-len(examples) // columns)
    longest = max(max(len(source), len(output) + 1) for source, output, _ in examples)
    side = max(2.6, 0.2 * longest + 0.8)
    figure = Figure(figsize=(side * columns, side * rows + 0.5), dpi=120, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, (source, output, weights) in zip(axes, examples, strict=False):
        written = [*output, END][: len(weights)]
        shown = weights[: len(written), : len(source)].detach().float().cpu().numpy()
        image = axis.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axis.set_xticks(range(len(source)), list(source), fontsize="small")
        axis.set_yticks(range(len(written)), written, fontsize="small")
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
    for axis in axes[len(examples) :]:
        axis.set_visible(False)
    figure.colorbar(image, ax=axes, label="attention weight", shrink=0.6)
    figure.suptitle(f"source in columns, output in rows, {END} its end")
    return figure


def string_table(sources: Sequence[str], targets: Sequence[str], outputs: Sequence[str]) -> Figure:
    """Sources, targets and outputs side by side; wrong outputs in red."""
    wrong = [output != target for output, target in zip(outputs, targets, strict=True)]
    return text_table({"source": sources, "target": targets, "output": outputs}, {"output": wrong})


def text_table(columns: Mapping[str, Sequence[str]], red: Mapping[str, Sequence[bool]] | None = None) -> Figure:
    """Columns of texts under their names.

    Args:
        columns: By their names; all of one length.
        red: Which entries of a column are red.
    """
    widths = [max([len(name), *map(len, texts)]) + 3 for name, texts in columns.items()]
    marked = red or {}
    lines = [tuple(columns), *zip(*columns.values(), strict=True)]
    figure = Figure(figsize=(0.1 * sum(widths) + 0.4, 0.24 * (len(lines) + 1)), dpi=120)
    for number, line in enumerate(lines):
        for column, (name, text) in enumerate(zip(columns, line, strict=True)):
            figure.text(
                0.02 + 0.98 * sum(widths[:column]) / sum(widths),
                1 - (number + 0.8) / (len(lines) + 1),
                text,
                family="monospace",
                fontsize="small",
                weight="bold" if number == 0 else "normal",
                color="tab:red" if number and name in marked and marked[name][number - 1] else "black",
                parse_math=False,  # a dollar is a dollar
            )
    return figure
