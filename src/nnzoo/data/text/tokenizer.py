"""Tokenizers of transformers: found in a folder or on the hub, or trained on the texts at hand."""

import hashlib
import os
import socket
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from nnzoo.errors import InputError
from nnzoo.nets.pretrained import packaged

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRAINED = ("wordpiece", "bpe")
"""Kinds of tokenizers that are trained on the training part."""
FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
"""One of these a folder with a tokenizer has."""
WORDPIECE_NAMES = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
BPE_NAMES = {"bos": "<|endoftext|>", "eos": "<|endoftext|>", "pad": "<|pad|>"}
MOST_LETTERS = 1000
"""Letters that a vocabulary of pieces of words has; words with others are unknown."""
USUAL_LENGTH = 512
"""Longest input where a tokenizer does not say."""


def is_offline() -> bool:
    """Whether the Hugging Face hub cannot be reached, so that only what was downloaded before can be had.

    Its library would try for a minute.
    """
    address = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"):
        return True
    if any(getproxies().get(scheme) for scheme in ("https", "all")):
        return False  # the proxy knows
    try:
        socket.create_connection((address.hostname or "", address.port or 443), timeout=5).close()
    except OSError:
        return True
    return False


def load_tokenizer(name: str) -> "PreTrainedTokenizerBase":
    """The tokenizer of a packaged model, in a folder, or of a name on the Hugging Face hub; no code from there is run.

    Raises:
        InputError: If there is none, or the hub cannot be reached.
    """
    from transformers import AutoTokenizer

    folder = packaged(name) or Path(name).expanduser()
    if folder.is_dir() and not any((folder / file).is_file() for file in FILES):
        raise InputError(
            f"The folder {name} has no tokenizer ({', '.join(FILES[:4])}): save one there with "
            "tokenizer.save_pretrained, or set --model.pretrained or --data.tokenizer to another folder or name."
        )
    if not folder.is_dir() and (folder.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1):
        raise InputError(
            f"There is no folder {name}: set --model.pretrained or --data.tokenizer to a folder or a name on the hub."
        )
    try:
        found = {"local_files_only": True} if folder.is_dir() or is_offline() else {}
        tokenizer: Any = AutoTokenizer.from_pretrained(str(folder) if folder.is_dir() else name, **found)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:200]
        if folder.is_dir():
            raise InputError(f"The tokenizer in {name} cannot be read ({reason}): save it anew.") from error
        raise InputError(
            f"There is no folder {name}, and no tokenizer of that name could be had from the Hugging Face hub "
            f"({reason}): check the name and the network, or set --model.pretrained or --data.tokenizer to a folder."
        ) from error
    if not tokenizer.is_fast:
        raise InputError(f"The tokenizer {name} has no tokenizer.json: save it with one, as a fast tokenizer.")
    return tokenizer


def trained_tokenizer(texts: Iterable[str], kind: str, vocab_size: int) -> "PreTrainedTokenizerBase":
    """A tokenizer trained on texts.

    Args:
        texts: What it is trained on.
        kind: wordpiece, in lower case with [CLS] and [SEP] around each text, as BERT's; or bpe of bytes, as GPT-2's,
            with <|endoftext|>.
        vocab_size: The most tokens, special ones included.
    """
    from transformers import PreTrainedTokenizerFast

    made = _wordpiece(list(texts), vocab_size) if kind == "wordpiece" else _byte_pairs(texts, vocab_size)
    names = WORDPIECE_NAMES if kind == "wordpiece" else BPE_NAMES
    inputs = ["input_ids", *(["token_type_ids"] if kind == "wordpiece" else []), "attention_mask"]
    return PreTrainedTokenizerFast(
        tokenizer_object=made, model_input_names=inputs, **{f"{role}_token": token for role, token in names.items()}
    )


def _wordpiece(texts: Sequence[str], vocab_size: int) -> Any:
    import tokenizers as tk

    made: Any = tk.Tokenizer(tk.models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = tk.normalizers.BertNormalizer(), tk.pre_tokenizers.BertPreTokenizer()
    special = list(WORDPIECE_NAMES.values())
    # The trainer numbers the letters within words in the order of a hash table, which is another one in each run
    # (huggingface/tokenizers issue 1794): as special tokens they get numbers in our order.
    counts: Counter[str] = Counter()
    for text in texts:
        for word, _ in made.pre_tokenizer.pre_tokenize_str(made.normalizer.normalize_str(text)):
            counts.update(word[1:])
    common = sorted(counts, key=lambda letter: (-counts[letter], letter))[:MOST_LETTERS]
    inner = [f"##{letter}" for letter in sorted(common)]
    settings: Any = {"special_tokens": special + inner, "limit_alphabet": MOST_LETTERS, "show_progress": False}
    made.train_from_iterator(texts, tk.trainers.WordPieceTrainer(vocab_size=vocab_size, **settings))
    plain: Any = tk.Tokenizer(tk.models.WordPiece(made.get_vocab(with_added_tokens=False), unk_token="[UNK]"))
    plain.normalizer, plain.pre_tokenizer, plain.decoder = made.normalizer, made.pre_tokenizer, tk.decoders.WordPiece()
    plain.add_special_tokens(special)
    plain.post_processor = tk.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, plain.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return plain


def _byte_pairs(texts: Iterable[str], vocab_size: int) -> Any:
    import tokenizers as tk

    made: Any = tk.Tokenizer(tk.models.BPE())
    made.pre_tokenizer = tk.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tk.decoders.ByteLevel()
    special = list(dict.fromkeys(BPE_NAMES.values()))
    trainer: Any = tk.trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special,
        initial_alphabet=sorted(tk.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return made


def longest_input(tokenizer: Any) -> int:
    """Tokens of the longest input that a tokenizer's model takes; ``USUAL_LENGTH`` where it does not say."""
    most = tokenizer.model_max_length
    return int(most) if most and most < 10**6 else USUAL_LENGTH


def files_of(tokenizer: Any) -> dict[str, str]:
    """A tokenizer's files by name, as ``save_pretrained`` writes them."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(folder).iterdir())}


def tokenizer_of(files: Mapping[str, str]) -> "PreTrainedTokenizerBase":
    """The tokenizer whose files :func:`files_of` gave."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / Path(name).name).write_text(text, encoding="utf-8")
        return load_tokenizer(folder)


def fingerprint(tokenizer: Any) -> str:
    """What tells tokenizers apart that make other tokens of some text: 16 characters."""
    backend = tokenizer.backend_tokenizer
    truncation, padding = backend.truncation, backend.padding
    backend.no_truncation()
    backend.no_padding()
    try:
        # Of two models one may know kinds of tokens (BERT) and one not (DistilBERT), with the same backend.
        names, side = sorted(tokenizer.model_input_names), tokenizer.truncation_side
        special = sorted(tokenizer.special_tokens_map.items())
        known = (backend.to_str(), special, str(tokenizer.chat_template), names, side)
    finally:
        if truncation:
            backend.enable_truncation(**truncation)
        if padding:
            backend.enable_padding(**padding)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:16]


def own_fingerprint(name: str) -> str | None:
    """Fingerprint of the tokenizer of a model; None where its folder has none to compare.

    Args:
        name: A packaged model, a folder, or a name on the hub.
    """
    folder = packaged(name) or Path(name).expanduser()
    if folder.is_dir() and not any((folder / file).is_file() for file in FILES):
        return None
    return fingerprint(load_tokenizer(name))
