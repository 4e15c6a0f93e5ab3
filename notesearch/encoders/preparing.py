"""Models prepared for ONNX Runtime: made once of a model's files, kept in the user's cache by their fingerprint."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from notesearch.encoders.encoder import Encoder, EncoderConfig, Pooling, ScoreScale
from notesearch.encoders.files import (
    DEFAULT_FINGERPRINT,
    WEIGHTS,
    Kind,
    ModelFiles,
    file_sha256,
    load_model,
    loading,
    read_json,
)
from notesearch.encoders.forward import OnnxForward
from notesearch.encoders.graphs import build_bert_graph, export_graph, is_plain_bert, quantise
from notesearch.encoders.token_codes import expand, max_similarities
from notesearch.errors import ModelError
from notesearch.files import Stamp, private_opener, put_folder, working_folder
from notesearch.settings import DEFAULT_MODEL, cache_dir

if TYPE_CHECKING:
    from numpy.typing import NDArray

Precision = Literal["int8", "float32"]
Prepared = TypeVar("Prepared")

# Raise this when prepared models must be made anew: a change of the graph, of the files or of the agreement check.
_FORMAT = 4
_FOLDERS: dict[Kind, str] = {"bi-encoder": "encoders", "cross-encoder": "cross-encoders"}
_RECORD = "encoder.json"
# Beside it: the stamps that all had when they were last found to be whole.
_CHECKED = "checked.json"
_FILES = ("model.onnx", "tokenizer.json")
_POOLINGS: tuple[Pooling, ...] = ("mean", "cls")
_PASSAGE_PROMPTS = ("document", "passage", "corpus")
# What sentence-transformers reads of the model that comes with notesearch: importing it takes seconds.
_DEFAULT_CONFIG = EncoderConfig(DEFAULT_MODEL, DEFAULT_FINGERPRINT, "mean", 256, "", "", pad_token_id=0, dim=384)
# The least cosine between int8 and float32 embeddings of the probe passages. Where the CPU's int8 products
# saturate (x86 without VNNI), it falls far below, and float32 is kept.
_LEAST_AGREEMENT = 0.97
# Pairs of a query and its answer, by which the scales of a model's scores are measured.
PROBES = (
    (
        "how to trade off consistency and availability in a distributed database",
        "When the network splits, a replicated store must either refuse some requests or let its replicas disagree.",
    ),
    (
        "bread recipe without kneading",
        "Mix the flour, salt and water, let it rest overnight, then fold the dough and bake it in a hot pot.",
    ),
    ("average of a list in python", "def mean(values: list[float]) -> float:\n    return sum(values) / len(values)"),
    (
        "train along the river with children",
        "In the morning we took the train to the coast; the kids looked at the boats until they fell asleep.",
    ),
    ("find duplicate rows in sql", "SELECT name, count(*) FROM customers GROUP BY name HAVING count(*) > 1;"),
    (
        "why can't I sleep at night",
        "Insomnia often comes from worry, late coffee and bright screens in the evening.",
    ),
    (
        "team meeting decisions about the release date",
        "We agreed to ship the new version on Monday; Anna writes the announcement.",
    ),
    (
        "what the buddha said about suffering",
        "The four noble truths: there is suffering, it has a cause, it can end, and there is a path.",
    ),
)


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A bi-encoder on disk, ready for queries.

    Attributes:
        directory: Holds `model.onnx`, `tokenizer.json` and `encoder.json`.
        config: How to use it.
        precision: Of the weights in `model.onnx`.
        fused: Whether the graph is made of fused operators (`build_bert_graph`).
        scale: What its cosines mean.
        late_scale: What the scores of late interaction between its token codes mean.
    """

    directory: Path
    config: EncoderConfig
    precision: Precision
    fused: bool
    scale: ScoreScale
    late_scale: ScoreScale


def read_prepared(directory: Path, *, thoroughly: bool = False) -> PreparedModel | None:
    """Reads a prepared bi-encoder from its directory; `None` where there is none, or only a damaged one.

    Args:
        directory: Where it is.
        thoroughly: See `read_record`.
    """
    record = read_record(directory, thoroughly=thoroughly)
    try:
        return PreparedModel(
            directory,
            EncoderConfig(**record["config"]),
            record["precision"],
            record["fused"],
            ScoreScale(**record["scale"]),
            ScoreScale(**record["late_scale"]),
        )
    except (KeyError, TypeError):  # nothing was found
        return None


