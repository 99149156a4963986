"""Images with identities: sources, identity-disjoint splits, capture conditions and the order of batches."""

from hpstudy.data._batches import batches
from hpstudy.data._capture import augment, capture, normalise
from hpstudy.data._dataset import Dataset, Split, Splits, split_identities
from hpstudy.data._load import SOURCES, load_dataset

__all__ = [
    "SOURCES",
    "Dataset",
    "Split",
    "Splits",
    "augment",
    "batches",
    "capture",
    "load_dataset",
    "normalise",
    "split_identities",
]
