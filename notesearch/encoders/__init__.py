"""Text → vectors. Beside what trains models, the only part of notesearch that imports onnxruntime or torch."""

import os

from notesearch.encoders.encoder import EncodedQuery, Encoder, EncoderConfig, ScoreScale
from notesearch.encoders.files import absolute_name, find_model
from notesearch.encoders.preparing import PreparedModel

# From 1.29 on, ONNX Runtime tells Microsoft which models are run, unless this is set before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__all__ = ["EncodedQuery", "Encoder", "EncoderConfig", "PreparedModel", "ScoreScale", "absolute_name", "find_model"]