def prepare_into(directory: Path, files: ModelFiles) -> None:
    """Prepares a bi-encoder in an empty directory, for `read_prepared`.

    Raises:
        ModelError: The model is damaged, or of a kind that notesearch cannot run.
    """
    tokenizer_file = directory / "tokenizer.json"
    with loading(files.directory):
        config, fused = _write_float_model(files, directory)

    def open_by(file: Path) -> Encoder:
        return Encoder(config, tokenizer_file, OnnxForward(file))

    def agree(float_file: Path, int8_file: Path) -> bool:
        passages = [passage for _, passage in PROBES]
        exact, quantised = (open_by(file).encode_passages(passages).vectors for file in (float_file, int8_file))
        return float((exact * quantised).sum(axis=1).min()) >= _LEAST_AGREEMENT

    precision = quantise_where(agree, directory, files)
    scale, late_scale = _measure_scales(open_by(directory / "model.onnx"))
    scales = {"scale": asdict(scale), "late_scale": asdict(late_scale)}
    write_record(directory, {"config": asdict(config), "precision": precision, "fused": fused, **scales})


def _write_float_model(files: ModelFiles, directory: Path) -> tuple[EncoderConfig, bool]:
    """Writes `float32.onnx` and `tokenizer.json`; returns how the model is used, and whether its graph is fused."""
    architecture = read_json(files.directory / "config.json")
    fused = is_plain_bert(architecture)
    if files.fingerprint == DEFAULT_FINGERPRINT:
        from safetensors.numpy import load_file

        config = replace(_DEFAULT_CONFIG, name=files.name)
        shutil.copyfile(files.directory / "tokenizer.json", directory / "tokenizer.json")
        weights: Mapping[str, NDArray[np.float32]] = load_file(files.directory / WEIGHTS)
    else:
        model = load_model(files)
        config = _read_config(files, model)
        model.tokenizer.backend_tokenizer.save(str(directory / "tokenizer.json"))
        weights = {name: tensor.numpy() for name, tensor in model[0].auto_model.state_dict().items()}
    if fused:
        import onnx

        onnx.save(build_bert_graph(architecture, weights), directory / "float32.onnx")
    else:
        inputs = ["input_ids", "attention_mask"]
        export_graph(model[0].auto_model, inputs, "token_vectors", directory / "float32.onnx")
    return config, fused


def _read_config(files: ModelFiles, model: Any) -> EncoderConfig:
    """How the `SentenceTransformer` of a bi-encoder is used."""
    # Without modules.json, sentence-transformers pools by the mean.
    pooling = next(module for module in model if type(module).__name__ == "Pooling")
    if pooling.pooling_mode not in _POOLINGS or not pooling.include_prompt:
        raise ModelError(
            f"model {files.name} pools token vectors in a way that notesearch does not know ({pooling.pooling_mode})",
            "Choose a bi-encoder with mean or CLS pooling, prompts included.",
        )
    passage_prompts = [model.prompts[kind] for kind in _PASSAGE_PROMPTS if model.prompts.get(kind)]
    return EncoderConfig(
        name=files.name,
        fingerprint=files.fingerprint,
        pooling=pooling.pooling_mode,
        max_tokens=max_tokens(model),
        query_prompt=model.prompts.get("query") or "",
        passage_prompt=passage_prompts[0] if passage_prompts else "",
        pad_token_id=int(model.tokenizer.pad_token_id or 0),
        dim=model.get_embedding_dimension(),
    )


def max_tokens(model: Any) -> int:
    """The most tokens that a model of sentence-transformers reads, special tokens included.

    Raises:
        TypeError, ValueError, OverflowError: That is no number of tokens.
    """
    config = model[0].auto_model.config
    positions = int(getattr(config, "max_position_embeddings", 512))
    if "roberta" in config.model_type:  # it starts counting after its padding index
        positions -= int(config.pad_token_id or 0) + 1
    most = min(int(model.max_seq_length or positions), positions)
    if most < 1:
        raise ValueError(f"it reads {most} tokens")
    return most


def quantise_where(agree: Callable[[Path, Path], bool], directory: Path, files: ModelFiles) -> Precision:
    """Makes `model.onnx` of `float32.onnx`: quantised to int8 where that agrees with float32 on this CPU.

    Args:
        agree: Compares the two files, float32 first.
        directory: Where they are; the one that is not kept is deleted.
        files: The model, for messages.
    """
    float_file, int8_file = directory / "float32.onnx", directory / "int8.onnx"
    quantise(float_file, int8_file)
    with loading(files.directory):
        exact = agree(float_file, int8_file)
    kept, dropped = (int8_file, float_file) if exact else (float_file, int8_file)
    dropped.unlink()
    kept.rename(directory / "model.onnx")
    return "int8" if exact else "float32"


