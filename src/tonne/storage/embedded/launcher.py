"""Run a command as another account: `python -I -S launcher.py UID GID PATH... -- COMMAND...`, started by root.

The data directory or the virtual environment may lie below a directory that only root can enter. Rather than open that
directory to everyone, the command keeps one capability: to search and read any directory (CAP_DAC_READ_SEARCH) or, where
the container withholds that one or a program is executable for its owner only, to pass over file modes
(CAP_DAC_OVERRIDE). It gets none when it reaches every PATH without.

A separate program and not code between fork and exec, because Python code there can hang when other threads hold locks.
"""

import ctypes
import os
import sys
from collections.abc import Sequence

EXIT_UNREACHABLE = 77

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2

# From linux/prctl.h, linux/securebits.h and linux/capability.h.
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522


class CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class CapabilitySets(ctypes.Structure):
    """Capabilities 0 to 31 and 32 to 63: `capget` and `capset` take two of these."""

    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


class Capabilities:
    """This process's capabilities on Linux."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._header = CapabilityHeader(CAPABILITY_VERSION_3, 0)
        self._sets = (CapabilitySets * 2)()

    def keep_over_setuid(self) -> None:
        # access(2), which initdb asks, ignores the capabilities of ordinary accounts unless this bit says that an
        # account's number has no bearing on them. Where it may not be set, the capability still serves the server.
        self._libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        self._check(self._libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))

    def use(self, capability: int | None) -> None:
        """Act with this capability alone, and let the command do so.

        Raises:
            OSError: we do not have it ourselves.
        """
        self._check(self._libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
        self._check(self._libc.capget(ctypes.byref(self._header), self._sets))
        bits = 0 if capability is None else 1 << capability
        self._sets[0].effective = self._sets[0].inheritable = bits
        self._sets[1].effective = self._sets[1].inheritable = 0
        self._check(self._libc.capset(ctypes.byref(self._header), self._sets))
        if capability is not None:
            self._check(self._libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))

    @staticmethod
    def _check(result: int) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def run_as(uid: int, gid: int, *, reach: Sequence[str], command: list[str]) -> str:
    """Become the account and the command; returns only what prevented it."""
    capabilities = Capabilities() if sys.platform == "linux" else None
    if capabilities:
        capabilities.keep_over_setuid()
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    refusal = ""
    for capability in (None, CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if capabilities else (None,):
        try:
            if capabilities:
                capabilities.use(capability)
            for path in reach:
                os.close(os.open(path, os.O_RDONLY))
            os.execv(command[0], command)  # noqa: S606 - no shell is the point
        except OSError as error:
            # What the plain account could not reach is the reason; that a capability is missing too comes after.
            refusal = refusal or str(error)
    return refusal


def main(arguments: list[str]) -> int:
    uid, gid, *rest = arguments
    end = rest.index("--")
    try:
        refusal = run_as(int(uid), int(gid), reach=rest[:end], command=rest[end + 1 :])
    except OSError as error:
        refusal = f"cannot become account number {uid}: {error}"
    sys.stderr.write(f"{refusal}\n")
    return EXIT_UNREACHABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
