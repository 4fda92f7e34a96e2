"""triplicate: small image-classification studies, every run in three seeds, every table with its source."""

__version__ = "0.1.0"
