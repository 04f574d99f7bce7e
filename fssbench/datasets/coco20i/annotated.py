"""The annotated images of COCO-20i: which files have them, those of COCO 2014 or of COCO 2017."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fssbench.datasets.coco20i.facts import ListSplit
from fssbench.datasets.coco20i.labels import AnnotatedImage, check_split, read_annotations
from fssbench.errors import BrokenFileError, MissingError

_IMPORT = "fssbench data import-splits coco20i --from DIR with data/splits/coco of HSNet's release"


class Annotated:
    """The annotated images of each split, read once.

    Args:
        folder: The folder of the annotation files.
        imported: Returns the imported lists of a split, image ids by class, which tell for COCO 2017 which images are
            in the split; None if there are none.
    """

    def __init__(self, folder: Path, imported: Callable[[ListSplit], Mapping[int, list[int]] | None]) -> None:
        self.folder = folder
        self._imported = imported
        self._images: dict[ListSplit, dict[int, AnnotatedImage]] = {}

    def files(self, split: ListSplit) -> list[Path]:
        """Return the annotation files of a split: that of COCO 2014, or else the existing ones of COCO 2017.

        Raises:
            MissingError: If there is none, or if there are only COCO 2017's and no imported lists. COCO 2017 moved
                images between train and val, and its files do not tell which split they had in 2014.
        """
        path = self.folder / f"instances_{split}2014.json"
        if path.is_file():
            return [path]
        later = [self.folder / f"instances_{other}2017.json" for other in ("train", "val")]
        later = [path for path in later if path.is_file()]
        if not later:
            raise MissingError(f"there is no file {path}", "put COCO 2014's instance annotations there")
        if self._imported(split) is None:
            raise MissingError(
                f"{self.folder} has annotations of COCO 2017 only, which do not tell which images were {split} in "
                "COCO 2014",
                f"put {path.name} there, or {_IMPORT}",
            )
        return later

    def images(self, split: ListSplit) -> dict[int, AnnotatedImage]:
        """Return the annotated images of a split by id, sorted.

        Raises:
            MissingError: As `files`.
            BrokenFileError: If a file can't be read, or does not have the images of the split.
        """
        if split not in self._images:
            files = self.files(split)
            remedy = "replace the file with COCO's own (annotations_trainval2014.zip)"
            images: dict[int, AnnotatedImage] = {}
            for path in files:
                found = read_annotations(path, remedy)
                if (twice := min(found.keys() & images.keys(), default=None)) is not None:
                    raise BrokenFileError(f"{path} has the image {twice}, which {files[0].name} has too", remedy)
                images |= found
            if files[0].stem.endswith("2014"):
                check_split(images, split, files[0])
            else:
                listed = {i for ids in (self._imported(split) or {}).values() for i in ids}
                images = {i: images[i] for i in sorted(listed & set(images))}
            self._images[split] = images
        return self._images[split]
