"""Where the losses were published. An arXiv id stands only where it was checked against the title."""

from hpstudy.catalog._types import Paper

NORMFACE = Paper(
    title="NormFace: L2 Hypersphere Embedding for Face Verification",
    authors="Wang, Xiang, Cheng, Yuille",
    venue="ACM Multimedia",
    year=2017,
    arxiv="1704.06369",
)
COSFACE = Paper(
    title="CosFace: Large Margin Cosine Loss for Deep Face Recognition",
    authors="Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu",
    venue="CVPR",
    year=2018,
    arxiv="1801.09414",
)
ARCFACE = Paper(
    title="ArcFace: Additive Angular Margin Loss for Deep Face Recognition",
    authors="Deng, Guo, Xue, Zafeiriou",
    venue="CVPR",
    year=2019,
    arxiv="1801.07698",
)
SPHEREFACE = Paper(
    title="SphereFace: Deep Hypersphere Embedding for Face Recognition",
    authors="Liu, Wen, Yu, Li, Raj, Song",
    venue="CVPR",
    year=2017,
    arxiv="1704.08063",
)
ADACOS = Paper(
    title="AdaCos: Adaptively Scaling Cosine Logits for Effectively Learning Deep Face Representations",
    authors="Zhang, Zhao, Qiao, Wang, Li",
    venue="CVPR",
    year=2019,
    arxiv="1905.00292",
)
