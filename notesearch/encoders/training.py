"""What every kind of training here shares: torch's settings, the batches, the descent, and saving an encoder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from notesearch.encoders.encoder import EncoderConfig, load_tokenizer
from notesearch.encoders.files import read_json
from notesearch.encoders.forward import available_cores, cpu_flags
from notesearch.encoders.models import prepare
from notesearch.errors import ModelError

if TYPE_CHECKING:
    import torch

# Texts of like length share a batch, so that little padding is computed; sorted within blocks of so many batches, the
# batches still differ from epoch to epoch.
_BLOCK_BATCHES = 20
_WARM_UP = 0.1
_GREATEST_BF16_ERROR = 0.1
_PROBE_TOKENS = 16
_WEIGHT_DECAY = 0.01
# What a model directory holds beside its weights.
_SMALL_FILES = ("*.json", "*.txt", "*.model")


@contextmanager
def torch_settings(seed: int) -> Iterator[None]:
    """Lets torch use all cores and start its random numbers from a seed; both are as before afterwards."""
    import torch

    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        torch.set_num_threads(available_cores())
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def runs_in_bf16(model: Any) -> bool:
    """Says whether an encoder's matrix products should be in bf16: if the CPU has it, and the vectors are as good.

    With avx512_bf16, two layers of all-MiniLM-L6-v2 are trained 1.6 times faster so; emulated, bf16 is far slower.

    Args:
        model: In float32 and in eval mode; for any text whatever, its vectors in bf16 should be close to these.
    """
    import torch

    if not bf16_in_hardware(cpu_flags()):
        return False
    ids = torch.arange(_PROBE_TOKENS)[None] % model.config.vocab_size
    with torch.no_grad():
        exact = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        try:
            with autocast(bf16=True):
                short = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        except RuntimeError:  # DeBERTa masks with a number that bf16 does not have
            return False
    return relative_error(short, exact, torch.ones_like(ids)) <= _GREATEST_BF16_ERROR


def autocast(*, bf16: bool) -> torch.autocast:
    """A context for matrix products in bf16, or in float32."""
    import torch

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16)


def relative_error(vectors: torch.Tensor, exact: torch.Tensor, attention_mask: torch.Tensor) -> float:
    """How far token vectors `(batch, tokens, dim)` are from exact ones, relative to the length of these."""
    mask = attention_mask[..., None]
    return float(((vectors - exact) * mask).norm() / (exact * mask).norm())


def bf16_in_hardware(cpu_flags: frozenset[str]) -> bool:
    """Says whether a CPU with these flags multiplies matrices of bf16."""
    return not cpu_flags.isdisjoint({"avx512_bf16", "amx_bf16"})


def open_tokenizer(source: Path, max_tokens: int) -> Any:
    """A model's tokenizer, which cuts texts off at `max_tokens`.

    Raises:
        ModelError: The model has none that can be read.
    """
    tokenizer = load_tokenizer(prepare(str(source)).directory / "tokenizer.json")
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def as_tokenized(texts: Sequence[str], config: EncoderConfig, prompt: str = "") -> list[str]:
    """Texts as the encoder puts them before its tokenizer: behind the prompt, and in lower case if it wants that."""
    prompted = [prompt + text for text in texts]
    return prompted


def shuffled_batches(lengths: Mapping[int, int], size: int, random: np.random.Generator) -> list[list[int]]:
    """Puts texts into batches of like length, in random order.

    Args:
        lengths: The texts' numbers, and how many tokens each has.
        size: Texts in a batch; some may have fewer.
        random: Where the order comes from.

    Returns:
        The numbers of the texts of each batch; each number once.
    """
    order = random.permutation(list(lengths)).tolist()
    batches: list[list[int]] = []
    for start in range(0, len(order), size * _BLOCK_BATCHES):
        block = sorted(order[start : start + size * _BLOCK_BATCHES], key=lengths.__getitem__)
        batches += [block[first : first + size] for first in range(0, len(block), size)]
    return [batches[place] for place in random.permutation(len(batches))]


class Descent:
    """AdamW (Loshchilov and Hutter, 2019): linear warm-up and decay of the rates, gradients clipped to length 1."""

    def __init__(self, steps: int) -> None:
        """Plans for a number of steps."""
        self._steps = steps
        self._step = 0
        self._groups: list[dict[str, Any]] = []
        self._optimizer: Any = None

    def add(self, parameters: Sequence[torch.nn.Parameter], rate: float, *, starts: float = 0.0) -> None:
        """Adds parameters to train, before the first step.

        Args:
            parameters: Biases and the weights of norms among them do not decay.
            rate: Their highest learning rate.
            starts: The share of the steps to wait before they are trained.
        """
        for decay, chosen in (
            (_WEIGHT_DECAY, [p for p in parameters if p.ndim > 1]),
            (0.0, [p for p in parameters if p.ndim <= 1]),
        ):
            self._groups.append({"params": chosen, "weight_decay": decay, "highest": rate, "starts": starts})

    def step(self, loss: torch.Tensor) -> None:
        """Goes one step down a loss."""
        import torch

        optimizer = self._open_optimizer()
        self._step += 1
        for group in optimizer.param_groups:
            group["lr"] = group["highest"] * self._share_of_rate(group["starts"])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for group in optimizer.param_groups:
            torch.nn.utils.clip_grad_norm_(group["params"], 1.0)
        optimizer.step()

    def state(self) -> dict[str, torch.Tensor]:
        """The parameters and what the optimizer knows of them, by name, after at least one step."""
        return {
            f"{number}.{name}": value
            for number, parameter in enumerate(self._parameters())
            for name, value in self._known_of(parameter).items()
        }

    def resume(self, step: int, state: Mapping[str, torch.Tensor]) -> None:
        """Goes on after a step, with the parameters as they were then.

        Args:
            step: Steps done.
            state: As `state` gave it, of the same parameters in the same order.
        """
        import torch

        self._step = step
        optimizer = self._open_optimizer()
        for number, parameter in enumerate(self._parameters()):
            known = {name: state[f"{number}.{name}"] for name in ("value", "step", "exp_avg", "exp_avg_sq")}
            with torch.no_grad():
                parameter.copy_(known.pop("value"))
            optimizer.state[parameter] = known

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [parameter for group in self._groups for parameter in group["params"]]

    def _known_of(self, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor]:
        return {"value": parameter.detach(), **self._open_optimizer().state[parameter]}

    def _open_optimizer(self) -> Any:
        import torch

        if self._optimizer is None:
            self._optimizer = torch.optim.AdamW(self._groups, lr=0.0)
        return self._optimizer

    def _share_of_rate(self, starts: float) -> float:
        done = (self._step / self._steps - starts) / (1 - starts)
        return max(0.0, min(done / _WARM_UP, (1 - done) / (1 - _WARM_UP)))


def write_encoder(model: Any, source: Path, directory: Path, max_tokens: int | None = None) -> None:
    """Saves an encoder as a model directory, all of whose files only their owner may read.

    Args:
        model: The encoder.
        source: The directory that it was loaded from: its tokenizer, pooling and prompts are copied.
        directory: Where to; it is made.
        max_tokens: The most tokens the model is to read; the source's number where not given.

    Raises:
        ModelError: The directory cannot be written.
    """
    from safetensors import SafetensorError

    modules = _module_folders(source)
    try:
        for folder in sorted({"", *modules.values()}):
            (directory / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
            for file in (file for pattern in _SMALL_FILES for file in (source / folder).glob(pattern)):
                shutil.copyfile(file, directory / folder / file.name)
        model.save_pretrained(directory)
        if max_tokens is not None:
            sentence_file = directory / modules.get("Transformer", "") / "sentence_bert_config.json"
            sentence = (read_json(sentence_file) if sentence_file.exists() else {}) | {"max_seq_length": max_tokens}
            sentence_file.write_text(json.dumps(sentence, indent=2), encoding="utf-8")
        for file in directory.rglob("*"):
            file.chmod(0o700 if file.is_dir() else 0o600)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot save the model in {directory}: {error}", "Is the disk full?") from error


def _module_folders(source: Path) -> dict[str, str]:
    """The folders of a sentence-transformers model's modules, by class name; none that lies outside the model's."""
    path = source / "modules.json"
    entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    folders = {entry["type"].rsplit(".", 1)[-1]: entry["path"] for entry in entries}
    return {kind: folder for kind, folder in folders.items() if folder in ("", Path(folder).name)}