def _measure_scales(encoder: Encoder) -> tuple[ScoreScale, ScoreScale]:
    """Measures by the probes what cosines and what scores of late interaction mean."""
    queries = [encoder.encode_query(query) for query, _ in PROBES]
    passages = encoder.encode_passages([passage for _, passage in PROBES])
    cosines = np.stack([query.vector for query in queries]) @ passages.vectors.T
    late_scale = measure_late_scale([query.word_vectors for query in queries], passages.codes, encoder.code_bits)
    return _scale_of(cosines), late_scale


def measure_late_scale(queries: Sequence[NDArray[np.float32]], codes: Sequence[bytes], bits: int) -> ScoreScale:
    """Measures the scale of late interaction by the probes.

    Args:
        queries: The word vectors of each probe's query, float32 `(words, bits)`.
        codes: The token codes of each probe's passage.
        bits: Bits of a code.
    """
    passages = [expand(own, bits) for own in codes]
    every_code, lengths = np.concatenate(passages), [len(own) for own in passages]
    return _scale_of(np.stack([max_similarities(query, every_code, lengths).mean(axis=1) for query in queries]))


def _scale_of(scores: NDArray[np.float32]) -> ScoreScale:
    """Measures the scale by the scores of each probe's query (rows) with each probe's passage (columns)."""
    count = len(scores)
    related = float(np.trace(scores)) / count
    unrelated = (float(scores.sum()) - float(np.trace(scores))) / (count * (count - 1))
    return ScoreScale(unrelated, related)


def prepare_once(
    files: ModelFiles, prepare: Callable[[Path], object], read: Callable[[Path], Prepared | None]
) -> Prepared:
    """Prepares a model, unless that was done before and all of it is as it was written.

    Args:
        files: The model.
        prepare: Fills the empty directory that it is given.
        read: Reads what is there; `None` where it is not there, or damaged.

    Returns:
        What is in the directory, which appears at once and complete, or not at all.

    Raises:
        ModelError: The files cannot be written, or `prepare` raised it.
    """
    target = prepared_directory(files.kind, files.fingerprint)
    if known := read(target):
        return known
    try:
        with working_folder(target.parent, ".preparing-") as folder:
            directory = folder / "model"
            directory.mkdir(mode=0o700)
            prepare(directory)
            if faster := read(target):  # another process was faster, and may be using it already
                return faster
            put_folder(directory, target)  # in the place of a damaged one, if there is one
    except OSError as error:
        raise ModelError(
            f"cannot prepare the model {files.name} in {cache_dir()}: {error.strerror or error}",
            "Is the disk full, or the directory not yours? XDG_CACHE_HOME chooses another.",
        ) from error
    made = read(target)
    assert made is not None, "it was written a moment ago"
    return made


def prepared_directory(kind: Kind, fingerprint: str) -> Path:
    """Where what is prepared of a model is kept."""
    return cache_dir() / _FOLDERS[kind] / f"{fingerprint}-{_FORMAT}"


def write_record(directory: Path, record: dict[str, Any]) -> None:
    """Writes down what a directory of prepared files holds, and by what these are known to be whole."""
    record = record | {"sha256": _digests(directory)}
    text = json.dumps(record | {"own_sha256": _digest(record)}, indent=1)
    (directory / _RECORD).write_text(text, encoding="utf-8")


def read_record(directory: Path, *, thoroughly: bool) -> dict[str, Any]:
    """Reads what `write_record` wrote; empty where it is missing or damaged, or the files are not those it tells of.

    Args:
        directory: The prepared files.
        thoroughly: Whether the files' checksums are computed in any case: some 15 ms for the model that comes with
            notesearch. Otherwise they are only where the files' stamps are not those of the last check; that misses
            what a failing disk does to them. Where a check cannot be remembered, every command makes one.
    """
    try:
        stamps = _stamps(directory)
        is_known = _last_checked(directory) == stamps
        record: dict[str, Any] = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
        whole = record.pop("own_sha256") == _digest(record)
        if thoroughly or not is_known:
            whole = whole and record["sha256"] == _digests(directory)
        if whole and not is_known:
            _remember_check(directory, stamps)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return record if whole else {}


def _digest(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _stamps(directory: Path) -> list[Stamp]:
    now_ns = time.time_ns()
    return [Stamp.of((directory / name).stat()).settled(now_ns) for name in (*_FILES, _RECORD)]


def _last_checked(directory: Path) -> list[Stamp]:
    try:
        return [Stamp(*stamp) for stamp in json.loads((directory / _CHECKED).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def _remember_check(directory: Path, stamps: Sequence[Stamp]) -> None:
    if all(stamp.inode >= 0 for stamp in stamps):
        # Half of it, of a process that was killed, is as good as none.
        with suppress(OSError), open(directory / _CHECKED, "w", encoding="utf-8", opener=private_opener) as file:
            json.dump(stamps, file)


def _digests(directory: Path) -> dict[str, str]:
    return {name: file_sha256(directory / name) for name in _FILES}
