"""Episode lists: drawn as in the releases, fixed, hashed, and stored in files."""

from __future__ import annotations

from fssbench.episode.draw import episodes
from fssbench.episode.episode import Episode, EpisodeList
from fssbench.episode.files import read_episodes, write_episodes

__all__ = ["Episode", "EpisodeList", "episodes", "read_episodes", "write_episodes"]
