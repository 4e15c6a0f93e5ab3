"""Multi-vector models: the vectors of sentence-transformers, from each layout of a checkpoint, and their words."""

from __future__ import annotations

import json
import shutil
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from notesearch.encoders.models import fingerprint_of
from notesearch.encoders.multi_vector import MultiVectorModel, open_multi_vector_model
from notesearch.encoders.token_codes import compress, expand, max_similarities
from notesearch.errors import IndexMismatch, ModelError
from notesearch.library.index import sync_index
from notesearch.library.search import Index
from notesearch.settings import Settings

LAYOUTS = ["sentence-transformers", "pylate", "old-pylate", "stanford"]
DIM = 24
QUERY_LENGTH = 16
DOCUMENT_LENGTH = 40
QUERIES = ["what is a quorum?", "the train along the river", "Coffee", ""]
PASSAGES = [
    "A majority of the replicas has to answer, or nothing is written.",
    "We took the train; the children looked at the boats.",
    "Übergänge: café, naïve, 分布式系统, 坐禅 🙂",
    "def mean(values):\n    return sum(values) / len(values)\n",
    "https://example.com/picture.png",
    "",
    "...",
    "The train along the river was late, and so we had time for a long talk about nothing. " * 4,
]


class Checkpoints:
    """One tiny ColBERT model with random weights, laid out as its makers would publish it."""

    def __init__(self, root: Path, tiny_models: Any) -> None:
        self._root = root
        self._bert = tiny_models.directory("bert")

    def directory(self, layout: str) -> Path:
        directory = self._root / layout
        if not directory.exists():
            native = self._root / "sentence-transformers"
            if not native.exists():
                save(native, self._bert)
            if layout != "sentence-transformers":
                shutil.copytree(native, directory)
                {"pylate": to_pylate, "old-pylate": to_old_pylate, "stanford": to_stanford}[layout](directory)
        return directory


def save(directory: Path, bert: Path, dim: int = DIM, mask: dict[str, Any] | None = None, **options: Any) -> Path:
    """Saves a tiny ColBERT model made of a tiny BERT."""
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from transformers import AddedToken

    lengths = {
        "document_length": DOCUMENT_LENGTH,
        "query_expansion": {"strategy": "fixed", "attend": False, "length": QUERY_LENGTH},
    }
    transformer = Transformer(str(bert), **(lengths | options))
    markers = [AddedToken(marker, normalized=False, special=True) for marker in ("[Q] ", "[D] ")]
    transformer.tokenizer.add_special_tokens({"additional_special_tokens": markers})
    with torch.random.fork_rng():
        torch.manual_seed(20)
        transformer.model.resize_token_embeddings(len(transformer.tokenizer), mean_resizing=False)
        dense = Dense(
            32, dim, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings"
        )
    masking = MultiVectorMask(**(mask or {"skiplist_words": list(string.punctuation)}))
    modules = [transformer, dense, masking, Normalize("token_embeddings")]
    model = MultiVectorEncoder(modules=modules, prompts={"query": "[Q] ", "document": "[D] "}, device="cpu")
    model.save(str(directory), create_model_card=False)
    return directory


def to_pylate(directory: Path) -> None:
    """PyLate names a class of its own, and keeps all settings in one file."""
    dense = next(directory.glob("*_Dense"))
    modules = [("", "sentence_transformers.models.Transformer"), (dense.name, "pylate.models.Dense.Dense")]
    entries = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(modules)]
    settings = {
        "model_type": "ColBERT",
        "query_prefix": "[Q] ",
        "document_prefix": "[D] ",
        "query_length": QUERY_LENGTH,
        "document_length": DOCUMENT_LENGTH,
        "attend_to_expansion_tokens": False,
        "skiplist_words": list(string.punctuation),
    }
    own = {"in_features": 32, "out_features": DIM, "bias": False}
    activation = {"activation_function": "torch.nn.modules.linear.Identity"}
    write_json(directory / "modules.json", entries)
    write_json(directory / "config_sentence_transformers.json", settings)
    write_json(dense / "config.json", own | activation)
    (directory / "sentence_bert_config.json").unlink()


def to_old_pylate(directory: Path) -> None:
    to_pylate(directory)
    path = directory / "config_sentence_transformers.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    del settings["model_type"]
    write_json(path, settings)


