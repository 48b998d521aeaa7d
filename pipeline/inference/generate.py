"""`generate`: text sampled from a trained language model."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import LANGUAGE_MODELS, Trained, load_trained
from pipeline.console import print_note, print_result
from pipeline.contracts import Generator
from pipeline.encoders import Carry
from pipeline.inference.sampling import sample
from pipeline.inference.scoring import read_lines
from pipeline.options import Sampling
from pipeline.text.units import join, tokenise
from pipeline.text.vocabulary import UNK, Vocabulary

_ROUNDS = 20  # of samples, until enough of them are new


def generate(
    run: str | None,
    checkpoint: Path | None,
    prompt: str,
    sampling: Sampling,
    known: Path | None = None,
) -> int:
    """Prints samples, one after another.

    Args:
        run: the run that trained the model, **or**
        checkpoint: its file.
        prompt: the text to go on from; words that the model does not know are named on stderr.
        sampling: how many, how long, how bold.
        known: a file whose lines are left out of the samples, as are repeated ones.

    Returns:
        The exit code, 0.

    Raises:
        InputError: there is no such model or file.
    """
    lines = None if known is None else {line.text.strip() for line in read_lines(str(known))}
    trained = load_trained(locate(run, checkpoint), *LANGUAGE_MODELS)
    for text in generate_texts(trained, prompt, sampling, lines):
        print_result(text)
    return 0


def generate_texts(
    trained: Trained, prompt: str, sampling: Sampling, known: Collection[str] | None = None
) -> list[str]:
    """Samples texts, each with the prompt in front.

    Args:
        trained: a language model.
        prompt: the text to go on from.
        sampling: how many, how long, how bold.
        known: texts that are left out, as are repeated and blank ones; if omitted, none are.

    Returns:
        One text a sample; with `known` fewer where the model has hardly any other to give.
    """
    vocabulary, unit = Vocabulary(trained.data["vocabulary"]), trained.data["unit"]
    words = tokenise(prompt, unit)
    if unknown := vocabulary.unknown(words):
        print_note(f"the model does not know {', '.join(map(repr, unknown))}: read as {UNK}")
    ids = vocabulary.encode(words)

    def texts(seed: int) -> list[str]:
        rows = sample_ids(trained, vocabulary, ids, sampling._replace(seed=seed))
        return [join([*words, *vocabulary.decode(row)], unit) for row in rows]

    if known is None:
        return texts(sampling.seed)
    new: dict[str, None] = {}
    for seed in range(sampling.seed, sampling.seed + _ROUNDS):
        stripped = (text.strip() for text in texts(seed))
        new.update((text, None) for text in stripped if text and text not in known)
        if len(new) >= sampling.num:
            return list(new)[: sampling.num]
    print_note(
        f"only {len(new)} of {sampling.num} texts are new, of {_ROUNDS * sampling.num} sampled"
    )
    return list(new)


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
