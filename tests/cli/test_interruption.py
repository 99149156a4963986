"""A command that is told to end by any signal ends as by Ctrl-C."""

import signal
import subprocess
import sys

import pytest

CODE = """
import os, signal, sys
from hpstudy.cli._interruption import Interrupted, interruptible
before = signal.getsignal(signal.SIGHUP)
try:
    with interruptible():
        if sys.argv[2] == "ray":  # in a job of Ray SIGINT is blocked
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        os.kill(os.getpid(), int(sys.argv[1]))
        signal.pause()
except Interrupted:
    print("interrupted", signal.getsignal(signal.SIGHUP) == before)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_interrupts(number: signal.Signals) -> None:
    assert told(number, "shell") == "interrupted True"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_interrupts_where_ctrl_c_is_blocked(number: signal.Signals) -> None:
    assert told(number, "ray") == "interrupted True"


def told(number: signal.Signals, place: str) -> str:
    words = [sys.executable, "-c", CODE, str(int(number)), place]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
