"""`unroll generate`: samples text from a trained language model."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from pipeline.checkpoints.locate import locate
from pipeline.checkpoints.read import Trained, load_trained
from pipeline.console import print_note, print_result
from pipeline.contracts import Generator
from pipeline.encoders import Carry
from pipeline.errors import InputError
from pipeline.inference.sampling import sample
from pipeline.inference.scoring import read_lines
from pipeline.options import Sampling
from pipeline.text.units import join_tokens, split_line
from pipeline.text.vocabulary import UNK, Vocabulary

_MAX_ROUNDS = 20  # of samples, to find enough new texts


def generate(
    run: str | None,
    checkpoint: Path | None,
    prompt: str,
    sampling: Sampling,
    known: Path | None = None,
) -> int:
    """Prints sampled texts that begin with a prompt, and returns the exit code.

    `known` is a file of known lines; known and repeated texts are left out.
    """
    lines = None if known is None else {line.text.strip() for line in read_lines(str(known))}
    trained = load_trained(locate(run, checkpoint), Generator, "a language model")
    if sampling.num > 1 and 0 in (sampling.temperature, (sampling.top_k or 0) - 1):
        print_note(
            "note: all texts are the same, since only the most probable token is taken "
            "(--temperature 0 or --top-k 1); raise it, or use --num 1"
        )
    for text in generate_texts(trained, prompt, sampling, lines):
        print_result(text)
    return 0


def generate_texts(
    trained: Trained, prompt: str, sampling: Sampling, known: Collection[str] | None = None
) -> list[str]:
    """Samples texts that begin with a prompt.

    Args:
        trained: Trained language model.
        prompt: Beginning of each text; a note names the words that are not in the vocabulary.
        sampling: Settings of sampling.
        known: Known texts. They are left out, as are repeated and blank texts; if omitted, all
            texts are returned.

    Returns:
        The texts with their prompts; with `known`, fewer if not enough new texts are found.
    """
    vocabulary, unit = cast(Generator, trained.model).vocabulary, trained.unit
    try:
        words = split_line(prompt, unit)
    except ValueError as error:
        raise InputError(f"the prompt {error}") from error
    if unknown := vocabulary.unknown(words):
        print_note(
            f"not in the vocabulary, so the prompt has {UNK} for {', '.join(map(repr, unknown))}"
        )
    ids = vocabulary.encode(words)

    def texts(seed: int) -> list[str]:
        rows = sample_ids(trained, vocabulary, ids, sampling._replace(seed=seed))
        return [join_tokens([*words, *vocabulary.decode(row)], unit) for row in rows]

    if known is None:
        return texts(sampling.seed)
    new: dict[str, None] = {}
    for seed in range(sampling.seed, sampling.seed + _MAX_ROUNDS):
        stripped = (text.strip() for text in texts(seed))
        new.update((text, None) for text in stripped if text and text not in known)
        if len(new) >= sampling.num:
            return list(new)[: sampling.num]
    print_note(
        f"found only {len(new)} new texts, not {sampling.num}, among "
        f"{_MAX_ROUNDS * sampling.num} sampled texts"
    )
    return list(new)


@torch.inference_mode()
def sample_ids(
    trained: Trained, vocabulary: Vocabulary, prompt: Sequence[int], sampling: Sampling
) -> list[list[int]]:
    """Samples token ids after `<eos>` and a prompt; all samples are one batch.

    Returns:
        The new ids of each sample, without the `<eos>` that completes its last line.
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
        if bool(log_probs.isnan().any()):
            raise InputError(
                f"{trained.name} gives probabilities that are not numbers (nan), since its weights "
                "are not finite or too large; name another run or checkpoint"
            )
        sampled = sample(
            log_probs,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            forbid=forbidden,
            generator=generator,
        )
        columns.append(sampled)
        ends += sampled == eos
        tokens = sampled.unsqueeze(1)
    return [_until(row, eos, sampling.lines) for row in torch.stack(columns, dim=1).tolist()]


def _until(ids: list[int], eos: int, lines: int) -> list[int]:
    ends = [position for position, token in enumerate(ids) if token == eos]
    return ids[: ends[lines - 1]] if len(ends) >= lines else ids
