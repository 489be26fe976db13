"""Changing the payload of one dead letter in an editor, before it is replayed."""

from __future__ import annotations

import os
import sys

import click
import msgspec

from streamix_queue.admin import Admin
from streamix_queue.cli.shared.exits import Exit, Failure
from streamix_queue.cli.shared.output import at_terminal
from streamix_queue.core.replay import Edit

__all__ = ["edit_payload"]


def edit_payload(admin: Admin, letter_id: str) -> Edit | None:
    """What the payload is to be made; None if there is no such letter.

    Raises:
        Failure: it was not changed, it is no JSON, or there is nobody to change it.
    """
    letter = admin.dead_letter(letter_id)
    if letter is None:
        return None
    if letter.data is None:
        raise Failure(Exit.CONDITION, f"{letter_id} cannot be edited: its payload cannot be decoded")
    chosen = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not chosen and not (at_terminal(sys.stdin) and at_terminal(sys.stdout)):
        raise Failure(Exit.REFUSED, "nobody can edit: there is no terminal, and EDITOR is not set")
    text = msgspec.json.format(msgspec.json.encode(letter.data), indent=2).decode() + "\n"
    edited = click.edit(text, editor=chosen, extension=".json")
    if edited is None or edited == text:
        raise Failure(Exit.REFUSED, "nothing was replayed: the payload was not changed")
    try:
        payload = msgspec.json.decode(edited, type=dict)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Failure(
            Exit.USAGE, f"nothing was replayed: what was edited is no JSON object: {error}"
        ) from None
    return lambda _: payload
