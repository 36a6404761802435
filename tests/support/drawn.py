"""What a picture shows: its labels, its lines, its points and its pixels."""

import numpy as np
from matplotlib.colors import to_rgba


def texts(labels):
    """The strings of texts, such as those of ticks."""
    return [label.get_text() for label in labels]


def named_lines(axis):
    """The lines of an axis that have a label: (x, y) by label."""
    lines = [line for line in axis.lines if not line.get_label().startswith("_")]
    return {line.get_label(): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in lines}


def colors_of(handles):
    """The colour of each line or cloud of points by its label."""
    found = {}
    for handle in handles:
        color = handle.get_color() if hasattr(handle, "get_color") else handle.get_facecolor()[0]
        found[handle.get_label()] = tuple(np.round(to_rgba(color)[:3], 4).tolist())
    return found


def legend_colors(legend):
    """The colour that a legend shows beside each name."""
    shown = colors_of(legend.legend_handles)
    return dict(zip(texts(legend.get_texts()), shown.values(), strict=True))


def pixels(axis, number=0):
    """What an axis shows as an image."""
    return np.asarray(axis.images[number].get_array())


def points(axis, number=0):
    """The points (N, 2) of a cloud."""
    return np.asarray(axis.collections[number].get_offsets())


def apart(figure):
    """Whether the texts of a figure are all inside it, and none overlaps another."""
    boxes = [text.get_window_extent() for text in figure.texts]
    inside = all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)
    overlapping = any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    return inside and not overlapping
