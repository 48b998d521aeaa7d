"""The numeric precision of training."""

import torch

from pipeline.errors import InputError
from pipeline.process import cpu_multiplies_bfloat16


def resolve_precision(requested: str, accelerator: str = "auto") -> str:
    """Returns the precision of training.

    bfloat16 on a CPU without hardware support is refused: torch's LSTM raises "could not create a
    primitive descriptor" there, and without oneDNN a step takes seconds instead of milliseconds.
    "tf32" needs a CUDA GPU.

    Returns:
        For "auto": "bf16-mixed" on a GPU or CPU that multiplies bfloat16 in hardware, "16-mixed" on
        any other CUDA GPU, "32-true" elsewhere. Anything else is returned unchanged;
        `lightning_precision` converts it for the Trainer.

    Example:
        >>> resolve_precision("32-true")
        '32-true'
    """
    device = _device(accelerator)
    if requested == "auto":
        return _best(device)
    if requested.startswith("bf16") and device == "cpu" and not cpu_multiplies_bfloat16():
        raise InputError(
            f"precision {requested} needs a CPU with AVX512-BF16 or AMX and torch with oneDNN, "
            "which this machine does not have; use --precision=32-true or --precision=auto"
        )
    if requested == "tf32" and device != "cuda":
        raise InputError(
            "precision tf32 needs a CUDA GPU, which this machine does not have or the accelerator "
            "excludes; use --precision=32-true or --precision=auto"
        )
    return requested


def lightning_precision(precision: str) -> str:
    """Returns the argument `precision` of Lightning's `Trainer`.

    Example:
        >>> lightning_precision("tf32"), lightning_precision("bf16-mixed")
        ('32-true', 'bf16-mixed')
    """
    return "32-true" if precision == "tf32" else precision


def _device(accelerator: str) -> str:
    if accelerator == "cpu":
        return "cpu"
    if accelerator in ("cuda", "gpu"):
        return "cuda" if torch.cuda.is_available() else "other"
    if accelerator != "auto":
        return "other"
    # Lightning's "auto" uses Apple's GPU if there is one.
    if torch.cuda.is_available():
        return "cuda"
    return "other" if torch.backends.mps.is_available() else "cpu"


def _best(device: str) -> str:
    if device == "cpu" and cpu_multiplies_bfloat16():
        return "bf16-mixed"
    if device == "cuda":
        # Emulated bfloat16 is slow.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if native else "16-mixed"
    return "32-true"
