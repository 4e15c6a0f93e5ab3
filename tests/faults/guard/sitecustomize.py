"""Watches over a command: with this folder in PYTHONPATH, Python imports it before anything else.

A command that so much as makes a socket for a network, or asks for a host's address, is ended with status 99; one that
makes a file or folder under a umask that would let others see it, with 98.
"""

import os
import sys

_ASKS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto"}
_AF_UNIX = 1
_WATCHED = os.environ.get("WATCHED_FOLDER", "\0")


def _watch(event, arguments):
    if event in _ASKS or (event == "socket.__new__" and arguments[1] != _AF_UNIX):
        _end(99, event, arguments)
    if event in ("open", "os.mkdir") and _makes_something(event, arguments) and _umask() & 0o077 != 0o077:
        _end(98, event, arguments)


def _makes_something(event, arguments):
    path = arguments[0]
    if not isinstance(path, (str, bytes)) or not os.path.abspath(os.fsdecode(path)).startswith(_WATCHED):  # noqa: PTH100
        return False
    return event == "os.mkdir" or bool(arguments[2] & os.O_CREAT)


def _umask():
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
        return next((int(line.split()[1], 8) for line in status if line.startswith("Umask:")), 0o077)


def _end(code, event, arguments):
    os.write(2, f"guard: {event} {arguments!r}\n".encode("utf-8", "replace"))
    os._exit(code)


sys.addaudithook(_watch)
