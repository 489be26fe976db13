"""What is no page of metrics is refused."""

from __future__ import annotations

import pytest

from streamix_queue.cli.top.pages import PageUnreadable, read_page


@pytest.mark.parametrize("text", ["<html>\n", "a{ 1\n", 'a{b="c"} x\n', "\x00\x1b[2J{}{}\n"])
def test_what_is_no_page_is_told(text: str) -> None:
    with pytest.raises(PageUnreadable):
        read_page(text)
