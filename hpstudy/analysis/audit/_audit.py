"""The audit of a study: what its trials say of CosFace's bounds, NormFace's floor and AdaCos's rule."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import pandas as pd

from hpstudy.analysis._account import ReadTrial, nothing_kept, read
from hpstudy.analysis._arms import scale_of, sets_own_scale
from hpstudy.analysis._metrics import metric_name
from hpstudy.analysis.audit._below_bound import below_bound
from hpstudy.analysis.audit._best_scales import best_scales
from hpstudy.analysis.audit._convergence import convergence, convergence_fit, convergence_shares, unjudged_findings
from hpstudy.analysis.audit._joint import joint_audit, joint_findings, joint_reach
from hpstudy.analysis.audit._loss_floor import floor_findings, loss_floor
from hpstudy.analysis.audit._margin_audit import margin_curve, margin_drops, margin_points
from hpstudy.analysis.audit._margin_findings import margin_findings
from hpstudy.analysis.audit._margin_scores import margin_score_findings, margin_scores
from hpstudy.analysis.audit._plane_findings import plane_findings, plane_spread
from hpstudy.analysis.audit._planes import Plane, loss_reads_norm
from hpstudy.analysis.audit._premise_findings import premise_findings
from hpstudy.analysis.audit._premises import adacos_premises, premise_courses
from hpstudy.analysis.audit._scale_audit import LISTED, scale_audit
from hpstudy.analysis.audit._scale_findings import scale_findings
from hpstudy.analysis.audit._self_check import self_checks
from hpstudy.analysis.audit._stability import stability_agreement, stability_map
from hpstudy.analysis.audit._stability_findings import stability_findings

_SEVERAL = 3
"""Points that make a sweep: of fewer nothing can be said of what happens between them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What the trials say about one topic."""

    topic: str
    """`planes`, `joint`, `margin`, `stability`, `scale`, `floor` or `premises`."""
    title: str
    sentences: tuple[str, ...]


class Audit:
    """Frames and findings of the audit of one study, each computed once and when it is first asked for.

    A topic is there if the trials can inform it: sweeps of s and of m, grids of both, recorded losses, dynamic AdaCos
    rules, trajectories of AdaCos, features in the plane.

    Args:
        trials: The record.
        metric: Column of the score.
        epochs: Reads the epochs of a trial.
        trajectory: Reads the steps of a trial.
        plane: Reads where a trial's samples and prototypes lie, if it has two dimensions.
    """

    def __init__(
        self,
        trials: pd.DataFrame,
        metric: str,
        *,
        epochs: ReadTrial = nothing_kept,
        trajectory: ReadTrial = nothing_kept,
        plane: ReadTrial = nothing_kept,
    ) -> None:
        self.trials = trials
        self.metric = metric
        self._epochs = epochs
        # Both frames of the premises read the same trials.
        self._trajectory = cache(lambda trial_id: read(trajectory, trial_id))
        self._plane = plane

    @cached_property
    def checks(self) -> pd.DataFrame:
        """`self_checks`: laws that no trial can break."""
        return self_checks(self.trials)

    @property
    def broken(self) -> list[str]:
        """The laws that some trial broke, which means that something was measured wrongly."""
        return self.checks.loc[self.checks["held"] == "no", "rule"].to_list()

    # The bound on s

    @cached_property
    def scales(self) -> pd.DataFrame:
        """`scale_audit`; empty unless some condition lists three scales."""
        found = scale_audit(self.trials, self._epochs, self.metric)
        listed = found[found["kind"] == LISTED]
        most = listed.groupby("condition")["s"].nunique().max() if len(listed) else 0
        return found if most >= _SEVERAL else found.head(0)

    @cached_property
    def _converged(self) -> pd.DataFrame:
        listed = self.trials[self.trials["phase"] == "grid"]
        return convergence(listed, self._epochs)

    @cached_property
    def fits(self) -> pd.DataFrame:
        """`convergence_fit`."""
        return convergence_fit(self._converged)

    @cached_property
    def shares(self) -> pd.DataFrame:
        """`convergence_shares`."""
        return convergence_shares(self._converged)

    @cached_property
    def below(self) -> pd.DataFrame:
        """`below_bound`."""
        return below_bound(self._converged)

    @cached_property
    def best(self) -> pd.DataFrame:
        """`best_scales`."""
        return best_scales(self.scales, self.trials, self.metric)

    # The bound on m

    @cached_property
    def margins(self) -> pd.DataFrame:
        """`margin_points`."""
        return margin_points(self.trials)

    @cached_property
    def curve(self) -> pd.DataFrame:
        """`margin_curve`."""
        return margin_curve(self.trials)

    @cached_property
    def drops(self) -> pd.DataFrame:
        """`margin_drops` of grids in which the margin alone varied."""
        found = margin_drops(self.trials[self.trials["phase"] == "grid"])
        alone = found.groupby(["condition", "arm"])["s"].transform("nunique") <= 1
        return found[alone].reset_index(drop=True)

    @cached_property
    def margin_scores(self) -> pd.DataFrame:
        """`margin_scores` of the lists of `drops`."""
        lists = self.margins.merge(self.drops[["condition", "arm"]].drop_duplicates(), on=["condition", "arm"])
        return margin_scores(self.trials, lists, self.metric)

    # Both, and the loss

    @cached_property
    def joint(self) -> pd.DataFrame:
        """`joint_audit`."""
        return joint_audit(self.trials)

    @cached_property
    def reach(self) -> pd.DataFrame:
        """`joint_reach`."""
        return joint_reach(self.joint)

    @property
    def has_joint_grid(self) -> bool:
        """Whether some arm lists several scales and several margins together."""
        grids = self.trials[self.trials["phase"] == "grid"]
        counts = grids.groupby(["condition", "arm"])[["s", "m"]].nunique()
        return bool(len(self.joint)) and bool(((counts["s"] > 1) & (counts["m"] > 1)).any())

    @cached_property
    def floor(self) -> pd.DataFrame:
        """`loss_floor`."""
        return loss_floor(self.trials)

    @property
    def has_floor(self) -> bool:
        """Whether trials show the floor over given scales, or under a long tail; else it is a law among others."""
        known = self.floor[self.floor["floor"].notna()] if "floor" in self.floor else self.floor
        if known.empty:
            return False
        given = ~known["loss"].map(lambda loss: sets_own_scale(str(loss))).astype(bool)
        without = (known["m"].fillna(0.0) == 0.0) | (known["kind"] == "factor") & (known["m"] == 1.0)
        plain = known[given & without]
        scales = plain["s"].round(2).groupby(plain["condition"]).nunique()
        return bool((scales >= _SEVERAL).any()) or bool((known["imbalance"] > 1).any())

    # AdaCos

    @cached_property
    def stability(self) -> pd.DataFrame:
        """`stability_map`; empty unless classes and dimensions both vary, so that there is a region to tell."""
        found = stability_map(self.trials)
        varied = found[["num_classes", "embedding_dim"]].nunique()
        return found if (varied > 1).all() else found.head(0)

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """`stability_agreement`."""
        return stability_agreement(self.stability)

    @cached_property
    def premises(self) -> pd.DataFrame:
        """`adacos_premises`; empty unless the study has an AdaCos arm and trajectories."""
        found = adacos_premises(self._with_adacos, self._trajectory)
        return found[found["nontarget_end"].notna()].reset_index(drop=True)

    @cached_property
    def courses(self) -> pd.DataFrame:
        """`premise_courses`."""
        return premise_courses(self._with_adacos, self._trajectory)

    def _of_adacos(self, premises: pd.DataFrame) -> pd.DataFrame:
        """Rows of arms whose scale is one of AdaCos's; how other scales fare by its premises is in table and figure."""
        losses = self.trials.drop_duplicates("arm").set_index("arm")["loss"]
        own = [arm for arm, loss in losses.items() if scale_of(str(loss)).startswith("adacos")]
        return premises[premises["arm"].isin(own)]

    @property
    def _with_adacos(self) -> pd.DataFrame:
        """Trials of losses of cosines if AdaCos is among them, else none: the premises are its own.

        Without the grids of arms that list several points, whose scales and margins are too different for a median.
        """
        losses = [str(loss) for loss in self.trials["loss"].unique()] if len(self.trials) else []
        if not any(scale_of(loss).startswith("adacos") for loss in losses):
            return self.trials.head(0)
        of_cosines = [loss for loss in losses if not loss_reads_norm(loss)]
        grid = self.trials[self.trials["phase"] == "grid"]
        points = grid.groupby(["condition", "arm"])["number"].transform("nunique")
        swept = self.trials.index.isin(points.index[points > 1])
        return self.trials[self.trials["loss"].isin(of_cosines) & ~swept]

    @cached_property
    def planes(self) -> list[Plane]:
        """The first completed trial of each arm in each condition with two dimensions, confirm trials first."""
        flat = self.trials[(self.trials["embedding_dim"] == 2) & (self.trials["status"] == "completed")]
        flat = flat.assign(last=flat["phase"] != "confirm").sort_values(["last", "seed", "number"], kind="stable")
        found = []
        for _, row in flat.drop_duplicates(["condition", "arm"]).sort_index().iterrows():
            points = read(self._plane, str(row["trial_id"]))
            if points.empty:
                continue
            is_prototype = points["prototype"].astype(bool)
            found.append(
                Plane(
                    condition=str(row["condition"]),
                    arm=str(row["arm"]),
                    loss=str(row["loss"]),
                    s=float(row.get("geometry/final_s", row["s"])),
                    m=float(row["m"]),
                    num_classes=int(row["num_classes"]),
                    samples=points.loc[~is_prototype, ["x", "y", "label"]].reset_index(drop=True),
                    prototypes=points.loc[is_prototype, ["x", "y", "label"]].reset_index(drop=True),
                    accuracy=float(row.get("geometry/train_accuracy", float("nan"))),
                )
            )
        return found

    @property
    def shows_planes(self) -> bool:
        """Whether the study is about features in the plane: several arms in one condition, a point each.

        Sweeps in the plane would fill pages with pictures of one arm at its first point.
        """
        flat = self.planes
        points = self.trials.groupby(["condition", "arm"])["number"].nunique()
        return len(flat) >= _SEVERAL and len({plane.condition for plane in flat}) == 1 and int(points.max()) == 1

    @cached_property
    def spread(self) -> pd.DataFrame:
        """`plane_spread` of the pictures."""
        return plane_spread(self.planes)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the trials say, topic by topic; topics that they can't inform are left out."""
        said = [
            Finding(topic=topic, title=title, sentences=tuple(sentences()))
            for topic, title, there, sentences in self._topics()
            if there
        ]
        return tuple(finding for finding in said if finding.sentences)

    def _topics(self) -> list[tuple[str, str, bool, Callable[[], list[str]]]]:
        """Topics with what says it, the most particular first: what few studies can inform is what one was made for."""
        name = metric_name(self.metric)
        floor = ("floor", "NormFace’s floor of the loss", self.has_floor, lambda: floor_findings(self.floor))
        tailed = "imbalance" in self.floor and self.floor["imbalance"].nunique() > 1
        return [
            ("planes", "Features in the plane", self.shows_planes, lambda: plane_findings(self.spread)),
            ("joint", "s and m together", self.has_joint_grid, lambda: joint_findings(self.joint)),
            (
                "margin",
                "CosFace’s bound on m",
                len(self.drops) > 0,
                lambda: [*margin_findings(self.drops), *margin_score_findings(self.margin_scores, name)],
            ),
            *([floor] if tailed else []),
            (
                "scale",
                "CosFace’s bound on s",
                len(self.scales) > 0,
                lambda: [
                    *scale_findings(self.scales, self.best, self.fits, self.below, name),
                    *unjudged_findings(self.trials),
                ],
            ),
            (
                "stability",
                "Where dynamic AdaCos runs away",
                len(self.stability) > 0,
                lambda: stability_findings(self.stability, self.agreement),
            ),
            (
                "premises",
                "What AdaCos takes for granted",
                len(self.premises) > 0,
                lambda: premise_findings(self._of_adacos(self.premises)),
            ),
            *([] if tailed else [floor]),
        ]
