"""Tests for encoders: `assert_laws` checks all properties that `Encoder` documents.

All checks run in float64 and in evaluation mode (no dropout), on seeded random numbers.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from pipeline.encoders.base import Encoded, Encoder
from pipeline.encoders.carry import Carry, concatenate_rows, select_rows

_BATCH, _TIME = 4, 6
_SEED = 20260101


def assert_laws(make: Callable[[], Encoder]) -> None:
    """Checks all properties of an encoder; the global random state stays unchanged.

    Args:
        make: Function that builds the encoder; called several times, with different seeds.

    Raises:
        AssertionError: If a property does not hold; the message begins with the property.

    Example:
        >>> from pipeline.encoders import LSTM
        >>> assert_laws(lambda: LSTM(input_size=3, hidden_size=4))
    """
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        encoder = make().double().eval()
        _attributes_are_set(encoder)
        inputs = _random(_BATCH, _TIME, encoder.input_size)
        with torch.no_grad():
            _states_have_the_declared_size(encoder, inputs)
            _no_state_is_kept(encoder, inputs)
            _omitted_carry_is_initial_carry(encoder, inputs)
            _carry_is_batch_first(encoder, inputs)
            _is_causal_is_correct(encoder, inputs)
            _two_calls_equal_one(encoder, inputs)
            _padding_has_no_effect(encoder, inputs)
            _state_dict_is_complete(encoder, make().double().eval(), inputs)
        _every_parameter_gets_a_gradient(encoder, inputs)
        _empty_rows_are_harmless(encoder, inputs)


def _attributes_are_set(encoder: Encoder) -> None:
    for name in ("input_size", "output_size", "is_causal"):
        _require(hasattr(encoder, name), f"{name} is set: assign self.{name} in __init__")


def _states_have_the_declared_size(encoder: Encoder, inputs: Tensor) -> None:
    encoded, law = encoder(inputs), "a call returns Encoded(states, carry)"
    _require(isinstance(encoded, Encoded), f"{law}: got {type(encoded).__name__}")
    found, expected = list(encoded.states.shape), [_BATCH, _TIME, encoder.output_size]
    law = "states have the declared size: expected [batch time output_size]"
    _require(found == expected, f"{law} = {expected}, got {found}")


def _no_state_is_kept(encoder: Encoder, inputs: Tensor) -> None:
    before = encoder(inputs)
    encoder(_random(_BATCH, _TIME, encoder.input_size))
    _equal(encoder(inputs), before, "no state is kept between calls")


def _omitted_carry_is_initial_carry(encoder: Encoder, inputs: Tensor) -> None:
    explicit = encoder(inputs, carry=encoder.initial_carry(_BATCH))
    _equal(encoder(inputs), explicit, "an omitted carry is the initial carry")


def _carry_is_batch_first(encoder: Encoder, inputs: Tensor) -> None:
    law = "the carry is batch-first and keeps its structure and shapes"
    initial, carry = encoder.initial_carry(_BATCH), encoder(inputs).carry
    for name, part in (("initial_carry", initial), ("the carry returned", carry)):
        found = type(part).__name__
        _require(isinstance(part, tuple), f"{law}: {name} must be a tuple, got {found}")
    _require(
        _shapes(carry) == _shapes(initial),
        f"{law}: initial_carry is {_shapes(initial)}, the carry returned is {_shapes(carry)}",
    )
    rows = [tensor.shape[:1] for tensor in _tensors(carry)]
    _require(all(row == (_BATCH,) for row in rows), f"{law}: got {_shapes(carry)}")
    whole = encoder(inputs, carry=carry)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = encoder(inputs[order], carry=select_rows(carry, order))
    _equal(shuffled.states, whole.states[order], law)
    _equal(shuffled.carry, select_rows(whole.carry, order), law)
    halves = (slice(0, 1), slice(1, None))
    parts = [encoder(inputs[rows], carry=select_rows(carry, rows)).carry for rows in halves]
    _equal(concatenate_rows(parts), whole.carry, law)


def _is_causal_is_correct(encoder: Encoder, inputs: Tensor) -> None:
    states, sees_future = encoder(inputs).states, False
    for step in range(_TIME - 1):
        changed = inputs.clone()
        changed[:, step + 1 :] = _random(_BATCH, _TIME - step - 1, encoder.input_size)
        past = encoder(changed).states[:, : step + 1]
        sees_future |= not torch.allclose(past, states[:, : step + 1], rtol=1e-9, atol=1e-10)
    _require(
        sees_future != encoder.is_causal,
        f"is_causal is correct: it is {encoder.is_causal}, but later inputs "
        f"{'change' if sees_future else 'never change'} the states",
    )


def _two_calls_equal_one(encoder: Encoder, inputs: Tensor) -> None:
    if not encoder.is_causal:
        return
    whole = encoder(inputs)
    for cut in range(1, _TIME):
        left = encoder(inputs[:, :cut])
        right = encoder(inputs[:, cut:], carry=left.carry)
        joined = torch.cat([left.states, right.states], dim=1)
        law = f"two calls with the carry equal one call, cut at step {cut}"
        _equal((joined, right.carry), tuple(whole), law)


def _padding_has_no_effect(encoder: Encoder, inputs: Tensor) -> None:
    lengths = torch.tensor([_TIME, 3, 1, 4])
    states = encoder(inputs, lengths).states
    for row, length in enumerate(lengths.tolist()):
        alone = encoder(inputs[row : row + 1, :length]).states
        law = f"padding has no effect: a row of {length} steps in {_TIME} columns"
        _equal(states[row : row + 1, :length], alone, law)
    full = torch.full((_BATCH,), _TIME)
    _equal(encoder(inputs), encoder(inputs, full), "all steps are real if lengths are omitted")


def _state_dict_is_complete(encoder: Encoder, other: Encoder, inputs: Tensor) -> None:
    law = "state_dict contains all parameters: loading it makes two instances equal"
    other.load_state_dict(encoder.state_dict())
    _equal(other(inputs), encoder(inputs), law)


def _every_parameter_gets_a_gradient(encoder: Encoder, inputs: Tensor) -> None:
    trained = [(name, p) for name, p in encoder.named_parameters() if p.requires_grad]
    if not trained:
        return
    states, law = encoder(inputs).states, "every parameter gets a gradient"
    _require(states.requires_grad, f"{law}: the states depend on no parameter")
    names, parameters = zip(*trained, strict=True)
    total = (states * torch.randn_like(states)).sum()
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    for name, gradient in zip(names, gradients, strict=True):
        fine = gradient is not None and gradient.isfinite().all() and gradient.ne(0).any()
        _require(bool(fine), f"{law}: {name} gets {gradient}")


def _empty_rows_are_harmless(encoder: Encoder, inputs: Tensor) -> None:
    law = "empty rows are harmless"
    lengths = torch.tensor([3, 0, _TIME, 0])
    leaf = inputs.clone().requires_grad_()
    states = encoder(leaf, lengths).states
    for row in (0, 2):
        length = int(lengths[row])
        alone = encoder(inputs[row : row + 1, :length]).states
        _equal(states[row : row + 1, :length], alone, law)
    (gradient,) = torch.autograd.grad(states[0, :3].sum() + states[2].sum(), leaf)
    _require(bool(gradient.isfinite().all()), f"{law}: the gradient is not finite")
    _require(not gradient[[1, 3]].any(), f"{law}: they affect the states of other rows")
    empty = encoder(inputs, torch.zeros(_BATCH, dtype=torch.long)).states
    _require(empty.shape == states.shape, f"{law}: states have a wrong shape if all rows are empty")


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def _tensors(carry: Carry) -> Iterator[Tensor]:
    for part in carry:
        if isinstance(part, tuple):
            yield from _tensors(part)
        else:
            yield part


def _shapes(carry: Carry) -> list[Any]:
    return [_shapes(part) if isinstance(part, tuple) else list(part.shape) for part in carry]


def _equal(actual: Any, expected: Any, law: str) -> None:  # noqa: ANN401 (a tensor or a nest)
    torch.testing.assert_close(
        actual, expected, rtol=1e-9, atol=1e-10, msg=lambda detail: f"{law}: {detail}"
    )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
