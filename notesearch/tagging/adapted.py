"""Going on with a base model's own training on the notes, for those who want to try it: kept only if it wins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from notesearch.encoders import find_model, forget_prepared, prepare
from notesearch.encoders.adaptation import adapt
from notesearch.tagging.estimators import Material, Ridge
from notesearch.tagging.features import ContentReader, EncoderNeed
from notesearch.tagging.labels import name_text
from notesearch.tagging.selection import Progress, assign_folds, compare

_EPOCHS = 1
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What came of adapting a base model.

    Attributes:
        lead: By how much F1 (the mean of micro and macro) of least squares is higher with it, mean over the folds.
        lead_spread: The standard deviation of this.
        kept: Whether it was kept: only if it is ahead by more than the spread.
    """

    lead: float
    lead_spread: float
    kept: bool


@dataclass(frozen=True, slots=True)
class Adapted:
    """What to go on with.

    Attributes:
        need: The adapted model, if it was kept, else the base model.
        material: The examples, as that embeds them.
        outcome: What came of it.
    """

    need: EncoderNeed
    material: Material
    outcome: Adaptation


def adapt_base(
    directory: Path,
    need: EncoderNeed,
    material: Material,
    texts: Sequence[str],
    open_contents: Callable[[EncoderNeed], ContentReader],
    *,
    seed: int,
    progress: Progress,
) -> Adapted:
    """Trains the base model to guess masked words of the notes, and sees whether labels are learnt better by it.

    Args:
        directory: Where the adapted model is to be.
        need: The base model.
        material: The examples, as it embeds them.
        texts: Notes, labelled or not.
        open_contents: Opens what embeds notes by another model.
        seed: Of all that is random.
        progress: Told what is being done.
    """
    adapt(
        find_model(need.model),
        texts,
        directory,
        epochs=_EPOCHS,
        seed=seed,
        progress=lambda done, total: progress("adapting", done, total),
    )
    config = prepare(str(directory)).config
    adapted_need = replace(need, model=str(directory), fingerprint=config.fingerprint)
    contents = open_contents(adapted_need)
    examples = material.examples
    vectors = contents.embed([replace(content, vectors=None) for content in examples.contents])
    names = contents.encoder.encode_passages([name_text(label) for label in examples.labels]).vectors
    adapted = Material(examples, vectors, names)
    folds = assign_folds(material.targets, min(_FOLDS, len(material.targets)), seed)
    rows = np.arange(len(material.targets))
    lead, spread = compare(Ridge(adapted), adapted, Ridge(material), material, rows, folds)
    if lead > spread:
        return Adapted(adapted_need, adapted, Adaptation(lead, spread, kept=True))
    forget_prepared(config.fingerprint)
    return Adapted(need, material, Adaptation(lead, spread, kept=False))
