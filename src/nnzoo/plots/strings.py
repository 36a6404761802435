"""Plots of what is done to strings."""

from collections.abc import Sequence

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
