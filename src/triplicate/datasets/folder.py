"""Your own images, in folders named by their class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from triplicate.datasets import Dataset, DataSource
from triplicate.datasets.files.places import cache_dir
from triplicate.errors import UserError
from triplicate.parts import key, part


@part("folder")
@dataclass(frozen=True)
class Folder(DataSource):
    """Images in folders named by their class: path/train/<class>/… and path/test/<class>/…, or path/<class>/…"""

    path: Path | None = key("folder of class folders, or of train/ and test/ with class folders")
    size: int = key("side to which every image is scaled when it is read", unit="pixels", at_least=1)
    channels: str = key("colour or grey", choices=("colour", "grey"))
    test: float = key("fraction of each class set apart for the test where there is no test/", above=0, below=1)

    def read(self, data_dir: Path | None) -> Dataset:
        return self._read(whole=False)

    def read_whole(self, data_dir: Path | None) -> Dataset:
        return self._read(whole=True)

    def identity(self) -> dict[str, object]:
        """Without `path`: the same images in another folder give the same results."""
        return {name: value for name, value in super().identity().items() if name != "path"}

    def _read(self, whole: bool) -> Dataset:
        # Only here: decoding images needs torch and Pillow.
        from triplicate.datasets.files import class_folders

        root = self._root()
        if class_folders.is_split(root):
            train, test = class_folders.list_split(root)
        else:
            train, test = class_folders.set_apart(class_folders.list_classes(root), self.test)
        channels = 3 if self.channels == "colour" else 1
        return class_folders.read(train, test, self.size, channels, cache_dir() / "images", whole)

    def _root(self) -> Path:
        remedy = "name a folder that has a folder of images for each class"
        if self.path is None:
            raise UserError("dataset.path", "no folder is named", remedy)
        root = self.path.resolve()
        if not root.is_dir():
            problem = "is a file, not a folder" if root.exists() else "is not there"
            raise UserError("dataset.path", f"{root} {problem}", remedy)
        return root
