"""Links of releases: on which host they are, and under which addresses a program gets the file in place of a page.

Sources: SharePoint's form is that of rclone (backend/onedrive, pull request 5417); the encoding of OneDrive's shares is
Microsoft's ("Access shared items", OneDrive API). `download=1` of OneDrive and SharePoint, `dl=1` of Dropbox and `raw`
of GitHub are from memory. None of them could be tried at its host: where all addresses fail, the browser is left.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

Kind = Literal["file", "drive-file", "drive-folder", "browser"]


@dataclass(frozen=True)
class Link:
    """A link of a release.

    Attributes:
        host: Name of the host for people, e.g. "Google Drive".
        kind: "file" if one of the addresses is the file itself, or an archive of it; "drive-file" and "drive-folder" on
            Google Drive; "browser" if only a browser gets the file.
        addresses: Where a program gets the file; each is tried if the one before does not send it.
        drive_id: The id of a file on Google Drive.
        folder: Whether it is a folder.
    """

    host: str
    kind: Kind
    addresses: tuple[str, ...] = ()
    drive_id: str = ""
    folder: bool = False

    @property
    def by_program(self) -> bool:
        """Whether `fssbench checkpoints fetch` tries to get it."""
        return self.kind != "browser"


def link_of(url: str, hosting: str) -> Link:
    """Return what a link is.

    Args:
        url: The address.
        hosting: "file" if it is the file itself, "page" if it is a page for a browser.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if hosting == "file":
        return Link(host, "file", (url,))
    if host == "drive.google.com":
        return _drive(parts.path)
    if host == "1drv.ms":
        share = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
        api = f"https://api.onedrive.com/v1.0/shares/u!{share}/driveItem/content"
        return Link("OneDrive", "file", (_with(url, "download", "1"), api))
    if host.endswith(".sharepoint.com"):
        return _sharepoint(url, parts.path)
    if host in ("www.dropbox.com", "dropbox.com"):
        # Of a folder this is a zip archive.
        return Link("Dropbox", "file", (_with(url, "dl", "1"),), folder=parts.path.startswith("/sh/"))
    if host == "github.com" and (found := re.fullmatch(r"/([^/]+)/([^/]+)/blob/(.+)", parts.path)):
        return Link("GitHub", "file", (f"https://github.com/{found[1]}/{found[2]}/raw/{found[3]}",))
    if host == "www.icloud.com":
        return Link("iCloud", "browser", folder=True)
    return Link(host, "browser")


def _drive(path: str) -> Link:
    if re.search(r"/folders/[\w-]+", path):
        return Link("Google Drive", "drive-folder", folder=True)
    if found := re.search(r"/file/d/([\w-]+)", path):
        return Link("Google Drive", "drive-file", drive_id=found[1])
    return Link("Google Drive", "browser")


def _sharepoint(url: str, path: str) -> Link:
    # /:u:/g/personal/USER/TOKEN is a file, /:f:/g/personal/USER/TOKEN a folder.
    found = re.fullmatch(r"/:([a-z]):/g/(personal/[^/]+)/([^/]+)", path)
    if found is None or found[1] == "f":
        return Link("SharePoint", "browser", folder=found is not None)
    form = f"https://{urlsplit(url).netloc}/{found[2]}/_layouts/15/download.aspx?share={found[3]}"
    return Link("SharePoint", "file", (form, _with(url, "download", "1")))


def _with(url: str, name: str, value: str) -> str:
    """Return an address with a parameter, in place of another value of it."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
    return urlunsplit(parts._replace(query=urlencode([*query, (name, value)])))