def to_stanford(directory: Path) -> None:
    """Stanford's ColBERT keeps the projection with the other weights."""
    from safetensors.torch import load_file, save_file

    weights = {f"bert.{name}": tensor for name, tensor in load_file(directory / "model.safetensors").items()}
    weights["linear.weight"] = load_file(next(directory.glob("*_Dense")) / "model.safetensors")["linear.weight"]
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    write_json(directory / "config.json", config | {"architectures": ["HF_ColBERT"]})
    settings = {
        "query_token_id": "[Q]",
        "doc_token_id": "[D]",
        "query_maxlen": QUERY_LENGTH,
        "doc_maxlen": DOCUMENT_LENGTH,
        "mask_punctuation": True,
        "attend_to_mask_tokens": False,
    }
    write_json(directory / "artifact.metadata", settings)
    for path in [*directory.glob("[0-9]_*"), directory / "modules.json"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (directory / "config_sentence_transformers.json").unlink()
    (directory / "sentence_bert_config.json").unlink()


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def reference(directory: Path) -> Any:
    from sentence_transformers import MultiVectorEncoder

    return MultiVectorEncoder(str(directory), device="cpu", local_files_only=True)


def uncompressed(model: MultiVectorModel, passages: list[str]) -> list[Any]:
    return model._encode(model._model.encode_document, passages)


def signs(codes: bytes) -> Any:
    return expand(codes, DIM) > 0


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """On busy cores, threads that wait for each other take far longer than such tiny models need."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory, tiny_models: Any) -> Checkpoints:
    return Checkpoints(tmp_path_factory.mktemp("multi-vector-models"), tiny_models)


@pytest.fixture(scope="module")
def source(checkpoints: Checkpoints) -> Path:
    return checkpoints.directory("sentence-transformers")


@pytest.fixture
def own_source(source: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(source, tmp_path / "colbert"))


@pytest.fixture(scope="module")
def model(source: Path, shared_cache: Path) -> MultiVectorModel:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        return open_multi_vector_model(str(source))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_late_interaction_is_that_of_sentence_transformers(checkpoints: Checkpoints, layout: str) -> None:
    directory = checkpoints.directory(layout)
    model = open_multi_vector_model(str(directory))
    theirs = reference(directory)
    expected = theirs.similarity(theirs.encode_query(QUERIES), theirs.encode_document(PASSAGES)).numpy()
    passages = uncompressed(model, PASSAGES)
    lengths = [len(own) for own in passages]
    for query, row in zip(QUERIES, expected, strict=True):
        found = max_similarities(model.encode_query(query)[1], np.concatenate(passages), lengths).sum(axis=1)
        assert found == pytest.approx(row, abs=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_layouts_of_one_model_agree(checkpoints: Checkpoints, model: MultiVectorModel, layout: str) -> None:
    other = open_multi_vector_model(str(checkpoints.directory(layout)))
    for query in QUERIES:
        words, vectors = other.encode_query(query)
        expected_words, expected = model.encode_query(query)
        assert words == expected_words
        assert vectors == pytest.approx(expected, abs=1e-5)
    for passage in PASSAGES:
        assert other.words_of_codes(passage) == model.words_of_codes(passage)
    for found, wanted in zip(uncompressed(other, PASSAGES), uncompressed(model, PASSAGES), strict=True):
        assert found == pytest.approx(wanted, abs=1e-5)


def test_codes_are_the_signs_of_the_vectors(model: MultiVectorModel) -> None:
    assert model.code_bits == DIM
    assert model.encode_passages(PASSAGES) == [compress(vectors) for vectors in uncompressed(model, PASSAGES)]
    assert model.encode_passages([]) == []


def test_there_is_a_word_for_each_code(model: MultiVectorModel) -> None:
    codes = model.encode_passages(PASSAGES)
    for passage, own in zip(PASSAGES, codes, strict=True):
        words = model.words_of_codes(passage)
        assert len(own) == len(words) * DIM // 8
        assert [word.tokens for word in words] == [(number,) for number in range(len(words))]
        for word in words:
            assert [passage[start:end].lower() for start, end in word.spans] == [word.word] * len(word.spans)


def test_word_pieces_stand_for_whole_words(model: MultiVectorModel) -> None:
    passage = "Zyzzyva quorums"
    assert len(model._model.tokenizer.tokenize("Zyzzyva")) > 1
    words = model.words_of_codes(passage)
    assert {(word.word, word.spans) for word in words} == {
        ("", ()),
        ("zyzzyva", ((0, 7),)),
        ("quorums", ((8, 15),)),
    }
    # [CLS] and the marker come first, [SEP] last.
    assert [bool(word.word) for word in words] == [False, False, *[True] * (len(words) - 3), False]


@pytest.mark.parametrize("name", ["modernbert", "xlm-roberta"])
def test_words_are_found_with_any_tokenizer(tiny_models: Any, tmp_path: Path, name: str) -> None:
    directory = save(tmp_path / name, tiny_models.directory(name), mask={})
    model = open_multi_vector_model(str(directory))
    passage = "  Hello, quorums of naïve\n replicas!"
    words = model.words_of_codes(passage)
    assert len(model.encode_passages([passage])[0]) == len(words) * DIM // 8
    assert [word for word in dict.fromkeys(word.word for word in words) if word.isalpha()] == (
        "hello quorums of naïve replicas".split()
    )
    for word in words:
        assert [passage[start:end].lower() for start, end in word.spans] == [word.word] * len(word.spans)


def test_each_token_of_an_unspaced_script_is_a_word(model: MultiVectorModel) -> None:
    spans = [word.spans[0] for word in model.words_of_codes("水 分布") if word.spans]
    assert spans == [(0, 1), (2, 3), (3, 4)]


def test_punctuation_has_no_code(model: MultiVectorModel) -> None:
    assert not set(string.punctuation) & {word.word for word in model.words_of_codes("(train), [river]; boats.")}
    assert len(model.words_of_codes("...")) == len(model.words_of_codes("")) == 3


def test_punctuation_has_a_code_if_the_checkpoint_says_so(
    own_source: Path, change_json: Callable[..., None], model: MultiVectorModel
) -> None:
    change_json(next(own_source.glob("*_MultiVectorMask")) / "config.json", skiplist_words=[])
    chatty = open_multi_vector_model(str(own_source))
    passage = "The train, late."
    places = [word.spans for word in chatty.words_of_codes(passage)]
    assert ((9, 10),) in places and ((15, 16),) in places
    assert len(chatty.encode_passages([passage])[0]) > len(model.encode_passages([passage])[0])


def test_a_passage_of_which_nothing_is_kept_has_a_code(
    own_source: Path, change_json: Callable[..., None], model: MultiVectorModel
) -> None:
    nothing = ["[CLS]", "[SEP]", "[D] ", "."]
    change_json(next(own_source.glob("*_MultiVectorMask")) / "config.json", skiplist_words=nothing)
    strict = open_multi_vector_model(str(own_source))
    assert [len(codes) for codes in strict.encode_passages(["...", ""])] == [DIM // 8] * 2
    assert [word.spans for word in strict.words_of_codes("...")] == [()]


def test_a_query_is_filled_up_with_masks(model: MultiVectorModel) -> None:
    words, vectors = model.encode_query("the river")
    assert len(words) == len(vectors) == QUERY_LENGTH
    assert [word.tokens for word in words] == [(number,) for number in range(QUERY_LENGTH)]
    assert {(word.word, word.spans) for word in words} == {("", ()), ("the", ((0, 3),)), ("river", ((4, 9),))}
    assert words[0].spans == words[1].spans == words[-1].spans == ()
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert len(model.encode_query("river " * 100)[0]) == QUERY_LENGTH


def test_a_query_may_be_longer_than_what_it_is_filled_up_to(tiny_models: Any, tmp_path: Path) -> None:
    least = {"strategy": "min", "attend": True, "length": 8}
    directory = save(tmp_path / "least", tiny_models.directory("bert"), query_expansion=least, query_length=32)
    model = open_multi_vector_model(str(directory))
    for query in ("river", "river " * 12):
        words, vectors = model.encode_query(query)
        assert len(words) == len(vectors)
    assert len(model.encode_query("river")[0]) == 8
    assert len(model.encode_query("river " * 12)[0]) > 8


def test_without_expansion_a_query_is_its_tokens(tiny_models: Any, tmp_path: Path) -> None:
    directory = save(tmp_path / "plain", tiny_models.directory("bert"), query_expansion=None)
    words, vectors = open_multi_vector_model(str(directory)).encode_query("the")
    assert [word.word for word in words] == ["", "", "the", ""]
    assert vectors.shape == (4, DIM)


def test_long_passages_are_cut(model: MultiVectorModel) -> None:
    words = model.words_of_codes("river " * 200)
    assert len(words) <= DOCUMENT_LENGTH
    assert len(model.encode_passages(["river " * 200])[0]) == len(words) * DIM // 8


def test_of_a_wide_vector_256_components_are_kept(tiny_models: Any, tmp_path: Path) -> None:
    directory = save(tmp_path / "wide", tiny_models.directory("bert"), dim=300)
    model = open_multi_vector_model(str(directory))
    assert model.code_bits == 256
    assert model.encode_query("river")[1].shape == (QUERY_LENGTH, 256)
    assert len(model.encode_passages(["river"])[0]) == len(model.words_of_codes("river")) * 32


def test_weights_in_half_precision_are_computed_in_full(own_source: Path) -> None:
    from safetensors.torch import load_file, save_file

    for path in own_source.rglob("*.safetensors"):
        save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})
    model = open_multi_vector_model(str(own_source))
    assert {str(parameter.dtype) for parameter in model._model.parameters()} == {"torch.float32"}


@pytest.mark.parametrize(
    "file",
    [
        "model.safetensors",
        "1_Dense/model.safetensors",
        "1_Dense/config.json",
        "2_MultiVectorMask/config.json",
    ],
)
def test_the_fingerprint_covers_the_files_of_every_module(own_source: Path, file: str) -> None:
    before = fingerprint_of(str(own_source), "multi-vector")
    path = own_source / file
    path.write_bytes(path.read_bytes() + b" ")
    assert fingerprint_of(str(own_source), "multi-vector") != before


@pytest.mark.parametrize("name", ["bert", "modernbert"])
def test_a_bi_encoder_is_refused(tiny_models: Any, name: str) -> None:
    with pytest.raises(ModelError, match="not a multi-vector model") as caught:
        fingerprint_of(str(tiny_models.directory(name)), "multi-vector")
    assert "ColBERT" in caught.value.hint


def test_a_bare_transformer_is_refused(own_source: Path) -> None:
    (own_source / "modules.json").unlink()
    with pytest.raises(ModelError, match="not a multi-vector model"):
        open_multi_vector_model(str(own_source))


@pytest.mark.parametrize(("layout", "missing"), [("pylate", "modules.json"), ("stanford", "artifact.metadata")])
def test_a_hub_id_is_found_in_the_cache(
    checkpoints: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, missing: str
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "hub" / "models--someone--colbert"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    cached = Path(shutil.copytree(checkpoints.directory(layout), repository / "snapshots" / "abc"))
    expected = fingerprint_of(str(checkpoints.directory(layout)), "multi-vector")
    assert fingerprint_of("someone/colbert", "multi-vector") == expected
    (cached / missing).unlink()
    with pytest.raises(ModelError, match="only a part"):
        fingerprint_of("someone/colbert", "multi-vector")


def test_pickled_weights_are_refused(own_source: Path) -> None:
    dense = own_source / "1_Dense"
    (dense / "model.safetensors").rename(dense / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"no model\.safetensors in .*1_Dense"):
        open_multi_vector_model(str(own_source))


def test_an_unknown_activation_function_is_refused(own_source: Path, change_json: Callable[..., None]) -> None:
    change_json(own_source / "1_Dense" / "config.json", activation_function="mine.Own")
    with pytest.raises(ModelError, match=r"cannot run: mine\.Own"):
        open_multi_vector_model(str(own_source))


def test_a_stanford_checkpoint_needs_its_settings(checkpoints: Checkpoints, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(checkpoints.directory("stanford"), tmp_path / "stanford"))
    (directory / "artifact.metadata").unlink()
    with pytest.raises(ModelError, match=r"no artifact\.metadata"):
        open_multi_vector_model(str(directory))


@pytest.mark.parametrize("kind", ["sentence_transformers.multi_vector_encoder.modules.HierarchicalPooling", "mine.Own"])
def test_unknown_modules_are_refused(own_source: Path, kind: str) -> None:
    path = own_source / "modules.json"
    entries = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, [*entries, {"idx": 4, "name": "4", "path": "4_Own", "type": kind}])
    with pytest.raises(ModelError, match=f"cannot run: .*{kind.rsplit('.', 1)[-1]}"):
        open_multi_vector_model(str(own_source))


def test_damaged_weights_are_refused(own_source: Path) -> None:
    (own_source / "1_Dense" / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot load"):
        open_multi_vector_model(str(own_source))


def test_a_model_that_knows_images_is_refused(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sentence_transformers import MultiVectorEncoder

    monkeypatch.setattr(MultiVectorEncoder, "modalities", ["text", "image"])
    with pytest.raises(ModelError, match="more than plain text"):
        open_multi_vector_model(str(source))


def test_an_index_is_made_and_searched_with_a_token_model(source: Path, shared_cache: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "quorum.md").write_text("# Quorum\n\nA majority of the replicas has to answer.\n")
    (notes / "train.md").write_text("# Train\n\nWe took the train along the river.\n")
    index_dir = tmp_path / "index"
    with_model = Settings(index_dir, token_model=str(source))
    sync_index(with_model, [notes])
    with Index(index_dir) as index:
        hits = index.search("what is a quorum?")
        assert {hit.title for hit in hits} == {"Quorum", "Train"}
        assert all("late" in hit.scores for hit in hits)
        asked = {row.query_token for hit in hits for row in hit.evidence}
        # A ColBERT model weighs stopwords too; what it holds against a marker of the passage is no evidence.
        assert asked <= {"what", "is", "a", "quorum", "?"}
        assert asked & {"what", "is", "a"}

    # It goes without saying from then on, and is never mixed with another.
    (notes / "new.md").write_text("Something new\n")
    assert sync_index(Settings(index_dir), []).encoded == 1
    with pytest.raises(IndexMismatch, match="token model") as caught:
        sync_index(Settings(index_dir, token_model="none"), [])
    assert f"--token-model {source}" in caught.value.hint
    sync_index(Settings(index_dir, token_model="none"), [], rebuild=True)
    with Index(index_dir) as index:
        assert {row.query_token for row in index.search("what is a quorum?")[0].evidence} == {"quorum"}
