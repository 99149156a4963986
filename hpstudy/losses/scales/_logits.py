"""What a scale makes of cosines. Shapes: N samples, C classes, B classes of a block."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class ScaledLogits:
    """z_ij = s·ψ_ij, with one s for all or one for each sample."""

    s: Tensor
    """0-d, or (N, 1)."""

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What `of_block` takes beside the cosines; they may carry a gradient."""
        return (self.s,)

    @property
    def s_N(self) -> Tensor:
        """s of each sample, (N,) or 0-d."""
        return self.s.squeeze(-1) if self.s.ndim else self.s

    def of_block(self, psi_NB: Tensor, classes: slice, *tensors: Tensor) -> Tensor:
        """Logits of a block of classes from margined cosines, with `tensors` in place of this object's own."""
        del classes
        return psi_NB * tensors[0]

    def of_targets(self, psi_N: Tensor) -> Tensor:
        """Logits of the targets, (N,)."""
        return psi_N * self.s_N


@dataclass(frozen=True, kw_only=True, slots=True)
class AffineLogits(ScaledLogits):
    """z_ij = s_i·g_j·ψ_ij + b_j: prototypes that keep their norms g_j, and biases b_j."""

    gain_C: Tensor
    bias_C: Tensor
    gain_target_N: Tensor
    """g_y, also where the target's prototype is on another rank."""
    bias_target_N: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.s, self.gain_C, self.bias_C)

    def of_block(self, psi_NB: Tensor, classes: slice, *tensors: Tensor) -> Tensor:
        s, gain_C, bias_C = tensors
        return psi_NB * s * gain_C[classes] + bias_C[classes]

    def of_targets(self, psi_N: Tensor) -> Tensor:
        return psi_N * self.s_N * self.gain_target_N + self.bias_target_N
