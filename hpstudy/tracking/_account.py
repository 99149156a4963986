"""The account that MLflow's server asks for, and what its basic-auth app reads."""

import base64
import importlib.util
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hpstudy.exceptions import InputError

USER = "MLFLOW_TRACKING_USERNAME"
PASSWORD = "MLFLOW_TRACKING_PASSWORD"
SHORTEST_PASSWORD = 12
"""MLflow refuses a shorter one."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who may use a server that others can reach.

    Attributes:
        user: Its name.
        password: Of at least 12 characters.

    Raises:
        InputError: MLflow would refuse the name or the password.
    """

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.user or ":" in self.user:
            raise InputError(f"the user name must not be empty or contain a colon, but {USER} is {self.user!r}")
        if len(self.password) < SHORTEST_PASSWORD:
            raise InputError(
                f"the password in {PASSWORD} has {len(self.password)} characters; "
                f"MLflow asks for at least {SHORTEST_PASSWORD}"
            )

    def header(self) -> dict[str, str]:
        """The request header that shows it to the server."""
        shown = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {shown}"}


def account_from(environment: Mapping[str, str]) -> Account:
    """The account in MLflow's own variables, which its clients read as well.

    Raises:
        InputError: a variable is missing or is not what MLflow accepts.
    """
    missing = [name for name in (USER, PASSWORD) if not environment.get(name)]
    if missing:
        raise InputError(
            f"others can reach this address, so the server asks for a user and a password: set {' and '.join(missing)} "
            f"(a password of at least {SHORTEST_PASSWORD} characters), or leave --host out and use an SSH tunnel"
        )
    return Account(environment[USER], environment[PASSWORD])


def auth_environment(home: Path, account: Account) -> dict[str, str]:
    """Prepares the basic-auth app for one start of the server; returns the variables that it reads.

    `<home>/mlflow-auth/` is the owner's alone. The accounts begin anew: an account or a password of an earlier start
    opens nothing. The password goes through the environment only.

    Raises:
        InputError: what MLflow's basic-auth app needs is not installed.
    """
    if importlib.util.find_spec("flask_wtf") is None:
        raise InputError("a server with a password needs Flask-WTF: pip install 'hpstudy[auth]'")
    folder = home.absolute() / "mlflow-auth"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for leftover in folder.glob("accounts.db*"):
        leftover.unlink()
    config = folder / "basic_auth.ini"
    lines = [
        "[mlflow]",
        # An account that the administrator adds sees nothing until it is told to.
        "default_permission = NO_PERMISSIONS",
        f"database_uri = sqlite:///{str(folder / 'accounts.db').replace('%', '%%')}",
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth",
    ]
    _write_private(config, "\n".join(lines) + "\n")
    key = folder / "secret_key"
    if not key.exists():
        _write_private(key, secrets.token_hex(32))
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        "MLFLOW_AUTH_ADMIN_USERNAME": account.user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": account.password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": key.read_text(encoding="ascii"),
    }


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
