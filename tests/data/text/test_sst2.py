import os
from pathlib import Path

import pytest

from nnzoo.data.text.module import TextClassificationDataModule

MINILM = Path(os.environ.get("NNZOO_DATA", "absent"), "models", "all-MiniLM-L6-v2")


@pytest.mark.realdata
@pytest.mark.skipif(not MINILM.is_dir(), reason="needs sst2 and a model under $NNZOO_DATA")
def test_sst2():
    made = TextClassificationDataModule(dataset="sst2", tokenizer=str(MINILM))
    made.setup()
    assert made.classes == ["negative", "positive"]
    assert [len(made.texts(part)[0]) for part in ("train", "val", "test")] == [6920, 872, 1821]
    assert made.texts("train")[1][:2].tolist() == [1, 0]
    assert made.encode(["one long string of cliches"])["input_ids"].tolist() == [
        [101, 2028, 2146, 5164, 1997, 18856, 17322, 2015, 102]
    ]
