"""What strings reach without a network, so that the table shows what the network is worth."""

from collections.abc import Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors
from torchmetrics.functional.text import char_error_rate

from nnzoo.baselines.base import Baselines, Scores


class StringBaselines(Baselines):
    """Exact match and character error rate of two rules, as ``baseline/NAME/METRIC``.

    ``copy`` returns the source as it is; ``nearest`` returns the target of the training source that shares most runs of
    one to three characters with it (the cosine of scikit-learn's TF-IDF vectors).
    """

    needs = ("pairs",)

    def scores(self, module: Any, data: Any) -> Scores:
        """Applies both rules to the test's samples, and to the longer ones."""
        pairs = data.pairs
        vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False)
        nearest = NearestNeighbors(n_neighbors=1, metric="cosine")
        nearest.fit(vectors.fit_transform([pair.source for pair in pairs["train"]]))
        scores: dict[str, dict[str, float]] = {"copy": {}, "nearest": {}}
        for part, suffix in (("test", ""), ("longer", "_longer")):
            if not pairs[part]:
                continue
            sources, targets = zip(*pairs[part], strict=True)
            found = nearest.kneighbors(vectors.transform(sources), return_distance=False)[:, 0]
            outputs = {"copy": list(sources), "nearest": [pairs["train"][index].target for index in found]}
            for name, texts in outputs.items():
                scores[name][f"exact_match{suffix}"] = share_equal(texts, targets)
                if part == "test":
                    scores[name]["char_error_rate"] = float(char_error_rate(texts, list(targets)))
        return scores


def share_equal(texts: Sequence[str], targets: Sequence[str]) -> float:
    """Share of the texts that are the target to the last character."""
    return sum(text == target for text, target in zip(texts, targets, strict=True)) / len(targets)
