"""`python -m hpstudy.testing` as somebody with a loss of their own runs it."""

import subprocess
import sys
from pathlib import Path

GOOD = """
import torch
from torch import nn
from hpstudy.losses import HeadOutput, batch_cosines, head_statistics


class Tempered(nn.Module):
    def __init__(self, num_classes, embedding_dim, temperature=0.1):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_classes, embedding_dim))
        self.temperature = temperature

    def forward(self, embeddings, labels):
        with torch.autocast("cpu", enabled=False):
            cosines = batch_cosines(embeddings, self.weight)
            logits = cosines / self.temperature
            return HeadOutput(
                loss=nn.functional.cross_entropy(logits, labels),
                statistics=head_statistics(cosines.detach(), labels, torch.tensor(1 / self.temperature)),
                cosine_blocks=lambda: [cosines.detach()],
                compute_logits=lambda: logits,
            )


class Forgetful(Tempered):
    def __init__(self, num_classes, embedding_dim):
        super().__init__(num_classes, embedding_dim)
        self.count = 0

    def forward(self, embeddings, labels):
        self.count += 1  # lost on resume
        out = super().forward(embeddings, labels)
        return HeadOutput(
            loss=out.loss + 0.1 * self.count,
            statistics=out.statistics,
            cosine_blocks=out.cosine_blocks,
            compute_logits=out.compute_logits,
        )
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "their_losses.py").write_text(GOOD, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "hpstudy.testing", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_loss_that_keeps_its_promises_passes(tmp_path: Path) -> None:
    done = run(tmp_path, "their_losses:Tempered", "temperature=0.2")
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_a_loss_that_forgets_its_state_is_told_so(tmp_path: Path) -> None:
    done = run(tmp_path, "their_losses:Forgetful")
    assert done.returncode == 1
    assert "test_state_dict_restores_everything" in done.stdout


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "their_losses:Temperd")
    assert done.returncode == 2
    assert "'their_losses' has no 'Temperd'" in done.stderr
    assert run(tmp_path).stderr.startswith("usage: python -m hpstudy.testing LOSS")
