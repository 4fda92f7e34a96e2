"""What is compared: one file a side, each with a function `measure(workload, data, steps) -> Measurement`."""

from __future__ import annotations

SIDES = (
    "loop",
    "resident",
    "lightning",
    "skorch",
    "keras_jax",
    "jax_vmap",
    "torch_vmap",
    "joblib",
    "products",
    "triplicate",
)
