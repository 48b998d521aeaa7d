"""`generate`: text sampled from a trained language model."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from pipeline.checkpoint import LANGUAGE_MODELS, Trained, load_trained
from pipeline.console import say, show
from pipeline.contracts import Generator
from pipeline.encoders import Carry
from pipeline.locate import locate
from pipeline.options import Sampling
from pipeline.sampling import sample
from pipeline.text.units import join, tokenise
from pipeline.text.vocabulary import UNK, Vocabulary


def generate(run: str | None, checkpoint: Path | None, prompt: str, sampling: Sampling) -> int:
    """Prints samples, one after another.

    Args:
        run: the run that trained the model, **or**
        checkpoint: its file.
        prompt: the text to go on from; words that the model does not know are named on stderr.
        sampling: how many, how long, how bold.

    Returns:
        The exit code, 0.
    """
    trained = load_trained(locate(run, checkpoint), *LANGUAGE_MODELS)
    for text in generate_texts(trained, prompt, sampling):
        show(text)
    return 0


def generate_texts(trained: Trained, prompt: str, sampling: Sampling) -> list[str]:
    """Samples texts, each with the prompt in front.

    Returns:
        One text a sample.
    """
    vocabulary, unit = Vocabulary(trained.data["vocabulary"]), trained.data["unit"]
    words = tokenise(prompt, unit)
    if unknown := vocabulary.unknown(words):
        say(f"the model does not know {', '.join(map(repr, unknown))}: read as {UNK}")
    ids = sample_ids(trained, vocabulary, vocabulary.encode(words), sampling)
    return [join([*words, *vocabulary.decode(row)], unit) for row in ids]


@torch.inference_mode()
def sample_ids(
    trained: Trained, vocabulary: Vocabulary, prompt: Sequence[int], sampling: Sampling
) -> list[list[int]]:
    """Samples ids after `<eos>` and a prompt, all samples side by side.

    Returns:
        For each sample its new ids; the line end that completes the last line is left out.
    """
    model = cast(Generator, trained.model)
    eos = vocabulary.eos_id
    forbidden = [] if sampling.allow_unk else [vocabulary.unk_id]
    generator = torch.Generator().manual_seed(sampling.seed)
    tokens = torch.tensor([[eos, *prompt]]).expand(sampling.num, -1)
    carry: Carry | None = None
    columns: list[Tensor] = []
    ends = torch.zeros(sampling.num, dtype=torch.long)
    while len(columns) < sampling.length and not bool((ends >= sampling.lines).all()):
        states, carry = model(tokens, carry)
        log_probs = model.head.log_distribution(states[:, -1])
        drawn = sample(
            log_probs,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            forbid=forbidden,
            generator=generator,
        )
        columns.append(drawn)
        ends += drawn == eos
        tokens = drawn.unsqueeze(1)
    return [_until(row, eos, sampling.lines) for row in torch.stack(columns, dim=1).tolist()]


def _until(ids: list[int], eos: int, lines: int) -> list[int]:
    ends = [position for position, token in enumerate(ids) if token == eos]
    return ids[: ends[lines - 1]] if len(ends) >= lines else ids
