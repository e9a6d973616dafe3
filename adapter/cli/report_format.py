"""The formats in which problems of files are written."""

from __future__ import annotations

from enum import StrEnum


class ReportFormat(StrEnum):
    """For people, for programs, for code scanners, for GitHub's annotations."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"
