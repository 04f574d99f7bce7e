"""`fssbench show` without a run: contact sheets of a data set or an episode list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fssbench.cli.show_options import write_picture
from fssbench.escape import in_path

if TYPE_CHECKING:
    from fssbench.cli.options import DataOptions
    from fssbench.cli.show_options import ShowOptions


def show_data(options: ShowOptions, data: DataOptions) -> None:
    """Draw the contact sheets."""
    from fssbench.datasets import open_dataset
    from fssbench.reports.sheets import class_of, episode_sheets, image_sheets, images_of

    if options.episodes is not None:
        from fssbench.episode import read_episodes
        from fssbench.episode.files import episode_id

        episodes = read_episodes(options.episodes)
        dataset = open_dataset(episodes.dataset, data.root, **data.given)
        wanted = None if options.class_name is None else class_of(dataset, options.class_name)
        chosen = [
            (episode_id(episodes.fold, number), episode)
            for number, episode in enumerate(episodes)
            if wanted is None or wanted in episode.classes
        ][: options.count]
        title = f"{episodes.dataset}, fold {episodes.fold}, {episodes.way}-way {episodes.shot}-shot"
        sheets, name = episode_sheets(dataset, chosen, title), in_path(options.episodes.stem)
    else:
        dataset = open_dataset(options.dataset or "", data.root, **data.given)
        wanted = None if options.class_name is None else class_of(dataset, options.class_name)
        images = images_of(dataset, options.fold, wanted, options.split or dataset.evaluated_split)
        parts = [dataset.name, "" if options.fold is None else f"fold {options.fold}"]
        parts += ["" if wanted is None else dataset.class_names[wanted], "ignore region (255)" if options.rim else ""]
        title = ", ".join(part for part in parts if part)
        shown = _spread(images, options.count)
        sheets = image_sheets(dataset, shown, f"{title}: {len(shown)} of {len(images)} images", rim=options.rim)
        name = in_path("-".join(part.replace(" ", "") for part in parts if part)).rstrip("-")
    for number, png in enumerate(sheets, 1):
        part = str(number) if len(sheets) > 1 else ""
        write_picture(png, options, f"{name}-{part}" if part else name, part, title)


def _spread(images: list[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """Return so many images from the whole list, at even distances."""
    step = max(1.0, len(images) / count)
    return [images[int(place * step)] for place in range(min(count, len(images)))]
