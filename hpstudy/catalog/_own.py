"""Losses from outside: `package.module:attribute`, or a name that an installed package gives one."""

from importlib.metadata import entry_points

ENTRY_POINT_GROUP = "hpstudy.losses"
"""A package offers a loss by an entry point of this group, e.g. `my-loss = "my_package.losses:my_loss"`."""


def own_loss(name: str) -> str | None:
    """Where a user's own loss is, as `package.module:attribute`; None if the name is none.

    Args:
        name: `package.module:attribute` itself, or the name of an entry point in the group `hpstudy.losses`.
    """
    return name if ":" in name else installed_losses().get(name)


def installed_losses() -> dict[str, str]:
    """The losses that installed packages offer, by name."""
    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
