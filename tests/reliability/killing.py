"""Kills a command at many moments, lets it go on, and compares what it leaves with an undisturbed one."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.reliability.processes import Server, killed_after
from tests.reliability.works import Work, counted, files_in

MOST_KILLS = 4
"""A command is killed so often before it may end."""


@dataclass(frozen=True)
class Undisturbed:
    """A command that was not disturbed: where it is, how long it took, and how many events it had."""

    folder: Path
    seconds: float
    events: int


class Killing:
    """A command that is killed.

    Args:
        server: Starts the processes.
        work: The command.
        place: An empty folder.
    """

    def __init__(self, server: Server, work: Work, place: Path) -> None:
        self.server, self.work, self.place = server, work, place
        self.kills = self.ended = 0
        prepared = place / "prepared"
        prepared.mkdir(parents=True)
        work.prepare(server, prepared)
        folder = place / "undisturbed"
        shutil.copytree(prepared, folder)
        began = time.monotonic()
        ended = server.run(work.order(folder))
        assert ended.code == 0, f"{work.name}: {ended.err}"
        self.undisturbed = Undisturbed(folder, time.monotonic() - began, ended.events)

    def at_events(self, chosen: Iterator[tuple[int, str]]) -> None:
        """Kill at events, by their number; "torn" also cuts what is being written there."""
        for event, what in chosen:
            folder = self.fresh_folder()
            ended = self.server.run(replace(self.work.order(folder), at=event, what=what))
            self._killed(ended.code, folder)
            self.finish(folder)

    def at_random(self, generator: random.Random) -> None:
        """Kill several times one after the other, by the clock or by the number of the event, and let it end."""
        folder = self.fresh_folder()
        for number in range(generator.randint(1, MOST_KILLS)):
            order = self.work.order(folder, again=number > 0)
            if generator.random() < 0.4:
                ended = killed_after(self.server, order, generator.uniform(0, 1.1) * self.undisturbed.seconds)
            else:
                event = generator.randrange(self.undisturbed.events)
                ended = self.server.run(replace(order, at=event, what=generator.choice(["kill", "torn"])))
            self._killed(ended.code, folder)
        self.finish(folder)

    def finish(self, folder: Path) -> None:
        """Let the command go on, and compare what is there in the end."""
        ended = self.server.run(self.work.order(folder, again=True))
        where = f"{self.work.name} in {folder}"
        assert ended.code == 0, f"{where}: exit {ended.code}: {ended.err}"
        assert "Traceback" not in ended.err, f"{where}: {ended.err}"
        self.work.check(folder, self.undisturbed.folder)
        found, expected = files_in(folder), files_in(self.undisturbed.folder)
        assert found == expected, f"{where}: other files: {sorted(set(found) ^ set(expected))}"
        for path in self.undisturbed.folder.glob("*/rows.jsonl"):
            name = path.parent.name
            assert counted(folder / name) == counted(path.parent), f"{where}: other rows"
            summary = (folder / name / "summary.json").read_bytes()
            assert summary == (path.parent / "summary.json").read_bytes(), f"{where}: another summary"
        shutil.rmtree(folder)
        self.ended += 1

    def fresh_folder(self) -> Path:
        """Return a folder in which nothing was done yet."""
        folder = self.place / "killed"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.place / "prepared", folder)
        return folder

    def _killed(self, code: int, folder: Path) -> None:
        assert code in (-9, 0), f"{self.work.name} in {folder}: exit {code}"
        self.kills += code == -9
        self.work.check(folder, self.undisturbed.folder)
