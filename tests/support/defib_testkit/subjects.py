"""Subjects of mails about alerts, for tests that count them."""

import re


def headline(subject: str) -> str:
    """``[HIGH] Main Agent is down: connection refused (since 02:10)`` without what differs from run to run."""
    return re.split(r": | \((?:since|after) ", subject, maxsplit=1)[0]
