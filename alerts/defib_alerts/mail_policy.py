"""How mails are put on the wire."""

import textwrap
from email.policy import SMTP, EmailPolicy


class _Wire(EmailPolicy):
    """SMTP's policy, with long subjects folded at their spaces.

    The standard library leaves the first line of a long subject in ASCII empty and begins it on the next one, with a
    space that some readers show.
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        subject = str(value)
        if name.lower() != "subject" or not subject.isascii():
            return super().fold_binary(name, value)
        lines = textwrap.wrap(
            subject, 78, initial_indent=f"{name}: ", subsequent_indent=" ", break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
        return "\r\n".join(lines or [f"{name}: "]).encode("ascii") + b"\r\n"


WIRE = _Wire(linesep=SMTP.linesep)
