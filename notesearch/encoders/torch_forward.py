"""The forward pass by torch: for large batches where a device or the CPU makes it fastest, and for export to ONNX."""

from __future__ import annotations

import inspect
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from notesearch.errors import ModelError

if TYPE_CHECKING:
    from notesearch.encoders.encoder import TokenIds, Vectors

Device = Literal["cpu", "cuda", "mps"]


class TorchForward:
    """A model run by torch; bf16 on the CPU, where its caller has made sure that the CPU has it in hardware."""

    # Enough to keep the cores busy, few enough for the activations of a small model to stay in cache.
    batch_tokens = 2048
    concurrency = 1

    def __init__(self, source: Path, device: Device, *, bf16: bool, threads: int | None = None) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self._device = device
        self._model = load_model(source).to(device=device, dtype=torch.bfloat16 if bf16 else torch.float32)

    def __call__(self, input_ids: TokenIds, attention_mask: TokenIds) -> Vectors:
        """See `Forward`."""
        import torch

        with torch.inference_mode():
            output = self._model(
                input_ids=torch.from_numpy(input_ids).to(self._device),
                attention_mask=torch.from_numpy(attention_mask).to(self._device),
            )
            vectors: Vectors = output.last_hidden_state.float().cpu().numpy()
        return vectors


def export_to_onnx(source: Path, target: Path) -> None:
    """Writes the model's forward pass as a float32 ONNX graph with the names that `OnnxForward` expects.

    Raises:
        ModelError: The model cannot be loaded, or its architecture cannot be exported.
    """
    import torch

    class TokenVectors(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    model = TokenVectors(load_model(source).float())
    _write_graph(source, model, ["input_ids", "attention_mask"], "token_vectors", target)


def export_cross_encoder_to_onnx(source: Path, target: Path) -> None:
    """Writes a classifier of text pairs as a float32 ONNX graph.

    Its inputs are `input_ids`, `attention_mask` and, if both the tokenizer and the model know it, `token_type_ids`,
    int64 `(batch, tokens)`; its output `logits` is float32 `(batch, labels)`.

    Raises:
        ModelError: The model or its tokenizer cannot be loaded, or its architecture cannot be exported.
    """
    import torch

    class Logits(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            # Some architectures have no such parameter.
            token_types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            return self.model(input_ids=input_ids, attention_mask=attention_mask, **token_types).logits

    model = load_model(source, "AutoModelForSequenceClassification", optional=())
    known = set(_tokenizer_outputs(source)) & set(inspect.signature(model.forward).parameters)
    inputs = ["input_ids", "attention_mask", *({"token_type_ids"} & known)]
    _write_graph(source, Logits(model.float()), inputs, "logits", target)


def _write_graph(source: Path, model: Any, inputs: list[str], output: str, target: Path) -> None:
    import torch

    example = torch.ones(2, 8, dtype=torch.long)
    dynamic = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=512)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on itself are of no use to a user
        for exporter in ("torch.onnx", "onnxscript"):
            logging.getLogger(exporter).setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                model,
                tuple(example.clone() for _ in inputs),
                dynamo=True,
                verbose=False,
                input_names=inputs,
                output_names=[output],
                dynamic_shapes=tuple(dynamic for _ in inputs),
            )
        except torch.onnx.OnnxExporterError as error:
            raise ModelError(
                f"cannot export {source} to ONNX: {str(error).splitlines()[0]}", "Choose another model."
            ) from error
    if program is None:
        raise ModelError(f"cannot export {source} to ONNX", "Choose another model.")
    program.save(str(target))


def _tokenizer_outputs(source: Path) -> list[str]:
    """What the tokenizer gives for a text, by name."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise ModelError(f"{source} has no usable tokenizer: {reason}", "It needs a tokenizer_config.json.") from error
    names: list[str] = tokenizer.model_input_names
    return names


def load_model(source: Path, kind: str = "AutoModel", *, optional: tuple[str, ...] = ("pooler.",)) -> Any:
    """Loads a model from safetensors; code that a model directory may bring along is never run.

    Args:
        source: The model's directory.
        kind: The class in transformers to load it by.
        optional: Prefixes of weights that the file may lack, since they do not matter here.
    """
    import transformers

    transformers_logging: Any = transformers.logging  # untyped
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        model, report = getattr(transformers, kind).from_pretrained(
            source, use_safetensors=True, trust_remote_code=False, local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # transformers, and what it builds models of, raise whatever they come upon
        reason = (str(error) or repr(error)).splitlines()[0]
        raise ModelError(f"cannot load {source}: {reason}", "Is it an encoder model?") from error
    if not all(value.isfinite().all() for value in model.parameters()):
        raise ModelError(f"cannot load {source}: some weights are no numbers", "Fetch or make the model again.")
    # What the file lacks, transformers fills in at random.
    if missing := sorted(key for key in report["missing_keys"] if not key.startswith(optional)):
        raise ModelError(
            f"cannot load {source}: model.safetensors lacks {missing[0]}", "Fetch or make the model again."
        )
    return model.eval()
