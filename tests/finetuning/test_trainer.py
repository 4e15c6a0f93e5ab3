"""Training the upper layers of tiny encoders of several families: what is run, trained, resumed and saved."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tagging_fixtures import text_about

from notesearch.encoders.models import open_encoder, prepare
from notesearch.errors import ModelError
from notesearch.finetuning import trainer
from notesearch.finetuning.trainer import Checkpoint, TrainableEncoder

pytest_plugins = ["tagging_fixtures"]
pytestmark = pytest.mark.usefixtures("tiny_training")

SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 64, "pad_token_id": 0,
    "initializer_range": 0.2,  # ten times the usual, for a layer to matter
}  # fmt: skip
RELATIVE: dict[str, Any] = {
    "relative_attention": True, "pos_att_type": ["c2p", "p2c"], "position_biased_input": False, "type_vocab_size": 1,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "roberta": SIZES,
    "distilbert": {
        "dim": 32, "n_layers": 4, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 64, "pad_token_id": 0,
        "initializer_range": 0.2,
    },
    "deberta": SIZES | RELATIVE,
    "deberta-v2": SIZES | RELATIVE | {"position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
    "electra": SIZES | {"embedding_size": 16},
    "modernbert": SIZES | {"local_attention": 4, "global_attn_every_n_layers": 2,
                           "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    "mpnet": SIZES,
}  # fmt: skip
# One layer's weights used four times; and a convolution between the first layer and the second.
UNUSUAL = {"albert": SIZES, "deberta-v2": FAMILIES["deberta-v2"] | {"conv_kernel_size": 3, "conv_act": "gelu"}}
TEXTS = ["a", "oven rice", *(text_about("cooking", number) for number in range(3)), "index replica " * 12]


@pytest.fixture
def build(tiny_encoder: Path, tmp_path: Path) -> Callable[..., Path]:
    """Makes a model of a family with random weights, the same ones each time, and the tokenizer of the tiny encoder."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    def make(family: str, sizes: dict[str, Any] | None = None) -> Path:
        tokenizer = AutoTokenizer.from_pretrained(tiny_encoder)
        config = AutoConfig.for_model(family, **(sizes or FAMILIES[family]), vocab_size=len(tokenizer))
        with torch.random.fork_rng():
            torch.manual_seed(20)
            AutoModel.from_config(config).save_pretrained(tmp_path / family)
        tokenizer.save_pretrained(tmp_path / family)
        return tmp_path / family

    return make


def open_trainable(source: Path, layers: int = 1, texts: list[str] = TEXTS, **options: Any) -> TrainableEncoder:
    return TrainableEncoder(str(source), texts, tokens=48, layers=layers, **{"seed": 0, **options})


