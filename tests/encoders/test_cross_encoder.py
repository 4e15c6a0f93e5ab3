"""Cross-encoders: the scores of sentence-transformers without torch, and the cache that they come from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.encoders import cross_encoder
from notesearch.encoders.cross_encoder import CrossEncoder, open_cross_encoder
from notesearch.encoders.models import fingerprint_of
from notesearch.encoders.preparing import prepared_directory
from notesearch.errors import ModelError
from notesearch.settings import DEFAULT_MODEL

FILES = ["encoder.json", "model.onnx", "tokenizer.json"]
QUERIES = ["what is a quorum?", "the train along the river", "coffee"]
PASSAGES = [
    "CAP",
    "Übergänge: café, naïve, 分布式系统, 坐禅 🙂",
    "A majority of the replicas has to answer.",
    "We took the train, and the children looked at the boats.",
    "def mean(values):\n    return sum(values) / len(values)\n",
    "",
]
LONG = "The train along the river was late, and so we had time for a long talk about nothing. " * 4
MOST_TOKENS = {"bert": 64, "roberta": 48}


class Tiny:
    """A tiny cross-encoder, saved as sentence-transformers saves one."""

    def __init__(self, name: str, source: Path, cache: Path) -> None:
        self.name = name
        self.source = source
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(cache))
            # Nothing but float32 can be compared closely.
            patch.setattr(cross_encoder, "_GREATEST_ERROR", -1.0)
            self.encoder = open_cross_encoder(str(source))
            self.prepared = directory_of(source)

    def expected(self, query: str, passages: list[str], **options: Any) -> Any:
        return by_sentence_transformers(self.source, query, passages, **options)


def directory_of(source: Path) -> Path:
    """Where a model is prepared."""
    return prepared_directory("cross-encoder", fingerprint_of(str(source), "cross-encoder"))


def config_of(source: Path) -> dict[str, Any]:
    """What is read of a model when it is prepared."""
    open_cross_encoder(str(source))
    record: dict[str, Any] = json.loads((directory_of(source) / "encoder.json").read_text())
    return record


def reference(source: Path) -> Any:
    import sentence_transformers
    import torch

    return sentence_transformers.CrossEncoder(
        str(source), device="cpu", local_files_only=True, activation_fn=torch.nn.Identity()
    )


def by_sentence_transformers(source: Path, query: str, passages: list[str], **options: Any) -> Any:
    return reference(source).predict([(query, passage) for passage in passages], **options)


def build_bert(directory: Path, tiny_models: Any) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = tiny_models._wordpiece(lowercase=True)
    # As BertTokenizer has them; what is saved is the attribute, but only if it was an argument.
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = names
    build(directory, BertForSequenceClassification, BertConfig, tokenizer, max_position_embeddings=64)


def build_roberta(directory: Path, tiny_models: Any) -> None:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    tokenizer = tiny_models._byte_level()
    tokenizer.model_max_length = 48
    sizes = {"max_position_embeddings": 66, "type_vocab_size": 1}
    build(directory, RobertaForSequenceClassification, RobertaConfig, tokenizer, **sizes)


def build(directory: Path, kind: Any, config_kind: Any, tokenizer: Any, **sizes: int) -> None:
    """Saves a model with random weights."""
    import torch

    config = config_kind(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.2,  # ten times the usual, for attention to have an effect
        num_labels=1,
        **sizes,
    )
    with torch.random.fork_rng():
        torch.manual_seed(20)
        kind(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    reference(directory).save_pretrained(str(directory), create_model_card=False)


def train(source: Path, ranks: dict[str, list[int]]) -> None:
    """Trains a model in its directory until it gives each query's passages these ranks, 0 being the lowest score."""
    import torch

    model = reference(source)
    features = model.preprocess([(query, passage) for query in ranks for passage in PASSAGES])
    targets = torch.tensor([float(rank) for each in ranks.values() for rank in each])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model gains nothing by more, and loses much where the cores are busy
    with torch.random.fork_rng():
        torch.manual_seed(20)
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
        for _ in range(400):
            loss = torch.nn.functional.mse_loss(model(features)["scores"].flatten(), targets)
            if loss < 0.01:
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    torch.set_num_threads(threads)
    assert loss < 0.01
    model.save_pretrained(str(source), create_model_card=False)


def ranks_of(scores: Any) -> list[int]:
    return [int(rank) for rank in np.argsort(np.argsort(scores))]


