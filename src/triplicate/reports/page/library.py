"""What draws the charts of a page: Vega, Vega-Lite and Vega-Embed as one script, from the wheel vl-convert-python."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from triplicate.datasets.files.places import cache_dir
from triplicate.files import atomic

_WHEEL = "vl-convert-python"


def script() -> str:
    """The library, as a script that a page can hold; the same bytes for one version of the wheel.

    The wheel puts it together anew each time, which takes 3 s. So it is done once and kept with the cached data.
    """
    kept = cache_dir() / f"{_WHEEL}-{version(_WHEEL)}.js"
    with suppress(OSError, UnicodeError):
        return kept.read_text(encoding="utf-8")
    made = _made()
    with suppress(OSError):  # where nothing can be kept it is made again
        kept.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(Path(kept), made)
    return made


def _made() -> str:
    import vl_convert  # only here: 84 MB of it

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return bundle.replace("</script", r"<\/script")
