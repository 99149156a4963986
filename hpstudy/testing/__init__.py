"""Conformance suites for tests: a new or a user's own loss is tested by a subclass and one fixture. Needs pytest."""

from hpstudy.testing._batches import batch_at_angles, batch_with_cosines, random_batch
from hpstudy.testing._cosine_head_suite import CosineHeadSuite
from hpstudy.testing._head_suite import BuildHead, HeadSuite
from hpstudy.testing._margin_suite import MarginSuite

__all__ = [
    "BuildHead",
    "CosineHeadSuite",
    "HeadSuite",
    "MarginSuite",
    "batch_at_angles",
    "batch_with_cosines",
    "random_batch",
]
