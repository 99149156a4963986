"""The head: normalise, margin, scale, cross-entropy. Shapes: N samples, C classes, K embedding dimensions."""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpstudy.exceptions import InputError
from hpstudy.losses._checks import check_batch, check_size
from hpstudy.losses._class_product import ClassProduct
from hpstudy.losses._cosines import Targets, common_dtype, unit_rows
from hpstudy.losses._nontargets import LogSumExp, NontargetSum, measure, with_gradient
from hpstudy.losses._output import HeadOutput
from hpstudy.losses._parallel import OneProcess, Parallel
from hpstudy.losses._prototypes import initial_prototypes
from hpstudy.losses._statistics import COSINE_SUM, SQUARE_SUM, SampleRecord, target_angles
from hpstudy.losses.criteria import Criterion, CriterionBatch
from hpstudy.losses.margins import Margin, NoMargin
from hpstudy.losses.scales import FixedScale, Prototypes, Scale, ScaledLogits, TargetStatistics

_OWN_TERMS = {"softmax", "penalty"}


class CosineHead(nn.Module):
    """Softmax cross-entropy over scaled cosines with a margin on the target, and regularisers.

    With z_y = s·ψ_i the margined target logit and log B_i = log Σ_{j≠y} e^{z_j}, the loss of a sample is
    −log(e^{z_y}/(e^{z_y} + B_i)) = −log σ(z_y − log B_i), which is the cross-entropy of `out.logits` exactly. The sum
    over classes and its gradient go block by block: beside the kept cosines nothing of size N×C exists.

    Everything is computed in float32 or better whatever the autocast, without synchronising with the device. A forward
    pass in training mode steps an adaptive margin or scale; in eval mode they are frozen. Nothing else is mutated.

    Args:
        margin: What happens to the target cosine; owned by the head from here on.
        scale: Where s comes from; owned by the head from here on.
        num_classes: C ≥ 2.
        embedding_dim: K ≥ 1.
        regularisers: Criteria by name with their weights, added to the loss.
        generator: Source of the initial prototypes: normal with variance 1/K. None draws from torch's global one.
        classes_at_once: None keeps the N×C cosines for the backward pass. A number keeps none of them and computes
            those of so many classes at a time, forward and again backward, so that the peak memory does not grow with C
            beyond the prototypes and their gradient.
        parallel: Where the rest of the batch and the classes are; None is one process.

    Raises:
        InputError: If C or K is too small, or `classes_at_once` is not positive.
    """

    def __init__(
        self,
        margin: Margin,
        scale: Scale,
        *,
        num_classes: int,
        embedding_dim: int,
        regularisers: Mapping[str, tuple[float, Criterion]] | None = None,
        generator: torch.Generator | None = None,
        classes_at_once: int | None = None,
        parallel: Parallel | None = None,
    ) -> None:
        super().__init__()
        check_size(num_classes, embedding_dim, classes_at_once)
        for name in _OWN_TERMS & set(regularisers or {}):
            raise InputError(f"a regulariser cannot be named {name!r}: that is a term of the head's own")
        self.margin = margin
        self.scale = scale
        self.criteria = nn.ModuleDict({name: criterion for name, (_, criterion) in (regularisers or {}).items()})
        self.criterion_weights = {name: weight for name, (weight, _) in (regularisers or {}).items()}
        self.num_classes = num_classes
        self.classes_at_once = classes_at_once
        self.parallel = parallel or OneProcess()
        self.classes = self.parallel.classes(num_classes)
        self.weight = nn.Parameter(initial_prototypes(self.classes, num_classes, embedding_dim, generator))

    @property
    def embedding_dim(self) -> int:
        """K."""
        return self.weight.shape[1]

    def forward(self, embeddings: Tensor, labels: Tensor) -> HeadOutput:
        """Loss and record of a batch.

        Args:
            embeddings: (N, K), N ≥ 1, any norm, any floating type. A zero row has cosine 0 with every class.
            labels: (N,) int64 in [0, C). Others are refused on the CPU and make the loss NaN elsewhere, where a look
                at them would synchronise.

        Raises:
            InputError: If a shape, a type or a label does not fit.
        """
        check_batch(embeddings, labels, num_classes=self.num_classes, embedding_dim=self.embedding_dim)
        with torch.autocast(embeddings.device.type, enabled=False):
            return self._output(self._batch(embeddings, labels))

    def _batch(self, embeddings: Tensor, labels: Tensor) -> "_Batch":
        unit_NK, norm_N = unit_rows(embeddings.to(common_dtype(embeddings, self.weight)))
        meeting_NK = self.parallel.batch_for_classes(unit_NK)
        labels = self.parallel.batch(labels)
        here_N = labels - self.classes.start
        product = ClassProduct(meeting_NK.detach(), self.weight.detach(), here_N, classes_at_once=self.classes_at_once)
        return _Batch(
            product=product,
            meeting_NK=meeting_NK,
            unit_NK=self.parallel.batch(unit_NK) if self.criteria else meeting_NK,
            norm_N=self.parallel.batch(norm_N),
            label_N=labels,
            here_N=here_N,
            cos_N=self._of_known_classes(self.parallel.total(product.target_cosines()), labels),
        )

    def _of_known_classes(self, cos_N: Tensor, labels: Tensor) -> Tensor:
        """NaN where a label is out of range, which only the CPU can refuse without synchronising."""
        if labels.device.type == "cpu":
            return cos_N
        return torch.where((labels >= 0) & (labels < self.num_classes), cos_N, torch.nan)

    def _output(self, batch: "_Batch") -> HeadOutput:
        if self.training and self.margin.adaptive:
            cos_G, norm_G = self.parallel.gathered(batch.cos_N, batch.norm_N.detach())
            self.margin.step(Targets(cos_N=cos_G, norm_N=norm_G))
        logits, log_b_before_N = self._scaled(batch)
        nontarget = self.margin.nontarget(Targets(cos_N=batch.cos_N, norm_N=batch.norm_N.detach()))
        log_b = _log_b(logits)
        main = self._main_sum(log_b, logits, nontarget)
        of_criteria = {name: criterion.sums() for name, criterion in self._criteria()}
        graded = [*main, *(each for sums in of_criteria.values() for each in sums)]
        measured = list(dict.fromkeys([log_b, COSINE_SUM, SQUARE_SUM, *graded]))
        values = dict(zip(measured, measure(batch.product, measured, batch.cos_N, self.parallel), strict=True))
        cos_N, with_grad = with_gradient(
            batch.product,
            graded,
            values=[values[each] for each in graded],
            target_N=batch.cos_N,
            unit_NK=batch.meeting_NK,
            weight_CK=self.weight,
            parallel=self.parallel,
        )
        targets = Targets(cos_N=cos_N, norm_N=batch.norm_N)
        psi_N = self.margin(targets)
        sums = dict(zip(graded, with_grad, strict=True))
        terms = self._main_terms(targets, logits.of_targets(psi_N), [sums[each] for each in main])
        seen = self._criterion_batch(batch, cos_N)
        for name, criterion in self._criteria():
            terms[name] = self.criterion_weights[name] * criterion(seen, [sums[each] for each in of_criteria[name]])
        record = SampleRecord(
            theta_target=target_angles(batch.cos_N),
            s=logits.s_N.detach(),
            log_odds=(logits.of_targets(batch.cos_N) - values[log_b]).detach(),
            log_b_before=values[log_b] if log_b_before_N is None else log_b_before_N,
            cosine_sum=values[COSINE_SUM],
            square_sum=values[SQUARE_SUM],
        )
        return HeadOutput(
            loss=functools.reduce(operator.add, terms.values()),
            statistics=record.gathered(self.parallel).statistics(self.num_classes),
            cosine_blocks=batch.product.cosine_blocks,
            compute_logits=lambda: self._logits(batch, logits, psi_N, nontarget),
            terms={name: term.detach() for name, term in terms.items()},
        )

    def _scaled(self, batch: "_Batch") -> tuple[ScaledLogits, Tensor | None]:
        """The scale for this batch, and log B_i before it was stepped; None if it was not."""
        prototypes = Prototypes(weight_CK=self.weight, label_N=batch.here_N, parallel=self.parallel)
        logits = self.scale(batch.norm_N, prototypes)
        if not (self.training and self.scale.adaptive):
            return logits, None
        (log_b_N,) = measure(batch.product, [_log_b(logits)], batch.cos_N, self.parallel)
        with torch.no_grad():
            theta_G, log_b_G = self.parallel.gathered(target_angles(batch.cos_N), log_b_N)
            self.scale.step(TargetStatistics(theta_target_N=theta_G, log_b_N=log_b_G))
        return self.scale(batch.norm_N, prototypes), log_b_N

    def _main_sum(
        self, log_b: LogSumExp, logits: ScaledLogits, nontarget: Callable[[Tensor], Tensor]
    ) -> tuple[NontargetSum, ...]:
        """log B_i as the loss has it, with whatever the margin makes of non-targets."""
        if not self.margin.moves_nontargets:
            return (log_b,)

        def margined(cos_NB: Tensor, target_N1: Tensor, classes: slice, *tensors: Tensor) -> Tensor:
            del target_N1
            return logits.of_block(nontarget(cos_NB), classes, *tensors)

        return (LogSumExp(function=margined, inputs=logits.tensors),)

    def _main_terms(self, targets: Targets, logit_N: Tensor, sums: Sequence[Tensor]) -> dict[str, Tensor]:
        """The softmax term, and the margin's own if it has one."""
        terms = {"softmax": -F.logsigmoid(logit_N - sums[0]).mean()}
        penalty = self.margin.penalty(targets)
        return terms if penalty is None else {**terms, "penalty": penalty}

    def _criterion_batch(self, batch: "_Batch", cos_N: Tensor) -> CriterionBatch:
        return CriterionBatch(
            cos_target_N=cos_N,
            unit_NK=batch.unit_NK,
            label_N=batch.label_N,
            weight_CK=self.weight,
            label_here_N=batch.here_N,
            num_classes=self.num_classes,
            classes_at_once=self.classes_at_once,
            parallel=self.parallel,
        )

    def _criteria(self) -> list[tuple[str, Criterion]]:
        return [(name, cast(Criterion, criterion)) for name, criterion in self.criteria.items()]

    def _logits(
        self, batch: "_Batch", logits: ScaledLogits, psi_N: Tensor, nontarget: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """The logits of this rank's classes at once, (N, C), with gradient."""
        batch.product.check_unmoved()
        with torch.autocast(batch.meeting_NK.device.type, enabled=False):
            cos_NC = batch.meeting_NK @ unit_rows(self.weight.to(batch.meeting_NK.dtype))[0].T
            column_N1 = batch.here_N.clamp(0, cos_NC.shape[1] - 1)[:, None]
            is_own_N1 = column_N1 == batch.here_N[:, None]
            psi_NC = nontarget(cos_NC)
            psi_NC = psi_NC.scatter(1, column_N1, torch.where(is_own_N1, psi_N[:, None], psi_NC.gather(1, column_N1)))
            return logits.of_block(psi_NC, slice(None), *logits.tensors)

    def extra_repr(self) -> str:
        """C and K."""
        return f"num_classes={self.num_classes}, embedding_dim={self.embedding_dim}"


class CriterionHead(CosineHead):
    """A criterion alone: a loss of the cosines without softmax, margin or search for s.

    The record is that of a head without a margin at the criterion's own s, which is 1 where it takes the cosines as
    they are; `out.logits` are s·cos θ_j.

    Args:
        criterion: The loss; owned by the head from here on.
        num_classes: C ≥ 2.
        embedding_dim: K ≥ 1.
        regularisers: As of `CosineHead`.
        generator: As of `CosineHead`.
        classes_at_once: As of `CosineHead`.
        parallel: As of `CosineHead`.

    Raises:
        InputError: If C or K is too small, `classes_at_once` is not positive, or a regulariser has the loss's name.
    """

    def __init__(
        self,
        criterion: Criterion,
        *,
        num_classes: int,
        embedding_dim: int,
        regularisers: Mapping[str, tuple[float, Criterion]] | None = None,
        generator: torch.Generator | None = None,
        classes_at_once: int | None = None,
        parallel: Parallel | None = None,
    ) -> None:
        name = criterion.name or "criterion"
        if name in (regularisers or {}):
            raise InputError(f"{name!r} is the loss itself and cannot be its own regulariser; choose another of those")
        super().__init__(
            NoMargin(),
            FixedScale(s=criterion.s),
            num_classes=num_classes,
            embedding_dim=embedding_dim,
            regularisers={name: (1.0, criterion), **(regularisers or {})},
            generator=generator,
            classes_at_once=classes_at_once,
            parallel=parallel,
        )

    def _main_sum(
        self, log_b: LogSumExp, logits: ScaledLogits, nontarget: Callable[[Tensor], Tensor]
    ) -> tuple[NontargetSum, ...]:
        del log_b, logits, nontarget
        return ()

    def _main_terms(self, targets: Targets, logit_N: Tensor, sums: Sequence[Tensor]) -> dict[str, Tensor]:
        del targets, logit_N, sums
        return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Batch:
    """The samples that the loss is taken over."""

    product: ClassProduct
    meeting_NK: Tensor
    """Their directions, for what meets the prototypes."""
    unit_NK: Tensor
    """Their directions, for everything else."""
    norm_N: Tensor
    label_N: Tensor
    here_N: Tensor
    """Labels as rows of this rank's prototypes."""
    cos_N: Tensor
    """cos θ_y, without gradient."""


def _log_b(logits: ScaledLogits) -> LogSumExp:
    """log B_i = log Σ_{j≠y} e^{z_j}, without a margin."""

    def scaled(cos_NB: Tensor, target_N1: Tensor, classes: slice, *tensors: Tensor) -> Tensor:
        del target_N1
        return logits.of_block(cos_NB, classes, *tensors)

    return LogSumExp(function=scaled, inputs=logits.tensors)
