"""Text → vectors. The only part of notesearch that imports onnxruntime, torch or transformers."""

from notesearch.encoders.encoder import Encoder
from notesearch.encoders.model_files import EncoderConfig
from notesearch.encoders.opening import open_encoder, open_fastest_encoder
from notesearch.encoders.prepared import PreparedModel, load_prepared, prepare

__all__ = [
    "Encoder",
    "EncoderConfig",
    "PreparedModel",
    "load_prepared",
    "open_encoder",
    "open_fastest_encoder",
    "prepare",
]
