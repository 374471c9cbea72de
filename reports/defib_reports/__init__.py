"""Built-in reports: the numbers of a period made into a document for people and programs."""
