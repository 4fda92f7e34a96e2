"""Networks of torchvision with a last layer for other classes, and with weights that were trained before."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from triplicate.errors import UserError
from triplicate.files.regular import is_there, unreadable
from triplicate.lazy import torch
from triplicate.models import Model
from triplicate.models.layers.checks import need_images
from triplicate.parts import key

if TYPE_CHECKING:
    from torch import Tensor, nn

    from triplicate.activations import Activation

_NAMES = ("imagenet", "none")
_SUFFIXES = (".pth", ".pt", ".safetensors")
_SHOWN = 3


@dataclass(frozen=True)
class Pretrained(Model):
    """A network of torchvision whose last layer is new, with the weights that `weights` names.

    What those weights do not give is drawn as torchvision draws it. With `freeze` only the last layer has gradients.

    Attributes:
        last: the name of the last layer.
        smallest: the least side of an image, in pixels.
    """

    alone: ClassVar[str] = "networks of torchvision are large enough to keep a GPU busy by themselves"
    last: ClassVar[str]
    smallest: ClassVar[int]

    weights: str = key("imagenet (downloaded once), none, or a file with a state dict")
    freeze: bool = key("train the last layer only")

    def uses_activation(self, name: str) -> bool:
        return False  # they have the one of their paper

    @property
    def loads_weights(self) -> bool:
        return self.weights != "none"

    @property
    def content(self) -> str | None:
        return None if self.weights in _NAMES else _hash(_checked(Path(self.weights).expanduser()))

    def identity(self) -> dict[str, object]:
        """The content of a file of weights counts, not its path."""
        return super().identity() | {"weights": self.content or self.weights}

    @property
    def restorable(self) -> Pretrained:
        return replace(self, weights="none")

    def build(self, shape: tuple[int, ...], outputs: int, activation: Activation) -> nn.Module:
        """
        Raises:
            UserError: images that the network cannot take, a failed download, or a file that is missing, unreadable,
                damaged or of another model.
        """
        self._check_images(shape)
        import torchvision.models  # only here: the import takes seconds

        network: nn.Module = torchvision.models.get_model(self.name, weights=None, num_classes=outputs)
        if self.weights == "imagenet":
            file, state = _imagenet(self.name)
            _load(network, state, self.last, file)
        elif self.weights != "none":
            file = Path(self.weights).expanduser()
            _load(network, _read(file), self.last, file)
        if self.freeze:
            network.requires_grad_(False)
            network.get_submodule(self.last).requires_grad_(True)
        return network

    def _check_images(self, shape: tuple[int, ...]) -> None:
        need_images(shape, self.name)
        channels, height, width = shape
        if channels != 3:
            problem = f"{self.name} needs images of 3 channels, and these have {channels}"
            raise UserError("model.name", problem, "choose a data set in colour, or another model")
        if min(height, width) < self.smallest:
            problem = f"{self.name} shrinks images of {height}×{width} to nothing"
            remedy = f"give images of {self.smallest} or more with dataset.upscale"
            raise UserError("model.name", problem, remedy)


def _imagenet(name: str) -> tuple[Path, dict[str, Tensor]]:
    """The file and the state dict of torchvision's ImageNet weights, downloaded if torch.hub has not got them yet."""
    import torchvision.models

    weights = torchvision.models.get_model_weights(name).DEFAULT
    file = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
    if not is_there(file):
        _download(weights, file)
    return file, _read(file)


def _download(weights: Any, file: Path) -> None:
    """Let torchvision fetch a file: it shows progress and checks the sum in the file's name."""
    try:
        weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().rpartition("\n")[2] or type(error).__name__
        remedy = (
            f"connect to the network, or put {file.name} into {file.parent}, or name a local file: "
            "model.weights=<file>.pth or .safetensors"
        )
        raise UserError("model.weights", f"no {file.name}, and the download failed ({reason})", remedy) from error


def _read(file: Path) -> dict[str, Tensor]:
    """The state dict in a file."""
    try:
        state = _state(_checked(file))
    except UserError:
        raise
    except OSError as error:
        raise unreadable(file, error) from error
    except Exception as error:  # a damaged file may raise whatever its bytes happen to spell
        # The first sentence alone: torch's next ones tell to load the file without its safeguard.
        reason = str(error).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
        remedy = "save it again with torch.save(network.state_dict(), …), or delete it and download it again"
        raise UserError(str(file), f"it is damaged, or holds more than tensors ({reason})", remedy) from error
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        remedy = "save one with torch.save(network.state_dict(), …)"
        raise UserError(str(file), "it holds no state dict, which has a tensor for each name", remedy)
    return state


def _checked(file: Path) -> Path:
    """The same file, if it is one, and of a kind that is read."""
    if file.suffix not in _SUFFIXES:
        problem = f"{str(file)!r} is neither imagenet nor none nor a file that ends in {', '.join(_SUFFIXES)}"
        raise UserError("model.weights", problem, "give one of these")
    if not is_there(file):
        raise UserError(str(file), "there is no such file", "set model.weights to one, to imagenet or to none")
    return file


def _hash(file: Path) -> str:
    """16 hex digits of the SHA-256 of a file's bytes."""
    try:
        status = file.stat()
        return _hash_of(file, (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino))
    except OSError as error:
        raise unreadable(file, error) from error


@functools.cache
def _hash_of(file: Path, stamp: tuple[int, ...]) -> str:
    """The same, once for a file as it stands: all runs of a sweep ask, and a file may have half a gigabyte."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _state(file: Path) -> object:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(file)
    return torch.load(file, map_location="cpu", weights_only=True)


def _load(network: nn.Module, state: dict[str, Tensor], last: str, file: Path) -> None:
    """Copy a state dict into a network, but for a last layer of another number of classes.

    Raises:
        UserError: any other tensor is missing, has another shape, or has no place in the network.
    """
    own = network.state_dict()
    head = (f"{last}.weight", f"{last}.bias")
    if any(name in state and state[name].shape[:1] != own[name].shape[:1] for name in head):
        own, state = ({name: part[name] for name in part if name not in head} for part in (own, state))
    differences = [
        # Files of old versions of torch have no counts of batches; no result depends on those.
        *(f"no {name}" for name in own if name not in state and not name.endswith(".num_batches_tracked")),
        *(f"an unknown {name}" for name in state if name not in own),
        *(
            f"{name} of {_shape(state[name])} instead of {_shape(own[name])}"
            for name in own
            if name in state and state[name].shape != own[name].shape
        ),
    ]
    if differences:
        more = len(differences) - _SHOWN
        listed = ", ".join(differences[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        problem = f"it holds the weights of another model ({listed})"
        raise UserError(str(file), problem, "choose the model that they are of, or other weights")
    # Built by its shapes alone, a network has nothing that the weights could be copied to.
    if not next(network.parameters()).is_meta:
        network.load_state_dict(state, strict=False)


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"
