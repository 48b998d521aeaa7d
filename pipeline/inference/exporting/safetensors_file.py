"""Writes the weights of a trained model as a safetensors file."""

import json
import os
import re
from pathlib import Path

from torch import Tensor

from pipeline.checkpoints.read import Trained
from pipeline.errors import InputError
from pipeline.inference.exporting.output import unfinished

_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")


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
        InputError: If the package safetensors is missing, or the file cannot be written.
    """
    try:
        from safetensors import SafetensorError
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
    with unfinished(output) as written:
        try:
            save_file(tensors, str(written), metadata)
        except SafetensorError as error:
            if (number := _SYSTEM_ERROR.search(str(error))) is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error
    return len(tensors)
