"""Tables in Markdown, read."""

import re


def cells_below(text, header):
    """The cells of a Markdown table by the first of each row."""
    rows = re.search(rf"^\| {re.escape(header)} \|.*\n\| ---.*\n((?:\|.*\n)+)", text, re.MULTILINE)[1]
    return {name: cells for name, *cells in ([c.strip() for c in row.split("|")[1:-1]] for row in rows.splitlines())}
