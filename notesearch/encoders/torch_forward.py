"""The forward pass by torch: for large batches where a device or the CPU makes it fastest, and for export to ONNX."""

from __future__ import annotations

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

    def __init__(self, source: Path, device: Device, *, bf16: bool) -> None:
        import torch

        self._device = device
        self._model = _load(source).to(device=device, dtype=torch.bfloat16 if bf16 else torch.float32)

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

    model = TokenVectors(_load(source).float())
    example = torch.ones(2, 8, dtype=torch.long)
    dynamic = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=512)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on itself are of no use to a user
        try:
            program = torch.onnx.export(
                model,
                (example, example.clone()),
                dynamo=True,
                verbose=False,
                input_names=["input_ids", "attention_mask"],
                output_names=["token_vectors"],
                dynamic_shapes=(dynamic, dynamic),
            )
        except torch.onnx.OnnxExporterError as error:
            raise ModelError(
                f"cannot export {source} to ONNX: {str(error).splitlines()[0]}", "Choose another bi-encoder."
            ) from error
    if program is None:
        raise ModelError(f"cannot export {source} to ONNX", "Choose another bi-encoder.")
    program.save(str(target))


def _load(source: Path) -> Any:
    """Loads an encoder from safetensors; code that a model directory may bring along is never run."""
    import transformers
    from safetensors import SafetensorError

    logging: Any = transformers.logging  # untyped
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, report = transformers.AutoModel.from_pretrained(
            source, use_safetensors=True, trust_remote_code=False, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = (str(error) or repr(error)).splitlines()[0]
        raise ModelError(f"cannot load {source}: {reason}", "Is it an encoder model?") from error
    # What the file lacks, transformers fills in at random.
    if missing := sorted(key for key in report["missing_keys"] if not key.startswith("pooler.")):
        raise ModelError(
            f"cannot load {source}: model.safetensors lacks {missing[0]}", "Fetch or make the model again."
        )
    return model.eval()
