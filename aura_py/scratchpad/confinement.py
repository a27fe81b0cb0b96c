"""A file name from a model never leaves the read root."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


class OutsideError(Exception):
    """The name leads outside the scratchpad."""


def confined(name: str, *, base: Path, root: Path) -> Path:
    """The real path of a name relative to ``base``.

    Raises:
        OutsideError: The name, or a symlink on the way, leads out of ``root``; or a symlink leads nowhere.
        OSError: The file system could not say, or the file does not exist.
    """
    if "\0" in name:
        raise OutsideError
    wanted = Path(os.path.normpath(os.path.join(os.path.abspath(base), name)))
    if not wanted.is_relative_to(os.path.abspath(root)):
        raise OutsideError
    real_root = os.path.realpath(root)
    try:
        real = Path(os.path.realpath(wanted, strict=True))
    except (FileNotFoundError, NotADirectoryError):
        _check_ancestors(wanted, Path(real_root))
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OutsideError from None
        raise
    if not real.is_relative_to(real_root):
        raise OutsideError
    return real


def _check_ancestors(path: Path, real_root: Path) -> None:
    for ancestor in (path, *path.parents):
        try:
            mode = os.lstat(ancestor).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            real = Path(os.path.realpath(ancestor, strict=True))
        except FileNotFoundError:
            raise OutsideError from None
        if stat.S_ISLNK(mode) and not real.exists():
            raise OutsideError
        if not real.is_relative_to(real_root):
            raise OutsideError
        return