def reference(source: Path, texts: list[str] = TEXTS) -> Any:
    """The vectors as sentence-transformers computes them, one text at a time."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(source), device="cpu", local_files_only=True)
    model.max_seq_length = 48
    return model.encode(texts, batch_size=1, normalize_embeddings=True)


def worst_error(encoder: TrainableEncoder, source: Path) -> float:
    return float(np.linalg.norm(encoder.embed(range(len(TEXTS))) - reference(source), axis=1).max())


def spoil_lower_layers(encoder: TrainableEncoder, layers: str) -> None:
    with torch.no_grad():
        for name, value in encoder._model.named_parameters():
            if re.search(rf"layers?\.[{layers}]\.", name):
                value.fill_(torch.nan)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_vectors_are_those_of_the_whole_model_though_lower_layers_are_run_once(
    build: Callable[..., Path], family: str, layers: int
) -> None:
    source = build(family)
    encoder = open_trainable(source, layers)
    np.testing.assert_allclose(encoder.untrained, reference(source), atol=1e-3)
    spoil_lower_layers(encoder, "".join(map(str, range(4 - layers))))
    assert worst_error(encoder, source) < 0.05
    assert np.linalg.norm(encoder.untrained[0] - encoder.untrained[1]) > 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_reach_the_upper_layers_and_nothing_else(build: Callable[..., Path], family: str) -> None:
    encoder = open_trainable(build(family), 2)
    encoder.vectors([0, 2])[:, 0].sum().backward()
    reached = {name for name, value in encoder._model.named_parameters() if value.grad is not None}
    assert reached == {name for name, _ in encoder._model.named_parameters() if re.search(r"layers?\.[23]\.", name)}
    assert len(encoder.parameters) == len(reached)


@pytest.mark.parametrize("family", UNUSUAL)
def test_a_model_that_cannot_do_without_its_lower_layers_is_run_as_a_whole(
    build: Callable[..., Path], family: str
) -> None:
    source = build(family, UNUSUAL[family])
    encoder = open_trainable(source)
    assert worst_error(encoder, source) < 1e-3
    encoder.vectors([0])[:, 0].sum().backward()
    assert any(value.grad is not None for value in encoder.parameters)
    assert not encoder._model[0].auto_model.get_input_embeddings().weight.requires_grad


def test_all_layers_can_be_trained(build: Callable[..., Path]) -> None:
    source = build("bert")
    encoder = open_trainable(source, 4)
    assert worst_error(encoder, source) < 1e-3
    trained = {name for name, value in encoder._model.named_parameters() if value.requires_grad}
    assert trained == {name for name, _ in encoder._model.named_parameters() if ".layer." in name}


@pytest.mark.parametrize(("flags", "expected"), [("avx512f", False), ("avx512_bf16", True), ("amx_bf16", True)])
def test_bf16_is_used_where_the_cpu_has_it(
    build: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, flags: str, expected: bool
) -> None:
    monkeypatch.setattr(trainer, "cpu_flags", lambda: frozenset({flags}))
    source = build("bert")
    encoder = open_trainable(source)
    assert encoder._bf16 is expected
    assert worst_error(encoder, source) < 0.05


def test_a_model_that_cannot_be_run_in_bf16_is_run_in_float32(
    build: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "cpu_flags", lambda: frozenset({"avx512_bf16"}))
    assert not open_trainable(build("deberta"))._bf16
    monkeypatch.setattr(trainer, "_MOST_ERROR", 1e-6)  # as if bf16 had spoilt it
    assert not open_trainable(build("bert"))._bf16


def test_texts_are_embedded_as_for_the_index(tiny_encoder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    transformer = Transformer(str(tiny_encoder), max_seq_length=48)
    modules = [transformer, Pooling(32, pooling_mode="cls"), Normalize()]
    SentenceTransformer(modules=modules, prompts={"document": "rice: "}).save(str(tmp_path / "made"))
    texts = ["TABLE", "Übergänge: café, İstanbul", "salt " * 60, ""]
    prompt = prepare(str(tmp_path / "made")).config.passage_prompt
    encoder = open_trainable(tmp_path / "made", texts=[prompt + text for text in texts])
    expected = open_encoder(prepare(str(tmp_path / "made"))).encode_passages(texts).vectors
    assert prompt == "rice: "
    assert (encoder.untrained * expected).sum(axis=1).min() > 0.97


def test_the_rate_rises_for_a_tenth_of_the_steps_and_then_falls_to_zero(tiny_encoder: Path) -> None:
    value = torch.nn.Parameter(torch.zeros(1))
    places = [0.0]

    def watch(_done: int, _total: int) -> None:
        places.append(value.item())

    # AdamW moves by the rate itself, if the slope stays the same.
    open_trainable(tiny_encoder).train(range(20), lambda _: -value.sum(), [([value], 1e-3)], progress=watch)
    expected = [0.5, 1.0, *((20 - step) / 18 for step in range(3, 21))]
    assert np.diff(places) * 1e3 == pytest.approx(expected, abs=1e-2)


def train(encoder: TrainableEncoder, steps: int, **options: Any) -> None:
    """Pulls the first texts away from each other."""
    rates = [(encoder.parameters, 1e-2)]
    encoder.train(range(steps), lambda _: (encoder.vectors([2, 3, 4]).sum(dim=0) ** 2).sum(), rates, **options)


def test_the_seed_decides_what_comes_out_and_nothing_else_does(tiny_encoder: Path) -> None:
    found = []
    for seed in (1, 1, 2):
        encoder = open_trainable(tiny_encoder, seed=seed)
        torch.manual_seed(len(found))
        state = torch.random.get_rng_state()
        train(encoder, 3)
        assert torch.equal(torch.random.get_rng_state(), state)
        found.append(encoder.embed([2, 3]))
        train(encoder, 3)  # from the initial weights again
        np.testing.assert_array_equal(encoder.embed([2, 3]), found[-1])
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert np.abs(found[0] - encoder.untrained[[2, 3]]).max() > 0.01


def test_a_training_that_was_interrupted_ends_in_the_same_weights(
    tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoint, "due", True)
    undisturbed, interrupted, resumed = (open_trainable(tiny_encoder) for _ in range(3))
    train(undisturbed, 8)
    file = tmp_path / "models" / "state"

    def interrupt(done: int, _total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(interrupted, 8, checkpoint=Checkpoint(file, "key"), progress=interrupt)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["state"]
    steps: list[int] = []
    train(resumed, 8, checkpoint=Checkpoint(file, "key"), progress=lambda done, _: steps.append(done))
    assert steps == [6, 7, 8]
    np.testing.assert_array_equal(resumed.embed(range(6)), undisturbed.embed(range(6)))
    # What is over is not done again, and that of another training is not taken for it.
    train(interrupted, 8, checkpoint=Checkpoint(file, "key"), progress=lambda done, _: pytest.fail(f"{done} again"))
    np.testing.assert_array_equal(interrupted.embed(range(6)), undisturbed.embed(range(6)))
    train(interrupted, 8, checkpoint=Checkpoint(file, "other"), progress=lambda done, _: steps.append(done))
    assert len(steps) == 3 + 8


@pytest.mark.parametrize("size", [0, 3, 400, -1])
def test_a_damaged_checkpoint_is_as_good_as_none(tiny_encoder: Path, tmp_path: Path, size: int) -> None:
    encoder, checkpoint = open_trainable(tiny_encoder), Checkpoint(tmp_path / "state", "key")
    train(encoder, 2, checkpoint=checkpoint)
    (tmp_path / "state").write_bytes((tmp_path / "state").read_bytes()[:size])
    steps: list[int] = []
    train(encoder, 2, checkpoint=checkpoint, progress=lambda done, _: steps.append(done))
    assert steps == [1, 2]
    checkpoint.remove()
    checkpoint.remove()
    assert list(tmp_path.glob("state*")) == []


def test_a_checkpoint_is_due_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr(trainer.time, "monotonic", lambda: clock)
    checkpoint = Checkpoint(tmp_path / "state", "a")
    assert not checkpoint.due
    clock += 15
    assert checkpoint.due
    checkpoint.write(1, torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))]))
    assert not checkpoint.due
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="cannot write"):
        Checkpoint(tmp_path / "file" / "state", "a").write(1, torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))]))


def test_weights_between_untrained_and_trained(tiny_encoder: Path) -> None:
    encoder = open_trainable(tiny_encoder)
    before = encoder.embed([2])
    train(encoder, 3)
    after, trained = encoder.embed([2]), trainer.copies(encoder.parameters)
    found = []
    for weight in (0.0, 1.0, 0.5):
        encoder.interpolate(trained, weight)
        found.append(encoder.embed([2]))
    np.testing.assert_array_equal(found[0], before)
    np.testing.assert_array_equal(found[1], after)
    assert min(np.abs(found[2] - other).max() for other in (before, after)) > 0.001


def test_a_saved_encoder_is_a_model_as_any_other(tiny_encoder: Path, tmp_path: Path) -> None:
    encoder = open_trainable(tiny_encoder)
    train(encoder, 3)
    saved = tmp_path / "of" / "mine"
    encoder.save(saved, 20)
    assert prepare(str(saved)).config.max_tokens == 20
    vectors = open_encoder(prepare(str(saved))).encode_passages(TEXTS[:5]).vectors
    assert (vectors * encoder.embed(range(5))).sum(axis=1).min() > 0.9
    assert np.linalg.norm(reference(saved, TEXTS[:5]) - encoder.embed(range(5)), axis=1).max() < 0.02
    assert np.abs(encoder.embed(range(5)) - encoder.untrained[:5]).max() > 0.01
    assert {stat.S_IMODE(path.stat().st_mode) for path in (saved, *saved.rglob("*"))} <= {0o600, 0o700}
    assert not (saved / "README.md").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=str(tmp_path / "file")):
        encoder.save(tmp_path / "file")


def test_a_model_that_cannot_be_loaded_is_a_model_error(build: Callable[..., Path]) -> None:
    source = build("bert")
    (source / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot load"):
        open_trainable(source)
