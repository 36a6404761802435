"""TextDDPM: what it is told of captions, guidance by them, and prompts it does not take."""

from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader

from cases.ddpm_text import write_captioned_images
from nnzoo import DDPM, InputError, TextDDPM
from nnzoo.modules.drawing import seeded
from nnzoo.nets.samplers import guided
from nnzoo.tokens import SOS, build_vocabulary
from support.found import recipe
from support.home import taken_home
from support.quiet import QUIET
from support.runs import QUICK

pytestmark = pytest.mark.filterwarnings("ignore:.*")
EXAMPLES = ["a bold seven", "a thin three", "an eight"]
TINY = {
    "in_shape": (1, 8, 8),
    "levels": 17,
    "channels": 4,
    "channel_mult": (1,),
    "timesteps": 30,
    "text_width": 8,
    "text_layers": 1,
    "text_heads": 2,
    "vocabulary": build_vocabulary(caption.split() for caption in EXAMPLES),
    "caption_length": 5,
    "example_captions": EXAMPLES,
}
SHORT = ["--model.timesteps", "30", "--model.channels", "8", "--model.steps", "3"]


def drawn(module):
    """A module whose layers that begin at zero are drawn, so that all inputs act."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return module.eval()


@pytest.fixture
def module():
    torch.manual_seed(0)
    return drawn(TextDDPM(**TINY))


def test_whole_captions_of_a_share_of_the_samples_are_not_told_in_training_alone():
    module = TextDDPM(**TINY, label_dropout=0.3)
    seen = []
    module.net.register_forward_pre_hook(lambda _, args: seen.append(args[2]))
    tokens = module.tokens(["a bold seven"]).expand(2000, -1)
    torch.manual_seed(0)
    module.train().losses(torch.zeros(2000, 1, 8, 8), tokens)
    module.eval().losses(torch.zeros(2000, 1, 8, 8), tokens)
    none = torch.tensor([SOS, 0, 0, 0, 0])
    untold, told = (seen[0] == none).all(1), (seen[0] == tokens).all(1)
    assert (untold | told).all(), "no caption loses some of its words"
    assert float(untold.float().mean()) == pytest.approx(0.3, abs=0.04)
    assert torch.equal(seen[1], tokens)


@pytest.mark.parametrize("scale", [0.0, 0.5, 3.0])
def test_guidance_is_between_the_network_with_and_without_the_caption(module, scale):
    noised, times = torch.randn(2, 1, 8, 8), torch.tensor([3, 20])
    tokens = module.tokens(["a bold seven", "an eight"])
    told = module.net(noised, module.process.network_time(times), tokens)
    untold = module.net(noised, module.process.network_time(times), torch.tensor([[SOS, 0, 0, 0, 0]] * 2))
    assert not torch.allclose(told, untold, atol=1e-3)
    found = module.denoiser(tokens, scale)(noised, times)
    assert torch.allclose(found, guided(told, untold, scale), atol=1e-5)


def test_a_text_for_all_texts_for_each_and_tokens_are_the_same(module):
    def sample(prompts, **how):
        return module.sample(3, prompts, generator=seeded(range(3)), steps=2, sampler="ddim", **how)

    assert torch.equal(sample("a bold seven"), sample(["A BOLD seven!"] * 3))
    assert torch.equal(sample("a bold seven"), sample(module.tokens(["a bold seven"] * 3)))
    assert torch.equal(sample(None), sample(EXAMPLES)), "example captions in turn"
    assert not torch.allclose(sample("a bold seven"), sample("an eight"), atol=1e-4)
    torch.testing.assert_close(sample("a bold seven", guidance=0), sample("an eight", guidance=0.0))


def test_everything_that_draws_takes_prompts(module):
    images = torch.rand(2, 1, 8, 8)
    assert module.interpolate(images, images.flip(0), 3, "an eight").shape == (2, 3, 1, 8, 8)
    assert module.interpolate_noise(2, 3, ["an eight", "a thin three"]).shape == (2, 3, 1, 8, 8)
    assert module.denoise_from(images, 5, "an eight").shape == (2, 1, 8, 8)
    by_text, by_tokens = (
        module.log_likelihood(images, prompts, generator=seeded([0, 1]))
        for prompts in ("an eight", module.tokens(["an eight"] * 2))
    )
    assert torch.equal(by_text, by_tokens)


BAD_PROMPTS = [
    ("a purple seven", r"knows no 'purple', .* with words such as .*bold.*seven"),
    ("", "prompt '' has no words"),
    ("a bold thin bold seven", "has 5 words, more than the 4"),
    ([], "no prompt in the list"),
    (["an eight", "a cat"], "knows no 'cat'"),
]


@pytest.mark.parametrize(("prompt", "says"), BAD_PROMPTS, ids=[says[:15] for _, says in BAD_PROMPTS])
def test_a_prompt_that_cannot_be_drawn_is_refused(module, prompt, says):
    with pytest.raises(InputError, match=says):
        module.sample(2, prompt)
    with pytest.raises(InputError, match=says):
        TextDDPM(**TINY, prompt=prompt)


BAD = [
    ({"vocabulary": ()}, "needs data with captions"),
    ({"example_captions": ()}, "needs data with captions"),
    ({"in_shape": (2,), "levels": 0}, "draws images, not points"),
    ({"text_width": 9}, "multiple of text_heads"),
]


@pytest.mark.parametrize(("settings", "says"), BAD, ids=[says for _, says in BAD])
def test_what_cannot_be_is_refused_in_one_sentence(settings, says):
    with pytest.raises(InputError, match=says):
        TextDDPM(**{**TINY, **settings})


BAD_BATCHES = [
    (torch.tensor([3, 4]), r"got torch.int64 of shape \(2,\)"),  # classes
    (torch.ones(2, 6, dtype=torch.long), "at most 5 each"),
    (torch.full((2, 5), 50), "must lie in 0 .. "),
    (torch.zeros(2, 5, dtype=torch.long), "starts with <sos>"),
    (["a seven"], "2 samples need as many labels, got 1"),
]


@pytest.mark.parametrize(("captions", "says"), BAD_BATCHES, ids=[says[:15] for _, says in BAD_BATCHES])
def test_captions_that_do_not_fit_are_refused(module, captions, says):
    with pytest.raises(InputError, match=says):
        module.sample(2, captions)
    if isinstance(captions, torch.Tensor):
        loader = DataLoader([(torch.rand(2, 1, 8, 8), captions)], batch_size=None)
        with pytest.raises(InputError, match=says):
            L.Trainer(**QUIET).test(module, loader, verbose=False)


def test_a_model_without_captions_takes_no_prompt():
    settings = {name: TINY[name] for name in ("in_shape", "levels", "channels", "channel_mult", "timesteps")}
    for model in (DDPM(**settings), DDPM(**settings, conditional=True, num_classes=3)):
        with pytest.raises(InputError, match="trained with captions"):
            model.sample(2, "a seven")
    with pytest.raises(SystemExit):
        recipe("ddpm").main(["fit", "--model.prompt", "a seven"])


def test_it_trains_on_texts_of_any_loader():
    samples = [(torch.rand(1, 8, 8), EXAMPLES[number % 3]) for number in range(12)]
    module, trainer = TextDDPM(**TINY), L.Trainer(**QUIET, max_epochs=1)
    trainer.fit(module, DataLoader(samples, batch_size=4))
    (metrics,) = trainer.test(module, DataLoader(samples, batch_size=4), verbose=False)
    assert metrics["test/loss"] > 0


def test_a_folder_of_captioned_images_is_drawn_from_prompts_anywhere_without_it(in_tmp, monkeypatch, tmp_path):
    write_captioned_images()
    flags = ["--data.dataset", "folder", "--data.root", "captioned_images", "--data.image_size", "16", *SHORT]
    checkpoint = taken_home("ddpm_text", [*flags, "--model.attention", "[8]"], monkeypatch, tmp_path)
    prompts = ["a bright square", "A DARK square, photographed"]
    ask = ["--model.prompt", str(prompts), "--model.num_images", "3", "--model.guidance", "1.5"]
    recipe("ddpm_text").main(["predict", "--ckpt_path", checkpoint, *QUICK[2:], *ask, "--seed_everything", "5"])
    (folder,) = {path.parent for path in Path("runs").rglob("predictions.pt")}
    table = pd.read_csv(folder / "predictions.csv")
    assert list(table["prompt"]) == [*prompts, prompts[0]]
    model = TextDDPM.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    assert model.hparams["vocabulary"][4:] == ["a", "bright", "dark", "photographed", "square"]
    torch.manual_seed(5)
    expected = model.sample(3, [*prompts, prompts[0]], guidance=1.5, generator=seeded(range(3)))
    for path, image in zip(table["image"], expected, strict=True):
        shown = (image.permute(1, 2, 0) * 255).round().numpy()
        np.testing.assert_allclose(np.asarray(Image.open(folder / path)), shown, atol=1)
    assert (folder / "grid.png").is_file()
    frames = Image.open(folder / "process.gif")
    assert frames.n_frames >= 4
    with pytest.raises(InputError, match="knows no 'cat'"):
        recipe("ddpm_text").main(["predict", "--ckpt_path", checkpoint, *QUICK[2:], "--model.prompt", "a cat"])


def test_one_prompt_is_drawn_as_often_as_asked(module):
    module.hparams["prompt"] = "a bold seven"
    assert module.num_drawn == 64
    assert module.prompts_of([0, 1, 5]) == ["a bold seven"] * 3
    assert torch.equal(module.asked_of([3]), module.tokens("a bold seven"))


def test_pictures_show_the_prompts(module):
    figures = module.figures((torch.rand(12, 1, 8, 8), module.tokens(EXAMPLES * 4)), {})
    assert {"samples", "guidance", "interpolation", "reverse_process"} <= set(figures)
    assert [axis.get_ylabel() for axis in figures["samples"].axes] == EXAMPLES
    assert "a bold seven" in figures["guidance"].get_suptitle()


def test_drawing_that_takes_long_says_so_with_prompts_too(module, monkeypatch, capsys):
    for name, value in (("rank_zero_info", print), ("LONG_DRAWING", 0.0), ("MUCH", 0)):
        monkeypatch.setattr(f"nnzoo.modules.ddpm_sampling.{name}", value)
    assert module.sample(2, "a bold seven").shape[0] == 2
    assert "Drawing 2 samples asks the network" in capsys.readouterr().out
