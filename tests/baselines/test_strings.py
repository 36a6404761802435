"""Rules for strings against scikit-learn's cosines and edits counted by hand."""

from types import SimpleNamespace

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity
from torchmetrics.text import CharErrorRate

from nnzoo.baselines.strings import StringBaselines
from nnzoo.data.strings.pairs import Pair

TRAIN = [Pair("3 May 98", "1998-05-03"), Pair("may 3", "05-03"), Pair("Jun 7, 99", "1999-06-07")]
TEST = [Pair("3 May 99", "1999-05-03"), Pair("7 Jun", "7 Jun"), Pair("May 3, 98", "1998-05-03")]
LONGER = [Pair("Jun 17, 1999", "1999-06-07")]


def test_a_source_is_copied_or_gets_the_target_of_the_most_similar_training_source():
    pairs = {"train": TRAIN, "val": TEST[:1], "test": TEST, "longer": LONGER}
    found = StringBaselines().scores(None, SimpleNamespace(pairs=pairs))
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False).fit([p.source for p in TRAIN])
    for part, suffix in ((TEST, ""), (LONGER, "_longer")):
        texts, known = ([pair.source for pair in chosen] for chosen in (part, TRAIN))
        nearest = cosine_similarity(vectors.transform(texts), vectors.transform(known)).argmax(axis=1)
        outputs = {"copy": texts, "nearest": [TRAIN[number].target for number in nearest]}
        for name, given in outputs.items():
            right = [text == pair.target for text, pair in zip(given, part, strict=True)]
            assert found[name][f"exact_match{suffix}"] == pytest.approx(sum(right) / len(right))
            if not suffix:
                edits = CharErrorRate()(given, [pair.target for pair in part])
                assert found[name]["char_error_rate"] == pytest.approx(float(edits))
    assert found["copy"]["exact_match"] == pytest.approx(1 / 3)
    assert found["nearest"]["exact_match"] == pytest.approx(1 / 3), "the year is another"
    assert found["nearest"]["exact_match_longer"] == 1
