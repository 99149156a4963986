"""How MLflow loads a trained network: `hpstudy.models.pyfunc` is the loader module of every model that is logged.

Nothing that is loaded is a pickle: a JSON file says what to build, and the weights are read with `weights_only`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpstudy.models._embedder import Embedder, load_embedder


class EmbedderModel:
    """What `mlflow.pyfunc.load_model` puts its checks of the signature around.

    Args:
        embedder: The network.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def predict(self, model_input: NDArray[np.uint8], params: Mapping[str, Any] | None = None) -> NDArray[np.float32]:
        """Embeddings of length 1, (N, K) float32, of images (N, channels, H, W) uint8; there are no params."""
        del params
        return self._embedder(model_input)

    def get_raw_model(self) -> Embedder:
        """The embedder, whose `network` is the torch module."""
        return self._embedder


def _load_pyfunc(data_path: str, model_config: Mapping[str, Any] | None = None) -> EmbedderModel:
    """MLflow calls it with the folder of the weights, and with `{"device": …}` if `load_model` was given one."""
    return EmbedderModel(load_embedder(Path(data_path), **(model_config or {})))
