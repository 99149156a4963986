"""Networks that turn images into embeddings, built by name from a study file; and embeddings without a network."""

from hpstudy.models._build import MODELS, build_model
from hpstudy.models._convnet import ConvNet
from hpstudy.models._free import FreeFeatures

__all__ = ["MODELS", "ConvNet", "FreeFeatures", "build_model"]
