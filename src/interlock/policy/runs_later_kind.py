"""A kind of what runs later, of which `runs_later` is the table; and the names of files that are of none."""

from __future__ import annotations

from typing import Final, NamedTuple

#: What programs show and do not run: endings, in lower case. Where something that runs names such a file, it is listed
#: all the same.
INERT_ENDINGS: Final = (
    *("log", "csv", "tsv"),
    *("png", "jpg", "jpeg", "gif", "webp", "bmp", "ico", "icns", "avif", "heic", "tif", "tiff"),
    *("woff", "woff2", "ttf", "otf", "eot", "mp3", "wav", "ogg", "flac", "m4a"),
    *("mp4", "m4v", "mov", "avi", "webm", "mkv"),
)
#: Texts for people, which some tools take code out of: endings, and whole names without one.
DOCUMENT_ENDINGS: Final = ("md", "markdown", "rst", "adoc", "asciidoc", "txt", "text")
DOCUMENT_NAMES: Final = (
    *("readme", "license", "licence", "copying", "notice", "authors", "contributors", "changelog", "changes", "news"),
    *("history", "todo", "thanks", "credits"),
)


class Keys(NamedTuple):
    """A file compared key by key: in which format, which keys make something run, and which of them are told first."""

    format: str
    named: tuple[str, ...] = ()
    harmless: tuple[str, ...] = ()
    first: tuple[str, ...] = ()


class Kind(NamedTuple):
    """A kind of what runs later.

    Arguments:
        name: its name in records.
        runner: who would run it, and when.
        denied, listed: patterns and sets; what no path names is found by what it is (`finds`).
        reason: why it is denied, or why it cannot be.
        tree: the paths are folders, each listed as one thing.
        in_trees: it is listed by name within such folders too.
        rule: the rule of the presets that denies it, or asks about it.
        is_code: it is what sessions are there to write; no preset denies it.
        is_quiet: it has no word at the end of a session, where nothing else changed.
    """

    name: str
    runner: str
    denied: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    reason: str = ""
    tree: bool = False
    in_trees: bool = False
    finds: str | None = None
    keys: Keys | None = None
    rule: str = "runs-later"
    is_code: bool = False
    is_quiet: bool = False
