"""Cosine-softmax losses as margin × scale.

A head is normalise → margin on the target cosine → scale → cross-entropy. Margins and scales are small objects of
their own, so that any margin goes with any scale; a named loss is a row of the catalogue that names one of each.

    head = build_head("cosface", num_classes=C, embedding_dim=K, s=30.0, m=0.35)
    out = head(embeddings, labels)
    out.loss.backward()
"""

from hpstudy.losses._cosines import Targets, batch_cosines
from hpstudy.losses._head import CosineHead, CriterionHead
from hpstudy.losses._nontargets import LogSumExp, NontargetSum, PlainSum
from hpstudy.losses._output import Head, HeadOutput
from hpstudy.losses._parallel import ClassShards, DataParallel, OneProcess, Parallel
from hpstudy.losses._registry import (
    CRITERION_CLASSES,
    MARGIN_CLASSES,
    SCALE_CLASSES,
    HeadOptions,
    build_head,
    build_head_from_criterion,
    build_head_from_parts,
)
from hpstudy.losses._statistics import STATISTICS, head_statistics
from hpstudy.losses.criteria import Criterion, CriterionBatch
from hpstudy.losses.margins import Margin, TargetMargin
from hpstudy.losses.scales import Scale, TargetStatistics

__all__ = [
    "CRITERION_CLASSES",
    "MARGIN_CLASSES",
    "SCALE_CLASSES",
    "STATISTICS",
    "ClassShards",
    "CosineHead",
    "Criterion",
    "CriterionBatch",
    "CriterionHead",
    "DataParallel",
    "Head",
    "HeadOptions",
    "HeadOutput",
    "LogSumExp",
    "Margin",
    "NontargetSum",
    "OneProcess",
    "Parallel",
    "PlainSum",
    "Scale",
    "TargetMargin",
    "TargetStatistics",
    "Targets",
    "batch_cosines",
    "build_head",
    "build_head_from_criterion",
    "build_head_from_parts",
    "head_statistics",
]
