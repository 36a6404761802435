"""Small files of texts for tests."""

import random
from pathlib import Path

GOOD = ["fine", "great", "lovely", "moving", "bright", "warm"]
BAD = ["dull", "weak", "boring", "empty", "cold", "flat"]
FILLING = ["the", "a", "film", "plot", "actor", "scene", "with", "of", "and", "in", "its", "very", "story", "end"]


def reviews(count, seed=0):
    """Texts of different lengths, good and bad in turn, which their words tell."""
    rng, rows = random.Random(seed), []
    for number in range(count):
        label, words = [("good", GOOD), ("bad", BAD)][number % 2]
        chosen = [*rng.choices(FILLING, k=rng.randint(2, 30)), *rng.choices(words, k=2)]
        rows.append((f"{' '.join(chosen)} {number}", label))
    return rows


def write_reviews():
    """reviews.tsv, and new.txt without labels, in the working directory."""
    words = {
        "good": ["a fine film", "warm and funny", "well acted"],
        "bad": ["a dull film", "cold and long", "badly cut"],
    }
    rows = [(f"{text}, take {i}", label) for i in range(20) for label, texts in words.items() for text in texts]
    tsv(Path("reviews.tsv"), rows)
    write(Path("new.txt"), ["a fine and funny film", "a cold one"])


def write(path, lines):
    """Writes lines and returns the path as a text."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def tsv(path, rows, header=()):
    """Writes rows with tabs between their fields."""
    return write(path, ["\t".join(row) for row in [*([header] if header else []), *rows]])
