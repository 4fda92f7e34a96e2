"""What a run is made of: its keys, how they are checked, and what identifies a run."""

from triplicate.config.check import (
    KnownKey,
    check_recorded,
    groups,
    import_path_refused,
    known_keys,
    run_config,
    several,
    unknown_key,
)
from triplicate.config.identity import (
    Identity,
    as_plain,
    fingerprint_of,
    flatten,
    identity,
    origins,
    setting,
    setting_of,
)
from triplicate.config.schema import Report, RunConfig, Trace, Train, objectives

__all__ = [
    "Identity",
    "KnownKey",
    "Report",
    "RunConfig",
    "Trace",
    "Train",
    "as_plain",
    "check_recorded",
    "fingerprint_of",
    "flatten",
    "groups",
    "identity",
    "import_path_refused",
    "known_keys",
    "objectives",
    "origins",
    "run_config",
    "setting",
    "setting_of",
    "several",
    "unknown_key",
]
