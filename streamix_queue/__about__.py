"""The version: a literal, so that a build needs neither git nor an import."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "1.0.0"
