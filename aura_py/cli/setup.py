"""What every command does first: settings, the configuration's path, logging, and telling what is wrong."""

from __future__ import annotations
