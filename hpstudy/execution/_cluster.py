"""Reaching a Ray cluster's job server, and what to tell where that fails."""

import contextlib
import http.client
import json
import logging
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hpstudy.exceptions import HpstudyError, InputError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

CONNECT_S = 10
"""For how long a head may stay silent."""
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_ADDRESSES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
_TALKATIVE = ("dashboard.modules.job.sdk", "dashboard.modules.dashboard_sdk", "_private.runtime_env.packaging")


def cluster_address(given: str | None) -> str:
    """The address given, else `$RAY_ADDRESS`.

    Raises:
        InputError: there is neither.
    """
    address = given or os.environ.get("RAY_ADDRESS")
    if not address:
        raise InputError(
            "which cluster? name its head's dashboard with --address http://HEAD:8265 (or --address auto for the one "
            "on this machine), or set RAY_ADDRESS"
        )
    return address


def job_client(address: str) -> "JobSubmissionClient":
    """A client of a cluster's job server, which was found to answer and to run this version of Ray.

    `$RAY_AUTH_MODE`, `$RAY_AUTH_TOKEN` and `$RAY_AUTH_TOKEN_PATH` are Ray's; a token that is given turns
    authentication on.

    Args:
        address: `http://head:8265` (its dashboard), `auto` (the cluster that runs on this machine), or `host:port` of
            the dashboard or of the cluster itself.

    Raises:
        InputError: the address is none, or the cluster runs another Ray.
        HpstudyError: no cluster answers there, or it refuses the token.
    """
    place = _place(address)
    if any(os.environ.get(name) for name in _TOKENS):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray
    from ray.job_submission import JobSubmissionClient

    for name in _TALKATIVE:
        logging.getLogger(f"ray.{name}").setLevel(logging.ERROR)
    with _given_address_only(), speaking(address):
        client = JobSubmissionClient(place)
    theirs = str(client._server_ray_version)
    if _minor(theirs) != _minor(ray.__version__):
        raise InputError(
            f"the cluster at {client.get_address()} runs Ray {theirs}, and this is Ray {ray.__version__}: use the same "
            "version in both places"
        )
    return client


@contextlib.contextmanager
def speaking(address: str) -> Iterator[None]:
    """Turns what Ray's client raises in the `with` block into one line.

    Raises:
        HpstudyError: no cluster answers at the address, it refuses the token, or it can't do what it was asked.
    """
    import aiohttp
    import requests
    from ray.exceptions import AuthenticationError, RayError

    try:
        yield
    except AuthenticationError as error:
        raise HpstudyError(refused_token(address)) from error
    except aiohttp.WSServerHandshakeError as error:
        raise HpstudyError(refused_token(address) if error.status in (401, 403) else _no_ray(address)) from error
    except (requests.Timeout, requests.ConnectionError, ConnectionError, aiohttp.ClientError, RayError) as error:
        raise HpstudyError(unreachable(address)) from error
    except (requests.RequestException, KeyError) as error:
        raise HpstudyError(_no_ray(address)) from error
    except (RuntimeError, ValueError) as error:
        if isinstance(error, HpstudyError):
            raise
        text = str(error)
        if "404" in text and "ersion" in text:
            raise HpstudyError(_no_ray(address)) from error
        raise HpstudyError(f"the cluster at {address}: {_last_line(text)}") from error


def unreachable(address: str) -> str:
    """What to tell where nothing answers."""
    if address == "auto":
        return (
            "no Ray cluster runs on this machine: start one (pip install 'hpstudy[cluster]'; ray start --head), or "
            "name another with --address http://HEAD:8265"
        )
    return (
        f"no Ray cluster answers at {address}: is the head running, with its dashboard (pip install 'ray[default]'; "
        "ray start --head) and reachable from here?"
    )


def refused_token(address: str) -> str:
    """What to tell where a cluster wants a token, or another one."""
    given = (
        "the token of this shell is not its token" if os.environ.get("RAY_AUTH_MODE") == "token" else "it asks for one"
    )
    return (
        f"the cluster at {address} lets nobody in without its token, and {given}: set RAY_AUTH_MODE=token and "
        "RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH"
    )


def _place(address: str) -> str:
    """The address as Ray's client takes it, once it is known that something answers there.

    Ray's own client waits minutes for a silent host and gives up the process on a port that is not a cluster's.
    """
    if address == "auto":
        return address
    scheme, _, rest = address.rpartition("://")
    if scheme not in ("", "http", "https") or not rest.strip("/"):
        raise InputError(
            f"--address {address}: jobs go to the dashboard of the cluster's head: give http://HEAD:8265 (or https), "
            "auto for the cluster on this machine, or HEAD:PORT"
        )
    if scheme:
        if not _speaks_http(address.rstrip("/")):
            raise HpstudyError(unreachable(address))
        return address.rstrip("/")
    if _speaks_http(f"http://{rest}"):
        return f"http://{rest}"
    host, _, port = rest.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise HpstudyError(unreachable(address)) from error
    return rest


def _speaks_http(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/version", timeout=CONNECT_S) as answer:
            json.load(answer)
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, http.client.HTTPException):
        return False
    except ValueError:  # no JSON, or no URL
        raise HpstudyError(_no_ray(url)) from None
    return True


@contextlib.contextmanager
def _given_address_only() -> Iterator[None]:
    """Hides `$RAY_ADDRESS` from Ray's client, which would take it in place of the address that it is given."""
    hidden = {name: os.environ.pop(name) for name in _ADDRESSES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _no_ray(address: str) -> str:
    return f"what answers at {address} is not the dashboard of a Ray cluster: give that of its head (http://HEAD:8265)"


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")
