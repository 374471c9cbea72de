"""How what waits in the outbox becomes messages, decided apart from sending them.

    rows of one channel ─→ messages (what goes together) ─→ choosing (which one now, or how long to wait)
                                   │                              └ buckets (how many a minute)
                                   └─→ shaping (a new message, a reply, or an edit of the first one)
    failover (who stands in for a channel that does not accept)

Nothing here is remembered: the outbox has it all, so that a restart decides the same.
"""
