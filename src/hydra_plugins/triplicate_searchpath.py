"""Hydra finds the configuration files that packages with parts bring."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class TriplicateSearchPath(SearchPathPlugin):
    """Adds their conf/ folders behind triplicate's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        from triplicate.parts import outside

        for folder in outside.conf_folders():
            search_path.append("triplicate-parts", f"file://{folder}")
