"""What channels say of the far ends that do not take their messages, to be said in other languages."""

from defib.plugin import Phrases

phrase = Phrases("defib_alerts")
