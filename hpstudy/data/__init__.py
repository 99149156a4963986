"""Images with identities: sources, identity-disjoint splits, capture conditions and the order of batches."""

from hpstudy.data._batches import batches
from hpstudy.data._capture import augment, capture
from hpstudy.data._dataset import Dataset, Split, Splits, split_identities
from hpstudy.data._faces import built_in_faces
from hpstudy.data._load import SOURCES, load_dataset
from hpstudy.data._shown import noisy_labels, rows_shown

__all__ = [
    "SOURCES",
    "Dataset",
    "Split",
    "Splits",
    "augment",
    "batches",
    "built_in_faces",
    "capture",
    "load_dataset",
    "noisy_labels",
    "rows_shown",
    "split_identities",
]
