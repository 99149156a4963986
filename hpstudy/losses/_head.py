"""The head: normalise, margin, scale, cross-entropy. Shapes: N samples, C classes, K embedding dimensions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.exceptions import InputError
from hpstudy.losses._cosines import Cosines, batch_cosines
from hpstudy.losses._output import HeadOutput
from hpstudy.losses._statistics import nontarget_log_sum_exp, step_statistics, target_angles
from hpstudy.losses.margins import Margin
from hpstudy.losses.scales import Scale, TargetStatistics


class CosineHead(nn.Module):
    """Softmax cross-entropy over scaled cosines with a margin on the target.

    With ψ_i the margined target cosine and log B_i = log Σ_{j≠y} e^{s cos θ_j}, the loss of a sample is
    −log(e^{sψ_i}/(e^{sψ_i} + B_i)) = −log σ(s·ψ_i − log B_i), which is the cross-entropy of `out.logits` exactly and
    needs one N×C buffer beside the cosines.

    Everything is computed in float32 or better whatever the autocast, without synchronising with the device. A forward
    pass in training mode steps an adaptive scale; in eval mode the scale is frozen. Nothing else is mutated.

    Args:
        margin: What happens to the target cosine; owned by the head from here on.
        scale: Where s comes from; owned by the head from here on.
        num_classes: C ≥ 2.
        embedding_dim: K ≥ 1.
        generator: Source of the initial prototypes: normal with variance 1/K, so that their directions are uniform and
            their norms near 1 (the gradient of a prototype falls with its norm). None draws from torch's global one.

    Raises:
        InputError: If C or K is too small.
    """

    def __init__(
        self,
        margin: Margin,
        scale: Scale,
        *,
        num_classes: int,
        embedding_dim: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        check_size(num_classes, embedding_dim)
        self.margin = margin
        self.scale = scale
        self.weight = nn.Parameter(
            torch.randn(
                num_classes,
                embedding_dim,
                generator=generator,
                device=None if generator is None else generator.device,
            )
            * embedding_dim**-0.5
        )

    @property
    def num_classes(self) -> int:
        """C."""
        return self.weight.shape[0]

    @property
    def embedding_dim(self) -> int:
        """K."""
        return self.weight.shape[1]

    def forward(self, embeddings: Tensor, labels: Tensor) -> HeadOutput:
        """Loss and record of a batch.

        Args:
            embeddings: (N, K), N ≥ 1, any norm, any floating type. A zero row has cosine 0 with every class.
            labels: (N,) int64 in [0, C). The range is checked on the CPU only: elsewhere it would synchronise.

        Raises:
            InputError: If a shape, a type or a label does not fit.
        """
        check_batch(embeddings, labels, num_classes=self.num_classes, embedding_dim=self.embedding_dim)
        with torch.autocast(embeddings.device.type, enabled=False):
            return self._output(batch_cosines(embeddings, self.weight, labels))

    def _output(self, cosines: Cosines) -> HeadOutput:
        target_N, nontarget_NC = self.margin(cosines)
        theta_target_N = target_angles(cosines)
        s = self.scale.value.to(cosines.all_NC.dtype, copy=True)  # the buffer changes before a late backward
        steps = self.training and self.scale.adaptive
        if steps:
            with torch.no_grad():
                log_b_before_N = nontarget_log_sum_exp(cosines.all_NC, cosines.labels_N, s)
                batch = TargetStatistics(theta_target_N=theta_target_N, log_b_N=log_b_before_N)
                s = self.scale.step(batch).to(cosines.all_NC.dtype, copy=True)
        log_b_N = nontarget_log_sum_exp(cosines.all_NC, cosines.labels_N, s)
        changed = nontarget_NC is not cosines.all_NC
        log_b_margined_N = nontarget_log_sum_exp(nontarget_NC, cosines.labels_N, s) if changed else log_b_N
        return HeadOutput(
            loss=-F.logsigmoid(s * target_N - log_b_margined_N).mean(),
            statistics=step_statistics(
                cosines,
                s=s,
                log_b_N=log_b_N.detach(),
                log_b_before_N=log_b_before_N if steps else log_b_N.detach(),
                theta_target_N=theta_target_N,
            ),
            cosines=cosines.all_NC.detach(),
            compute_logits=lambda: s * nontarget_NC.scatter(1, cosines.labels_N[:, None], target_N[:, None]),
        )


def check_size(num_classes: int, embedding_dim: int) -> None:
    """Refuse a head without a choice or without a space.

    Raises:
        InputError: If C < 2 or K < 1.
    """
    if num_classes < 2:
        raise InputError(
            f"num_classes must be at least 2, but got {num_classes}: one class leaves nothing to tell apart"
        )
    if embedding_dim < 1:
        raise InputError(f"embedding_dim must be at least 1, but got {embedding_dim}")


def check_batch(embeddings: Tensor, labels: Tensor, *, num_classes: int, embedding_dim: int) -> None:
    """Refuse a batch that does not fit the head; label values are looked at on the CPU only.

    Raises:
        InputError: If a shape, a type or a label does not fit.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] != embedding_dim or not len(embeddings):
        raise InputError(f"embeddings must have shape (N, {embedding_dim}), N ≥ 1, but got {tuple(embeddings.shape)}")
    if not embeddings.is_floating_point():
        raise InputError(f"embeddings must be of a floating type, but got {embeddings.dtype}")
    if labels.shape != embeddings.shape[:1]:
        raise InputError(
            f"labels must have shape ({len(embeddings)},) like the embeddings, but got {tuple(labels.shape)}"
        )
    if labels.dtype != torch.int64:
        raise InputError(f"labels must be int64, but got {labels.dtype}; convert with labels.long()")
    if labels.device.type == "cpu":
        lowest, highest = (int(bound) for bound in labels.aminmax())
        if lowest < 0 or highest >= num_classes:
            raise InputError(f"labels must lie in [0, {num_classes}), but got values from {lowest} to {highest}")
