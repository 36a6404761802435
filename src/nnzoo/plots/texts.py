"""Plots of texts: where a model looks, and which words count."""

from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from torch import Tensor

LINE = 110
"""Characters of a line."""
CHARACTER = 0.06
"""Inches that a character of matplotlib's monospaced font takes in size x-small, with a little room."""
DARK = 0.7
"""Share of the largest value from which on a word is too dark for black letters."""
MOST_LAYERS = 6


def attention_layers(tokens: Sequence[str], weights: Tensor) -> Figure:
    """Attention of each token (rows) to all (columns) in some layers, a mean over the heads.

    Args:
        tokens: Of a text, T.
        weights: (L, H, T, T) of all layers and heads.
    """
    count = len(weights)
    chosen = sorted(
        {round(i * (count - 1) / max(1, min(count, MOST_LAYERS) - 1)) for i in range(min(count, MOST_LAYERS))}
    )
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    side = max(2.8, 0.17 * len(tokens) + 1.1)
    figure = Figure(figsize=(side * columns, side * rows + 0.4), dpi=120, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, layer in zip(axes, chosen, strict=False):
        shown = weights[layer].float().mean(dim=0).cpu().numpy()
        image = axis.imshow(shown, cmap="Blues", vmin=0, vmax=float(weights[chosen].float().mean(dim=1).max()))
        for ticks in (axis.set_xticks, axis.set_yticks):
            ticks(range(len(tokens)), [plain(token) for token in tokens], fontsize=6)
        axis.tick_params(length=0)
        axis.tick_params(axis="x", rotation=90)
        axis.set_title(f"layer {layer + 1} of {count}", fontsize="small")
    for axis in axes[len(chosen) :]:
        axis.set_visible(False)
    figure.colorbar(image, ax=axes, label="attention weight, mean over the heads", shrink=0.7)
    figure.supxlabel("attended to", fontsize="small")
    figure.supylabel("attending", fontsize="small")
    return figure


def plain(text: str) -> str:
    """A text that matplotlib takes for no formula."""
    return text.replace("$", r"\$")


def word_values(
    texts: Sequence[tuple[str, Sequence[tuple[str, float]]]],
    meaning: str = "blue speaks for the prediction, red against it",
) -> Figure:
    """Texts whose words are shaded by a value each, red below 0 and blue above, of the largest in the text.

    Args:
        texts: A title and the words with their values, of each.
        meaning: Of the colours.
    """
    lines: list[list[tuple[str, float | None]]] = []
    for title, words in texts:
        lines += [[(title, None)], *_broken(words), []]
    note = f"gradient times input of each word: {meaning}"
    width = max(len(note), *(sum(len(text) + 1 for text, _ in line) for line in lines))
    figure = Figure(figsize=(CHARACTER * width / 0.96, 0.23 * len(lines) + 0.5), dpi=120)
    colors = colormaps["RdBu"]
    for number, line in enumerate(lines):
        column = 0
        for text, value in line:
            shade = "none" if value is None else to_hex(colors(0.5 + 0.4 * value))
            figure.text(
                0.02 + 0.96 * column / width,
                1 - (number + 0.9) / (len(lines) + 2),
                text,
                family="monospace",
                fontsize="x-small",
                weight="bold" if value is None else "normal",
                color="white" if abs(value or 0) > DARK else "black",
                parse_math=False,  # a dollar is a dollar
                bbox={"facecolor": shade, "edgecolor": "none", "pad": 1.2},
            )
            column += len(text) + 1
    figure.text(0.02, 0.5 / (len(lines) + 2), note, fontsize="x-small", style="italic")
    return figure


def _broken(words: Sequence[tuple[str, float]]) -> list[list[tuple[str, float | None]]]:
    """Words in lines, with their values as shares of the largest."""
    largest = max((abs(value) for _, value in words), default=0.0) or 1.0
    lines: list[list[tuple[str, float | None]]] = [[]]
    column = 0
    for word, value in words:
        shown = word if len(word) <= LINE // 2 else f"{word[: LINE // 2 - 3]}..."
        if column + len(shown) > LINE and lines[-1]:
            lines.append([])
            column = 0
        lines[-1].append((shown, value / largest))
        column += len(shown) + 1
    return lines