@pytest.fixture(scope="module")
def bert(tiny_models: Any, tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Tiny:
    source = tmp_path_factory.mktemp("cross-encoders") / "bert"
    build_bert(source, tiny_models)
    return Tiny("bert", source, shared_cache)


@pytest.fixture(scope="module")
def roberta(tiny_models: Any, tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Tiny:
    source = tmp_path_factory.mktemp("cross-encoders") / "roberta"
    build_roberta(source, tiny_models)
    return Tiny("roberta", source, shared_cache)


@pytest.fixture(params=["bert", "roberta"])
def tiny(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
def source(bert: Tiny, tmp_path: Path) -> Path:
    """A copy of the tiny BERT that a test may change."""
    return Path(shutil.copytree(bert.source, tmp_path / "cross-encoder"))


@pytest.fixture
def cached(bert: Tiny, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny BERT in a cache of the test's own; where it is made again, torch's export is not waited for."""
    directory = Path(shutil.copytree(bert.prepared, directory_of(bert.source)))

    def export(_model: Any, _inputs: list[str], _output: str, target: Path) -> None:
        shutil.copyfile(bert.prepared / "model.onnx", target)

    monkeypatch.setattr(cross_encoder, "export_graph", export)
    monkeypatch.setattr(cross_encoder, "_GREATEST_ERROR", -1.0)
    return directory


def test_scores_are_those_of_sentence_transformers(tiny: Tiny) -> None:
    for query in QUERIES:
        found, expected = tiny.encoder.score(query, PASSAGES), tiny.expected(query, PASSAGES)
        np.testing.assert_allclose(found, expected, atol=5e-5)
        assert np.diff(np.sort(expected)).min() > 1e-4  # far enough apart for their order to mean something
        assert ranks_of(found) == ranks_of(expected)


def test_a_model_trained_to_the_opposite_order_gives_it(bert: Tiny, tmp_path: Path) -> None:
    before = {query: ranks_of(bert.encoder.score(query, PASSAGES)) for query in QUERIES}
    opposite = {query: [len(PASSAGES) - 1 - rank for rank in ranks] for query, ranks in before.items()}
    assert len({tuple(ranks) for ranks in before.values()}) > 1  # the query matters
    source = Path(shutil.copytree(bert.source, tmp_path / "trained"))
    train(source, opposite)

    trained = open_cross_encoder(str(source))  # in whichever precision agrees
    assert directory_of(source) != bert.prepared
    for query in QUERIES:
        found, expected = trained.score(query, PASSAGES), by_sentence_transformers(source, query, PASSAGES)
        assert ranks_of(found) == ranks_of(expected) == opposite[query]
        np.testing.assert_allclose(found, expected, atol=0.5)  # a rank is 1


def test_a_score_does_not_depend_on_the_passages_beside_it(tiny: Tiny) -> None:
    together = tiny.encoder.score(QUERIES[0], [*PASSAGES, LONG])
    alone = [tiny.encoder.score(QUERIES[0], [passage])[0] for passage in [*PASSAGES, LONG]]
    backwards = tiny.encoder.score(QUERIES[0], [LONG, *PASSAGES[::-1]])[::-1]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, backwards)
    assert together.dtype == np.float32


def test_no_passages_have_no_scores(bert: Tiny) -> None:
    scores = bert.encoder.score("river", [])
    assert (scores.shape, scores.dtype) == ((0,), np.float32)


def test_token_types_are_given_to_the_models_that_know_them(bert: Tiny, roberta: Tiny) -> None:
    def inputs(tiny: Tiny) -> list[str]:
        return tiny.encoder._inputs

    assert inputs(bert) == ["input_ids", "attention_mask", "token_type_ids"]
    assert inputs(roberta) == ["input_ids", "attention_mask"]


def test_long_texts_are_cut_as_by_sentence_transformers(tiny: Tiny) -> None:
    record = json.loads((tiny.prepared / "encoder.json").read_text())
    assert record["config"]["max_tokens"] == reference(tiny.source).max_seq_length == MOST_TOKENS[tiny.name]
    for query in (QUERIES[0], LONG):
        passages = ["river", LONG, LONG + "and quite another end"]
        found = tiny.encoder.score(query, passages)
        np.testing.assert_allclose(found, tiny.expected(query, passages), atol=1e-4)
        assert found[1] == found[2]


def test_a_long_passage_leaves_the_query_whole(tiny: Tiny) -> None:
    query = "why is the train late"
    assert tiny.encoder.score(query, [LONG]) != tiny.encoder.score(query + "s", [LONG])


def test_a_long_query_leaves_the_passage_half(tiny: Tiny) -> None:
    assert tiny.encoder.score(LONG, ["river"]) != tiny.encoder.score(LONG, ["rivers"])


def test_prompts_are_honoured(
    source: Path, roberta: Tiny, cached: Path, tmp_path: Path, change_json: Callable[..., None]
) -> None:
    prompting = source / "config_sentence_transformers.json"
    change_json(prompting, prompts={"query": "find: "}, default_prompt_name=None)
    assert config_of(source)["config"]["query_prompt"] == ""
    change_json(prompting, default_prompt_name="query")
    assert config_of(source)["config"]["query_prompt"] == "find: "

    files = roberta.prepared / "tokenizer.json", roberta.prepared / "model.onnx"
    prompted = CrossEncoder(*files, MOST_TOKENS["roberta"], query_prompt="find: ").score("river", PASSAGES)
    np.testing.assert_allclose(prompted, roberta.expected("river", PASSAGES, prompt="find: "), atol=1e-4)


def test_texts_are_lowercased_where_the_model_says_so(
    bert: Tiny, source: Path, cached: Path, change_json: Callable[..., None]
) -> None:
    text = (source / "tokenizer.json").read_text()
    (source / "tokenizer.json").write_text(text.replace('"lowercase": true', '"lowercase": false'))
    kept = open_cross_encoder(str(source))
    assert kept.score("RIVER", ["A BOAT"]) != kept.score("river", ["a boat"])
    change_json(source / "sentence_bert_config.json", do_lower_case=True)
    lowered = open_cross_encoder(str(source))
    assert lowered.score("RIVER", ["A BOAT"]) == lowered.score("river", ["a boat"]) == kept.score("river", ["a boat"])


def test_the_second_opening_imports_no_torch(bert: Tiny) -> None:
    heavy = (
        "torch transformers sentence_transformers onnx onnxscript huggingface_hub safetensors onnxruntime tokenizers"
    )
    code = f"""
import sys
from notesearch.encoders.cross_encoder import open_cross_encoder
assert not set({heavy.split()!r}) & set(sys.modules)
assert open_cross_encoder({str(bert.source)!r}).score("river", ["boat", "train"]).shape == (2,)
print(*sorted(set({heavy.split()!r}) & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert run.stdout.split() == ["onnxruntime", "tokenizers"]


def test_preparing_twice_works_once(bert: Tiny, cached: Path, source: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {
            path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in cached.iterdir() if path.name in FILES
        }

    before = state()
    assert sorted(before) == FILES
    open_cross_encoder(str(bert.source))
    open_cross_encoder(str(source))  # the same model elsewhere
    assert state() == before
    assert list(cached.parent.iterdir()) == [cached]


@pytest.mark.parametrize("file", FILES)
def test_a_damaged_cache_is_made_again(bert: Tiny, cached: Path, file: str) -> None:
    # test_preparing damages it in more ways.
    (cached / file).write_bytes((cached / file).read_bytes()[:-100])
    again = open_cross_encoder(str(bert.source))
    assert sorted(path.name for path in cached.iterdir()) == FILES
    np.testing.assert_array_equal(again.score("river", PASSAGES), bert.encoder.score("river", PASSAGES))


@pytest.mark.parametrize(("greatest_error", "precision"), [(100.0, "int8"), (-1.0, "float32")])
def test_int8_is_kept_where_it_agrees(
    bert: Tiny, cached: Path, monkeypatch: pytest.MonkeyPatch, greatest_error: float, precision: str
) -> None:
    shutil.rmtree(cached)
    monkeypatch.setattr(cross_encoder, "_GREATEST_ERROR", greatest_error)
    assert config_of(bert.source)["precision"] == precision
    float_bytes = (bert.prepared / "model.onnx").stat().st_size
    assert ((cached / "model.onnx").stat().st_size < float_bytes) == (precision == "int8")


def failure(name: str | Path) -> ModelError:
    """The error that opening ends with."""
    with pytest.raises(ModelError) as caught:
        open_cross_encoder(str(name))
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.fixture
def nothing_cached(own_cache: Path) -> Iterator[None]:
    """Nothing is left in the cache by what the test does."""
    yield
    assert not list(own_cache.parent.glob("cross-encoders/*"))


@pytest.mark.usefixtures("nothing_cached")
class TestRefused:
    def test_a_bi_encoder(self, tiny_bert: Path) -> None:
        assert "not a cross-encoder, but BertModel" in failure(tiny_bert).message
        assert "not a cross-encoder" in failure(DEFAULT_MODEL).message

    def test_a_bi_encoder_that_says_it_is_a_cross_encoder(
        self, tiny_bert: Path, change_json: Callable[..., None]
    ) -> None:
        (tiny_bert / "modules.json").unlink()
        claims = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
        change_json(tiny_bert / "config.json", **claims)
        assert "classifier" in failure(tiny_bert).message

    @pytest.mark.parametrize("labels", [{"0": "no", "1": "yes"}, {"0": "a", "1": "b", "2": "c"}, None])
    def test_a_classifier_of_several_labels(
        self, source: Path, change_json: Callable[..., None], labels: dict[str, str] | None
    ) -> None:
        change_json(source / "config.json", id2label=labels)
        assert f"{len(labels or 'ab')} outputs" in failure(source).message
