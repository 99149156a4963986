"""Networks that turn images into embeddings, built by name from a study file."""

from hpstudy.models._build import MODELS, build_model
from hpstudy.models._convnet import ConvNet

__all__ = ["MODELS", "ConvNet", "build_model"]
