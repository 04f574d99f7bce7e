"""Split files of releases, brought into the project's own form."""
