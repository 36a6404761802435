"""The adapted language model in the tests over all families."""

from cases.clm import write_texts
from support.case import Case

# What needs a folder or a GPU, or changes memory alone, is tested in tests/modules/test_lora.py.
APART = {"pretrained", "adapter", "adapter_config", "load_in_4bit", "gradient_checkpointing"}

lora = Case(
    quicker={"r": 2},
    small={"r": 2, "target_modules": "c_attn", "max_new_tokens": 8},
    other_values={
        "prompt": ["class", ["A", "def f"]],
        "top_k": [1],
        "target_modules": [["c_attn"], ["c_fc"], "all-linear"],
        "modules_to_save": [["lm_head"]],
    },
    apart=APART,
    predicted=1,
    files=write_texts,
)
