"""The figures of one arm: where its search looked, and how its confirmed trials went."""

from dataclasses import replace

from hpstudy.reporting._evidence import Evidence
from hpstudy.reporting._histogram_figure import histogram_figure
from hpstudy.reporting._map_figure import map_figure, mapped_arms
from hpstudy.reporting._style import as_png, drawing
from hpstudy.reporting._trajectory_figure import trajectory_figure

_CONDITIONS = 4
"""Conditions that an arm has figures of; the report has them all."""


def arm_figures(evidence: Evidence) -> dict[str, dict[str, bytes]]:
    """PNGs of every arm by their paths below the artifacts of its run; an arm without anything to draw has none."""
    with drawing():
        return {
            arm: _trajectories(evidence, arm) | _angles(evidence, arm) | _maps(evidence, arm) for arm in evidence.kinds
        }


def _trajectories(evidence: Evidence, arm: str) -> dict[str, bytes]:
    courses = [
        replace(
            course,
            arms={arm: course.arms[arm]},
            chosen=course.chosen[course.chosen["arm"] == arm],
            crossings=course.crossings[course.crossings["arm"] == arm] if len(course.crossings) else course.crossings,
        )
        for course in evidence.courses[:_CONDITIONS]
        if arm in course.arms
    ]
    return {"figures/trajectories.png": as_png(trajectory_figure(courses, evidence.styles))} if courses else {}


def _angles(evidence: Evidence, arm: str) -> dict[str, bytes]:
    angles = evidence.angles[evidence.angles["arm"] == arm]
    angles = angles[angles["condition"].isin(evidence.conditions[:_CONDITIONS])]
    return {"figures/angles.png": as_png(histogram_figure(angles, evidence.styles))} if len(angles) else {}


def _maps(evidence: Evidence, arm: str) -> dict[str, bytes]:
    found = {}
    for number, condition in enumerate(evidence.conditions[:_CONDITIONS], 1):
        points = evidence.points
        points = points[(points["condition"] == condition) & (points["arm"] == arm)]
        if mapped_arms(points):
            surfaces = [s for s in evidence.surfaces if (s.condition, s.arm) == (condition, arm)]
            figure = map_figure(points, [arm], evidence.objective, surfaces)
            name = "search" if len(evidence.conditions) == 1 else f"search-{number:02d}"
            found[f"figures/{name}.png"] = as_png(figure)
    return found
