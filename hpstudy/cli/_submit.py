"""`submit`, `logs` and `stop`: studies on a Ray cluster."""

from pathlib import Path
from typing import Annotated

import typer

from hpstudy.cli._on_cluster import OnCluster
from hpstudy.cli._options import (
    AddressOption,
    ClusterHomeOption,
    DetachOption,
    InstallOption,
    JsonOption,
    QuickOption,
    StudyArgument,
    study_name,
)
from hpstudy.cli._stop import stop_here


def submit(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.")],
    address: AddressOption = None,
    home: ClusterHomeOption = None,
    quick: QuickOption = False,
    install: InstallOption = False,
    detach: DetachOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a study on a Ray cluster, and show its progress here. Ctrl-C leaves the study running.

    The file is checked first and sent along; data are read on the cluster's nodes. A study that was begun before is
    continued.

    Example: `hpstudy submit studies/quickstart.yaml --address http://head:8265 --home /shared/hpstudy-runs`
    """
    from hpstudy.execution import cluster_address, study_shipment

    shipment = study_shipment(study_file, quick=quick, home=home, install=install)
    OnCluster(cluster_address(address), as_json).start(shipment, detach)


def logs(
    study: StudyArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the study has ended.")] = False,
    address: AddressOption = None,
    home: ClusterHomeOption = None,
) -> None:
    """Show what a study on a Ray cluster prints; with -f re-join it until it has ended.

    Example: `hpstudy logs -f quickstart --address http://head:8265`
    """
    from hpstudy.execution import cluster_address

    OnCluster(cluster_address(address), False).logs(study_name(study), home, follow)


def stop(
    study: StudyArgument,
    address: AddressOption = None,
    home: ClusterHomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a running study in order, on a Ray cluster or on this machine; `hpstudy resume` continues it.

    Example: `hpstudy stop quickstart --address http://head:8265`
    """
    from hpstudy.execution import cluster_address

    name = study_name(study)
    if address is None and stop_here(name, home, as_json):
        return
    OnCluster(cluster_address(address), as_json).stop(name, home)
