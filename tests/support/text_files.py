"""Small files of texts, and a small tokenizer, for tests."""

import random

WORDS = {
    "good": ["fine", "great", "lovely", "moving", "bright", "warm"],
    "bad": ["dull", "weak", "boring", "empty", "cold", "flat"],
}
FILLING = ["the", "a", "film", "plot", "actor", "scene", "with", "of", "and", "in", "its", "very", "story", "end"]


def reviews(count, seed=0):
    """Texts of different lengths, good and bad in turn, which their words tell."""
    rng = random.Random(seed)
    labels = [("good", "bad")[i % 2] for i in range(count)]
    return [
        (" ".join([*rng.choices(FILLING, k=rng.randint(2, 30)), *rng.choices(WORDS[label], k=2)]) + f" {i}", label)
        for i, label in enumerate(labels)
    ]


def write(path, lines):
    """Writes lines and returns the path as a text."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def tsv(path, rows, header=()):
    """Writes rows with tabs between their fields."""
    return write(path, ["\t".join(row) for row in [*([header] if header else []), *rows]])
