"""A small Hydra app whose every job is the tutorial loop: what the side `joblib` launches.

It lies here and not in sides/: Python looks for modules beside the script, and would take sides/joblib.py for joblib.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import hydra
import torch
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING
from sides.loop import endless, train
from sides.networks import network, optimizer_class
from sides.pictures import pictures
from torch.utils.data import DataLoader
from workloads import BATCH_SIZE, WORKLOADS


@dataclass
class Job:
    workload: str = MISSING
    data: str = MISSING
    steps: int = MISSING
    rate: float = MISSING
    seed: int = MISSING


ConfigStore.instance().store("job", Job)


@hydra.main(version_base="1.3", config_path=None, config_name="job")
def main(job: Job) -> None:
    """Train one run for some steps, in one thread, and write when that began and ended."""
    torch.set_num_threads(1)
    torch.manual_seed(job.seed)
    workload = WORKLOADS[job.workload]
    loader = DataLoader(pictures(workload, Path(job.data)), batch_size=BATCH_SIZE, shuffle=True)
    model = network(workload)
    optimizer = optimizer_class(workload)(model.parameters(), lr=job.rate)
    began = time.time()
    train(model, optimizer, endless(loader), job.steps)
    times = {"began": began, "ended": time.time(), "steps": job.steps}
    Path(HydraConfig.get().runtime.output_dir, "times.json").write_text(json.dumps(times))


if __name__ == "__main__":
    main()
