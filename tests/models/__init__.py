"""Small real GGUF models, made on the spot: tests load these with the real engine instead of faking one."""

from tests.model_parts import CHATML

from .drawn import (
    decoder_embedding_model,
    embedding_model,
    hybrid_model,
    mixture_model,
    recurrent_model,
    shape_model,
    sliding_window_model,
)
from .scripted import (
    chance_model,
    follower_model,
    scripted_model,
    scripted_shape_model,
    scripted_vocabulary,
)
from .stores import add_layer, damage, install, install_with_projector

__all__ = [
    "CHATML",
    "add_layer",
    "chance_model",
    "damage",
    "decoder_embedding_model",
    "embedding_model",
    "follower_model",
    "hybrid_model",
    "install",
    "install_with_projector",
    "mixture_model",
    "recurrent_model",
    "scripted_model",
    "scripted_shape_model",
    "scripted_vocabulary",
    "shape_model",
    "sliding_window_model",
]
