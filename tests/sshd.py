"""A private sshd on 127.0.0.1, with keys, port and configuration of its own, for the user who runs the tests."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def missing() -> str | None:
    """Why there can be no sshd here, or None."""
    for name in ("sshd", "ssh", "ssh-keygen"):
        if _which(name) is None:
            return f"there is no {name} here (Debian: apt install openssh-server)"
    return None


@dataclass(frozen=True)
class Sshd:
    """One that runs: what ``--target`` and FWEXPORT_SSH_OPTIONS must be to reach it."""

    target: str
    options: str
    folder: Path
    pid: int


@contextlib.contextmanager
def sshd(folder: Path) -> Iterator[Sshd]:
    """Start one in ``folder``, and end it with every connection that it has."""
    for name in ("host_key", "user_key"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(made, check=True, timeout=60)
    if os.geteuid() == 0:  # an sshd of root insists on this folder
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/user_key.pub\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    public = (folder / "host_key.pub").read_text().split()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    log = folder / "sshd.log"
    command = [str(_which("sshd")), "-f", str(folder / "sshd_config")]
    # From OpenSSH 9.8 on, an address that fails to log in is kept away for a while; older ones do not know the option.
    lenient = "-oPerSourcePenalties=no"
    if (
        subprocess.run([*command, lenient, "-t"], capture_output=True, check=False, timeout=60).returncode
        == 0
    ):
        command.append(lenient)
    with subprocess.Popen([*command, "-D", "-E", str(log)], start_new_session=True) as process:
        try:
            _wait_for(port, process, log)
            files = (
                f"-i {shlex.quote(str(folder / 'user_key'))} -oUserKnownHostsFile={folder / 'known_hosts'}"
            )
            options = f"-F none {files} -oGlobalKnownHostsFile=none -oIdentitiesOnly=yes -oIdentityAgent=none"
            yield Sshd(f"ssh:{getpass.getuser()}@127.0.0.1:{port}", options, folder, process.pid)
        finally:
            process.terminate()


def _which(name: str) -> str | None:
    """sshd is not on the PATH of everybody, and wants to be started by its whole path."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/sbin")


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(f"no sshd on port {port}: {log.read_text()}")
