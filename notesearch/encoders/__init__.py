"""Text → vectors. The only part of notesearch that imports onnxruntime, torch or transformers."""

import os

from notesearch.encoders.calibration import ScoreScale
from notesearch.encoders.encoder import EncodedPassages, EncodedQuery, Encoder
from notesearch.encoders.model_files import EncoderConfig, absolute_name, find_model, read_encoder_config
from notesearch.encoders.prepared import PreparedModel, prepare_into, read_prepared
from notesearch.encoders.token_codes import CodedWord, expand, max_similarities

# From 1.29 on, ONNX Runtime tells Microsoft which models are run, unless this is set before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__all__ = [
    "CodedWord",
    "EncodedPassages",
    "EncodedQuery",
    "Encoder",
    "EncoderConfig",
    "PreparedModel",
    "ScoreScale",
    "absolute_name",
    "expand",
    "find_model",
    "max_similarities",
    "prepare_into",
    "read_encoder_config",
    "read_prepared",
]
