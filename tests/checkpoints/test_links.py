"""What links of releases are, and under which addresses a program gets the file."""

from __future__ import annotations

from collections import Counter

import pytest

from fssbench.checkpoints import records
from fssbench.checkpoints.links import link_of

SHAREPOINT = "https://x-my.sharepoint.com"


@pytest.mark.parametrize(
    ("url", "host", "kind", "addresses"),
    [
        (
            f"{SHAREPOINT}/:u:/g/personal/me_x/EaBc?e=12",
            "SharePoint",
            "file",
            [
                f"{SHAREPOINT}/personal/me_x/_layouts/15/download.aspx?share=EaBc",
                f"{SHAREPOINT}/:u:/g/personal/me_x/EaBc?e=12&download=1",
            ],
        ),
        (f"{SHAREPOINT}/:f:/g/personal/me_x/EaBc?e=12", "SharePoint", "browser", []),
        (
            "https://1drv.ms/u/c/1/E_-a?e=b",
            "OneDrive",
            "file",
            [
                "https://1drv.ms/u/c/1/E_-a?e=b&download=1",
                "https://api.onedrive.com/v1.0/shares/u!aHR0cHM6Ly8xZHJ2Lm1zL3UvYy8xL0VfLWE_ZT1i/driveItem/content",
            ],
        ),
        ("https://www.dropbox.com/sh/a/b?dl=0", "Dropbox", "file", ["https://www.dropbox.com/sh/a/b?dl=1"]),
        (
            "https://github.com/a/b/blob/master/c/d.pth",
            "GitHub",
            "file",
            ["https://github.com/a/b/raw/master/c/d.pth"],
        ),
        ("https://drive.google.com/drive/folders/1z4Kgj?usp=sharing", "Google Drive", "drive-folder", []),
        ("https://drive.google.com/file/d/1It-nv/view?usp=sharing", "Google Drive", "drive-file", []),
        ("https://www.icloud.com/iclouddrive/036#RePRI", "iCloud", "browser", []),
        ("https://example.org/page", "example.org", "browser", []),
    ],
)
def test_what_a_link_is(url: str, host: str, kind: str, addresses: list[str]) -> None:
    link = link_of(url, "page")
    assert (link.host, link.kind, list(link.addresses)) == (host, kind, addresses)


def test_a_file_is_taken_as_it_is() -> None:
    assert link_of("https://drive.google.com/a.pt", "file").addresses == ("https://drive.google.com/a.pt",)


def test_only_icloud_and_folders_of_sharepoint_take_a_browser() -> None:
    links = [link_of(entry.url, entry.hosting) for entry in records() if entry.url and entry.hosting == "page"]
    assert Counter((link.host, link.kind) for link in links) == {
        ("SharePoint", "file"): 92,
        ("SharePoint", "browser"): 40,
        ("Google Drive", "drive-folder"): 118,
        ("Google Drive", "drive-file"): 32,
        ("OneDrive", "file"): 8,
        ("Dropbox", "file"): 8,
        ("GitHub", "file"): 4,
        ("iCloud", "browser"): 12,
    }
