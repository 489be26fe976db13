"""The code blocks of a Markdown file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Block", "blocks_of"]

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    text: str

    @property
    def first_line(self) -> str:
        return self.text.strip().splitlines()[0]


def blocks_of(path: Path) -> list[Block]:
    """All fenced blocks of ``path``, in order."""
    return [Block(language, text) for language, text in _FENCE.findall(path.read_text("utf-8"))]
