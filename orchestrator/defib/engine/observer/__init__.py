"""Is it me or them? How Defib watches itself, and what it does about it."""
