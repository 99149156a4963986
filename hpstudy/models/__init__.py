"""Networks that turn images into embeddings, built by name from a study file; and embeddings without a network.

A trained one leaves a study as an `Embedder`, which `hpstudy.models.pyfunc` loads for MLflow.
"""

from hpstudy.models._build import MODELS, build_model
from hpstudy.models._convnet import ConvNet
from hpstudy.models._embed import EMBED_AT_ONCE, embed
from hpstudy.models._embedder import Embedder, load_embedder, save_embedder
from hpstudy.models._free import FreeFeatures

__all__ = [
    "EMBED_AT_ONCE",
    "MODELS",
    "ConvNet",
    "Embedder",
    "FreeFeatures",
    "build_model",
    "embed",
    "load_embedder",
    "save_embedder",
]
