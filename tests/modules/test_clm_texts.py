"""What causal models write: behind prompts, in predict, and in the picture."""

import lightning as L
import pytest
import torch

from nnzoo import CausalLM, InputError
from nnzoo.data.text.tokenizer import files_of
from nnzoo.modules.writing import divided
from support import decoders
from support.quiet import QUIET

pytestmark = pytest.mark.filterwarnings("ignore:.*")
SIZES = {"width": 16, "num_layers": 1, "num_heads": 2, "vocab_size": 320, "block_size": 48}
SPECIAL = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}


def small(**settings):
    return CausalLM(**{**SIZES, **SPECIAL, "tokenizer_files": files_of(decoders.tokenizer()), **settings})


def fit(module, batches):
    L.Trainer(**QUIET, max_epochs=1).fit(module, torch.utils.data.DataLoader(batches, batch_size=None))


def test_generate_goes_on_behind_prompts():
    module = small()
    state = torch.random.get_rng_state()
    one = module.generate("The list", seed=3, max_new_tokens=8)
    assert one.startswith("The list")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert module.generate("The list", seed=3, max_new_tokens=8) == one
    assert module.generate("The list", seed=4, max_new_tokens=8) != one
    several = module.generate(["The list", "A"], seed=3, temperature=0.0, max_new_tokens=8)
    assert several[1] == module.generate("A", temperature=0.0, max_new_tokens=8)
    assert module.generate([""], max_new_tokens=2)
    with pytest.raises(InputError, match="no length: choose among max_new_tokens"):
        module.generate("A", length=3)
    with pytest.raises(InputError, match="no tokenizer"):
        small(tokenizer_files=None).generate("A")


def test_instructions_are_put_as_in_training():
    module = small(instructs=True, block_size=64)
    plain = small(instructs=False, block_size=64)
    plain.load_state_dict(module.state_dict())
    how = {"temperature": 0.0, "max_new_tokens": 8}
    assert module.generate("Why?", **how).removeprefix("Why?") == plain.generate("Why?\n", **how).removeprefix("Why?\n")
    framed = small(instructs=True, template="Q: {text}", block_size=64)
    framed.load_state_dict(module.state_dict())
    asked = plain.generate("Q: Why?\n", **how).removeprefix("Q: Why?\n")
    assert framed.generate("Why?", **how).removeprefix("Why?") == asked
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    template += "{% if add_generation_prompt %}<assistant>{% endif %}"
    files = files_of(decoders.tokenizer(chat_template=template))
    chat = small(instructs=True, block_size=64, tokenizer_files=files)
    chat.load_state_dict(module.state_dict())
    asked = plain.generate("<user>Why?<assistant>", **how).removeprefix("<user>Why?<assistant>")
    assert chat.generate("Why?", **how).removeprefix("Why?") == asked


def test_predict_writes_behind_each_prompt_so_many_times():
    module = small(prompt=["The list", "A file"], num_texts=3, max_new_tokens=5)
    torch.manual_seed(0)
    found = L.Trainer(**QUIET).predict(module, module.drawing_loader())
    assert [tuple(batch.shape) for batch in found] == [(6, 5)]
    columns = module.prediction_columns(found, {})
    assert columns["prompt"] == ["The list"] * 3 + ["A file"] * 3
    assert columns["text"] == [module.decoded(tokens) for tokens in found[0]]
    batch = decoders.batch()
    scores = module.eval().predict_step(batch, 0)
    torch.testing.assert_close((scores * module.loss_weights(batch)).sum() / module.loss_weights(batch).sum(),
                               module.net(**batch).loss)  # fmt: skip
    assert module.prediction_columns([scores], {})["loss"] == scores.tolist()


def test_the_picture_shows_openings_and_how_they_go_on(tmp_path):
    base = decoders.save(tmp_path / "base")
    module = CausalLM(pretrained=str(base), max_new_tokens=12, lr=0.5)
    before = module.written([[5]], 0)
    batch = decoders.batch(rows=6, columns=30)
    batch["input_ids"] = torch.tensor([(module.tokenizer(decoders.TEXTS[0])["input_ids"] * 9)[:30]] * 6)
    batch["attention_mask"][:] = 1
    fit(module, [batch] * 3)
    assert not torch.equal(module.written([[5]], 0), before)
    figure = module.figures(batch, {})["texts"]
    shown = [text.get_text() for text in figure.texts][1:]
    assert shown[:4] == ["opening", "before training", "after training", "as it was written"]
    opening = module.tokenizer.decode(batch["input_ids"][0, :8])
    assert shown.count(opening) == 4
    assert shown[7].replace("\n", "") == module.tokenizer.decode(batch["input_ids"][0, 8:20]).replace("\n", "")
    untrained = CausalLM(pretrained=str(base))
    asked = [batch["input_ids"][0, :8].tolist()] * 4
    expected = [untrained.decoded(own) for own in untrained.written(asked, 0, max_new_tokens=12)]
    with module.before_training() as was:
        assert was
        assert [module.decoded(own) for own in module.written(asked, 0, max_new_tokens=12)] == expected
    assert not torch.equal(module.written([[5]], 0), before), "and it is the trained one again"


def test_the_picture_of_instructions_shows_prompts_and_answers():
    ids, labels = torch.arange(10), torch.tensor([-100] * 4 + [4, 5, 6, 7, 8, 9])
    opening, rest = divided(ids, labels)
    assert (opening.tolist(), rest.tolist()) == ([0, 1, 2, 3], [4, 5, 6, 7, 8, 9])
    opening, rest = divided(ids, ids)
    assert (opening.tolist(), rest.tolist()) == ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
