"""What a run is made of: its keys, how they are checked, and what identifies a run."""

from triplicate.config.check import (
    KnownKey,
    check_recorded,
    groups,
    import_path_refused,
    known_keys,
    run_config,
    unknown_key,
)
from triplicate.config.identity import as_plain, fingerprint, fingerprint_of, flatten, origins, setting
from triplicate.config.schema import Report, RunConfig, Trace, Train

__all__ = [
    "KnownKey",
    "Report",
    "RunConfig",
    "Trace",
    "Train",
    "as_plain",
    "check_recorded",
    "fingerprint",
    "fingerprint_of",
    "flatten",
    "groups",
    "import_path_refused",
    "known_keys",
    "origins",
    "run_config",
    "setting",
    "unknown_key",
]
