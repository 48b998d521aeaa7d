"""Writes the weights of a trained model as a safetensors file."""

import json
from pathlib import Path

from torch import Tensor

from pipeline.checkpoints.read import Trained
from pipeline.errors import InputError


def write_safetensors(trained: Trained, output: Path) -> int:
    """Writes the weights of a model, with its configuration and vocabulary as metadata.

    The metadata has the JSON texts `config` (the configuration of the training), `data` (state of
    the datamodule: vocabulary, labels, tokenizer) and `others` (what the state of the model has
    besides tensors).

    Args:
        trained: Trained model.
        output: File to write.

    Returns:
        Number of tensors.

    Raises:
        InputError: If the package safetensors is missing.
    """
    try:
        from safetensors.torch import save_file
    except ModuleNotFoundError as error:
        raise InputError(
            "--output FILE.safetensors needs the Python package safetensors, which is not "
            'installed; install the extra: pip install "unroll[export]"'
        ) from error
    state = trained.model.state_dict()
    # Tied weights are written once for each name: the format has no shared memory.
    tensors = {key: value.clone() for key, value in state.items() if isinstance(value, Tensor)}
    others = {key: value for key, value in state.items() if key not in tensors}
    texts = {"config": trained.config, "data": trained.data, "others": others}
    metadata = {key: json.dumps(value, default=str) for key, value in texts.items()}
    written = output.with_name(f".{output.name}.part")
    try:
        save_file(tensors, str(written), metadata)
        written.replace(output)
    finally:
        written.unlink(missing_ok=True)
    return len(tensors)
