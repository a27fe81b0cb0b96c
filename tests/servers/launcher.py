"""Start a test server without importing it: ask the process that has the imports to fork.

Run as ``python -I -S launcher.py SOCKET MODULE ARGUMENT...`` with nothing but the standard library's smallest modules,
since a tool server's imports cost more than a second and a suite starts hundreds. The launcher stands for the server
towards whoever started it: its files are the server's, SIGTERM and SIGINT are passed on, the server dies with it, and
it ends as the server ends.
"""

import array
import json
import os
import signal
import socket
import sys


def main() -> None:
    address, *command = sys.argv[1:]
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    request = json.dumps({"command": command, "cwd": os.getcwd(), "env": dict(os.environ)}).encode()
    files = array.array("i", [0, 1, 2])
    connection.sendmsg([len(request).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
    connection.sendall(request)
    # The server alone holds the pipes now: whoever reads them sees their end when the server ends.
    for descriptor in (0, 1):
        os.close(descriptor)
    answers = connection.makefile("r")
    server = int(answers.readline())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: os.kill(server, received))
    status = int(answers.readline() or "1")
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    os._exit(status)


main()
