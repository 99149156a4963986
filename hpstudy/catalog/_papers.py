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
AM_SOFTMAX = Paper(
    title="Additive Margin Softmax for Face Verification",
    authors="Wang et al.",
    venue="IEEE Signal Processing Letters",
    year=2018,
    arxiv="1801.05599",
)
L2_SOFTMAX = Paper(
    title="L2-constrained Softmax Loss for Discriminative Face Verification",
    authors="Ranjan, Castillo, Chellappa",
    venue="technical report",
    year=2017,
    arxiv="1703.09507",
)
SPHEREFACE_R = Paper(
    title="SphereFace Revived: Unifying Hyperspherical Face Recognition",
    authors="Liu et al.",
    venue="IEEE TPAMI",
    year=2022,
    arxiv="2109.05565",
)
SPHEREFACE2 = Paper(
    title="SphereFace2: Binary Classification is All You Need for Deep Face Recognition",
    authors="Wen et al.",
    venue="ICLR",
    year=2022,
    arxiv="2108.01513",
)
ADAFACE = Paper(
    title="AdaFace: Quality Adaptive Margin for Face Recognition",
    authors="Kim, Jain, Liu",
    venue="CVPR",
    year=2022,
    arxiv="2204.00964",
)
MAGFACE = Paper(
    title="MagFace: A Universal Representation for Face Recognition and Quality Assessment",
    authors="Meng, Zhao, Huang, Zhou",
    venue="CVPR",
    year=2021,
    arxiv="2103.06627",
)
CURRICULARFACE = Paper(
    title="CurricularFace: Adaptive Curriculum Learning Loss for Deep Face Recognition",
    authors="Huang et al.",
    venue="CVPR",
    year=2020,
    arxiv="2004.00288",
)
MV_SOFTMAX = Paper(
    title="Mis-classified Vector Guided Softmax Loss for Face Recognition",
    authors="Wang et al.",
    venue="AAAI",
    year=2020,
    arxiv="1912.00833",
)
CIRCLE = Paper(
    title="Circle Loss: A Unified Perspective of Pair Similarity Optimization",
    authors="Sun et al.",
    venue="CVPR",
    year=2020,
    arxiv="2002.10857",
)
P2SGRAD = Paper(
    title="P2SGrad: Refined Gradients for Optimizing Deep Face Models",
    authors="Zhang et al.",
    venue="CVPR",
    year=2019,
    arxiv="1905.02479",
)
CLIP = Paper(
    title="Learning Transferable Visual Models From Natural Language Supervision",
    authors="Radford et al.",
    venue="ICML",
    year=2021,
    arxiv="2103.00020",
)
