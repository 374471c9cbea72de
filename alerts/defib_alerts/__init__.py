"""Alerts: the words they are told in (`texts`) and the channels that carry them."""
