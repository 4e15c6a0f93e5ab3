"""Whether the parts of a classifier that was read from disk make one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from notesearch.tagging.classifier import Classifier


def require_sense(classifier: Classifier) -> None:
    """Looks at what checksums say nothing about, since whoever writes the files can compute these.

    Raises:
        ValueError: Parts do not fit together, or values are none that training gives.
        TypeError: Values are of the wrong kind.
    """
    heads, labels = classifier.heads, len(classifier.labels)
    examples, terms = len(classifier.examples), len(classifier.vocabulary.terms)
    dim = classifier.vectors.shape[-1]
    shapes = [
        (heads.bias, (labels,)),
        (heads.terms, (terms, labels)),
        (heads.vectors, (dim, labels)),
        (heads.tuned, (classifier.tuned.config.dim if classifier.tuned else dim, labels)),
        (classifier.vocabulary.idf, (terms,)),
        (classifier.thresholds, (labels,)),
        (classifier.vectors, (examples, dim)),
        (classifier.name_vectors, (labels, dim)),
        (np.array(classifier.calibration.frequencies), (labels,)),
        (np.array(classifier.calibration.hints), (2,)),
    ]
    calibration = [value for value in asdict(classifier.calibration).values() if not isinstance(value, tuple)]
    arrays = [(array, shape) for array, shape in shapes if array is not None]
    if any(array.shape != shape for array, shape in arrays):
        raise ValueError("its parts do not fit together")
    if not all(np.isfinite(array).all() for array in (*(array for array, _ in arrays), np.array(calibration))):
        raise ValueError("a value in it is no number")
    texts = (*classifier.labels, *classifier.vocabulary.terms, classifier.model, classifier.encoder)
    if not all(isinstance(text, str) for text in texts) or (heads.neighbours > 0) > (examples > 0):
        raise ValueError("a value in it is of the wrong kind")
