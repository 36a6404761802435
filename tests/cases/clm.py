"""The causal language model in the tests over all families."""

from support.case import Case

SMALL = {"width": 16, "num_layers": 1, "num_heads": 2}
# What needs a folder, or changes memory alone, is tested in tests/modules/test_clm.py.
APART = {"pretrained", "config", "gradient_checkpointing"}

clm = Case(
    noiseless=["--model.dropout", "0"],
    shorter={"vocab_size": 512},
    quicker=SMALL,
    small={**SMALL, "max_new_tokens": 8},
    other_values={"prompt": ["def", ["A", "The list"]], "top_k": [1], "num_heads": [1, 4], "width": [8]},
    apart=APART,
    predicted=1,
)
