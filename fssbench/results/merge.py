"""Merging the shards of a run into the run that a single process would have written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from fssbench.episode import EpisodeList, read_episodes
from fssbench.errors import BrokenFileError, MissingError, UsageError
from fssbench.results.differences import first_difference
from fssbench.results.photos import check_mask_digests, check_photo_digests
from fssbench.results.record import Run, Start
from fssbench.results.rows import Row
from fssbench.results.run_reader import RUN, SHARDS, Existing, Results, read_run, stored_rows
from fssbench.results.run_writer import RunFolder


def shards_in(folders: Iterable[Path]) -> list[Path]:
    """Return the run folders: the shards in each folder, or the folder itself if it has no shards.

    Raises:
        MissingError: If a folder has no run.
    """
    found: list[Path] = []
    for folder in folders:
        below = sorted(path.parent for path in folder.glob(f"{SHARDS}/{RUN}"))
        if not below and not (folder / RUN).is_file():
            raise MissingError(
                f"there is no run in {folder}, and no shard of one below it",
                "fssbench eval --shard 1/8 --out DIR makes DIR/shard-1-of-8",
            )
        found += below or [folder]
    return found


def is_part(folder: Path, whole: Path) -> bool:
    """Return whether a run is a shard of another run; False if one of them can't be read."""
    try:
        run, other = read_run(folder), read_run(whole)
    except (BrokenFileError, MissingError):
        return False
    return run.is_shard and not other.is_shard and first_difference(other.whole, run.whole) is None


def merge(folders: Sequence[Path], out: Path, existing: Existing = Existing.REFUSE) -> Results:
    """Merge shards and write the whole run.

    Args:
        folders: Run folders, each with some of the episodes.
        out: Folder of the whole run.
        existing: What to do if there is a run already; "resume" adds to it.

    Returns:
        The whole run. Rows may still be missing (`Results.missing`).

    Raises:
        MissingError: If a folder has no run.
        UsageError: If the runs are not of the same configuration, or `out` can't be written.
        BrokenFileError: If a file is damaged, or two runs have different rows for an episode.
    """
    runs = [read_run(folder) for folder in folders]
    if runs[0].until is not None:
        raise UsageError(
            f"the run in {folders[0]} ended by looks at whole lists (--until), and is no part of another",
            "leave it out",
        )
    whole = runs[0].whole
    for folder, run in zip(folders[1:], runs[1:], strict=True):
        if found := first_difference(whole, run.whole):
            raise UsageError(
                f"{folder} is no part of the run in {folders[0]}: its {found.field} is {found.requested}, "
                f"the other's {found.stored}",
                "merge the shards of one run",
            )
    starts: list[Start] = []
    for start in (one for run in runs for one in run.starts):
        starts += [] if start in starts else [start]
    whole = replace(whole, starts=tuple(sorted(starts, key=lambda start: start.time)))
    rows = _merged_rows(folders, runs)
    lists = lists_of(folders[0], whole)
    with RunFolder(out, whole, lists, existing) as written:
        check_photo_digests([*written.rows, *rows], out)
        check_mask_digests([*written.rows, *rows], out)
        have = {(row.fold, row.episode) for row in written.rows}
        for row in rows:
            if (row.fold, row.episode) not in have:
                written.append(row)
        return written.finish()


def _merged_rows(folders: Sequence[Path], runs: Sequence[Run]) -> list[Row]:
    rows: dict[tuple[int, int], tuple[Row, Path]] = {}
    photos: dict[str, str] = {}
    masks: dict[str, str] = {}
    for folder, run in zip(folders, runs, strict=True):
        found = stored_rows(folder, run)
        photos = check_photo_digests(found, folder, photos)
        masks = check_mask_digests(found, folder, masks)
        for row in found:
            earlier, earlier_folder = rows.setdefault((row.fold, row.episode), (row, folder))
            # Fields that an earlier version did not write are no difference.
            known = replace(earlier, seconds=row.seconds, photos=row.photos, masks=row.masks)
            if replace(known, lost_supports=row.lost_supports, lost_query=row.lost_query) != row:
                raise BrokenFileError(
                    f"fold {row.fold}, episode {row.episode} has different rows in {earlier_folder} and {folder}",
                    "leave one of them out",
                )
    return [row for _, (row, _) in sorted(rows.items())]


def lists_of(folder: Path, run: Run) -> dict[int, EpisodeList]:
    """Return the episode list of each fold of a run, read from the run folder.

    Raises:
        BrokenFileError: If the hash of a list is not the one in the record of the run.
    """
    lists = {}
    for fold in run.folds:
        path = folder / f"episodes-fold{fold.fold}.json"
        lists[fold.fold] = read_episodes(path)
        if lists[fold.fold].hash != fold.episodes_hash:
            raise BrokenFileError(f"{path} is not the list of the run in that folder", "fssbench eval makes it again")
    return lists
