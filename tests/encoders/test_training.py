"""Batches, descent, torch's settings, and which CPUs have bf16."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from notesearch.encoders import training
from notesearch.encoders.training import Descent, bf16_in_hardware, runs_in_bf16, shuffled_batches, torch_settings


def test_each_text_is_in_one_batch_among_texts_of_like_length() -> None:
    lengths = {number: number * 7 % 100 for number in range(3, 63)}
    batches = shuffled_batches(lengths, 8, np.random.default_rng(0))
    assert sorted(number for batch in batches for number in batch) == list(lengths)
    assert {len(batch) for batch in batches} == {8, 4}
    spans = [max(lengths[n] for n in batch) - min(lengths[n] for n in batch) for batch in batches]
    assert max(spans) < 20
    # Not from the shortest to the longest, and not twice alike.
    longest = [max(lengths[number] for number in batch) for batch in batches]
    assert longest != sorted(longest)
    assert batches != shuffled_batches(lengths, 8, np.random.default_rng(1))


def rates(steps: int, starts: float) -> list[float]:
    """How far a parameter moves at each step down a constant slope: AdamW goes by the rate itself."""
    value = torch.nn.Parameter(torch.zeros(1))
    descent = Descent(steps)
    descent.add([value], 1.0, starts=starts)
    places = [0.0]
    for _ in range(steps):
        descent.step(-value.sum())
        places.append(value.item())
    return np.diff(places).tolist()


def test_the_rate_rises_for_a_tenth_of_the_steps_and_then_falls_to_zero() -> None:
    expected = [0.5, 1.0, *((20 - step) / 18 for step in range(3, 21))]
    assert rates(20, starts=0.0) == pytest.approx(expected, abs=1e-4)


def test_a_late_parameter_waits_for_its_turn() -> None:
    late = rates(40, starts=0.5)
    assert late[:20] == [0.0] * 20
    assert late[20:] == pytest.approx(rates(20, starts=0.0), abs=1e-4)


def test_matrices_decay_and_biases_do_not() -> None:
    matrix, bias = torch.nn.Parameter(torch.ones(1, 1)), torch.nn.Parameter(torch.ones(1))
    descent = Descent(10)
    descent.add([matrix, bias], 1.0)
    descent.step(0 * (matrix.sum() + bias.sum()))
    assert matrix.item() == pytest.approx(0.99)
    assert bias.item() == 1


def test_torch_is_left_as_it_was() -> None:
    torch.set_num_threads(1)
    state = torch.random.get_rng_state()
    with torch_settings(5):
        first = torch.rand(3)
        with torch_settings(5):
            assert torch.equal(torch.rand(3), first)
        second = torch.rand(3)
    assert torch.get_num_threads() == 1
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch_settings(5):
        assert torch.equal(torch.rand(3), first)
        assert torch.equal(torch.rand(3), second)
    with torch_settings(6):
        assert not torch.equal(torch.rand(3), first)


def test_torch_may_use_all_cores_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "available_cores", lambda: 3)
    torch.set_num_threads(1)
    with pytest.raises(KeyboardInterrupt), torch_settings(0):
        assert torch.get_num_threads() == 3
        raise KeyboardInterrupt
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    ("flags", "expected"), [("", False), ("avx512f avx512_vnni", False), ("avx512_bf16", True), ("amx_bf16", True)]
)
def test_bf16_is_used_where_the_cpu_has_it(monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool) -> None:
    assert bf16_in_hardware(frozenset(flags.split())) == expected
    monkeypatch.setattr(training, "cpu_flags", lambda: frozenset(flags.split()))
    assert runs_in_bf16(tiny("bert")) == expected


def test_a_model_that_bf16_cannot_run_is_run_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "cpu_flags", lambda: frozenset({"avx512_bf16"}))
    assert not runs_in_bf16(tiny("deberta"))


def test_a_model_whose_vectors_bf16_spoils_is_run_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "cpu_flags", lambda: frozenset({"avx512_bf16"}))
    monkeypatch.setattr(training, "_GREATEST_BF16_ERROR", 0.0)
    assert not runs_in_bf16(tiny("bert"))


def tiny(family: str) -> torch.nn.Module:
    from transformers import AutoConfig, AutoModel

    sizes = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(20)
        config = AutoConfig.for_model(family, **sizes, intermediate_size=64, initializer_range=0.2)
        model: torch.nn.Module = AutoModel.from_config(config).eval()
    return model


def test_a_descent_that_is_resumed_ends_where_it_would_have() -> None:
    def start() -> tuple[torch.nn.Parameter, torch.nn.Parameter, Descent]:
        matrix, bias = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
        descent = Descent(6)
        descent.add([matrix, bias], 0.1)
        return matrix, bias, descent

    def step(matrix: torch.nn.Parameter, bias: torch.nn.Parameter, descent: Descent) -> None:
        descent.step((matrix.square().sum() - 1).square() + bias.sum().square())

    matrix, bias, descent = start()
    states = []
    for _ in range(6):
        step(matrix, bias, descent)
        states.append({name: value.clone() for name, value in descent.state().items()})
    again_matrix, again_bias, again = start()
    again.resume(3, states[2])
    for _ in range(3):
        step(again_matrix, again_bias, again)
    assert torch.equal(matrix, again_matrix)
    assert torch.equal(bias, again_bias)
