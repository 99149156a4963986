"""Conformance suites for tests: a new or a user's own loss is tested by a subclass and one fixture. Needs pytest."""

from hpstudy.testing._batches import batch_at_angles, batch_with_cosines, random_batch
from hpstudy.testing._cosine_head_suite import CosineHeadSuite, NormInvariantSuite
from hpstudy.testing._head_suite import BuildHead, CrossEntropySuite, HeadSuite, assert_finite_backward
from hpstudy.testing._margin_suite import AnyMarginSuite, MarginSuite

__all__ = [
    "AnyMarginSuite",
    "BuildHead",
    "CosineHeadSuite",
    "CrossEntropySuite",
    "HeadSuite",
    "MarginSuite",
    "NormInvariantSuite",
    "assert_finite_backward",
    "batch_at_angles",
    "batch_with_cosines",
    "random_batch",
]
