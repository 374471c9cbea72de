"""What the built-in monitors say, to be said in other languages: the translations are in ``locale/``."""

from defib.plugin import Phrases

phrase = Phrases("defib_plugins")
