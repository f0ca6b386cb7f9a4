"""What a file is that is no table, by its first bytes or words, and how to go on with it."""

from __future__ import annotations

import re
from typing import NamedTuple

_FRAME = "hand it over as a DataFrame"
_SAVE = "save the sheet as CSV in UTF-8"


class Kind(NamedTuple):
    """name: what the file is, such as "an Excel workbook"; mend: what to do with it."""

    name: str
    mend: str


_GRAPH = "read it with networkx.{} and jaxllc.Network.from_networkx, whose to_csv writes a table"
# First bytes, and the kind. Archives (zip) are told apart by what they hold.
_SIGNATURES = (
    (b"\x28\xb5\x2f\xfd", Kind("compressed with zstd", "unpack it with zstd -d")),
    (b"\x04\x22\x4d\x18", Kind("compressed with lz4", "unpack it with lz4 -d")),
    (b"\x1f\x9d", Kind("compressed with compress", "unpack it with gzip -d")),
    (b"7z\xbc\xaf\x27\x1c", Kind("a 7-Zip archive", "unpack it")),
    (b"Rar!", Kind("a RAR archive", "unpack it")),
    (b"\xd0\xcf\x11\xe0", Kind("an old Excel workbook or another Office file", _SAVE)),
    (
        b"\x89HDF",
        Kind("an HDF5 file (h5ad, netCDF 4, MATLAB 7.3)", f"read it in Python and {_FRAME}"),
    ),
    (b"CDF\x01", Kind("a netCDF file", f"read it with xarray and {_FRAME}")),
    (b"CDF\x02", Kind("a netCDF file", f"read it with xarray and {_FRAME}")),
    (
        b"\x93NUMPY",
        Kind("a NumPy array (.npy)", "read it with numpy.load and give it to Trajectories"),
    ),
    (b"PAR1", Kind("a Parquet file", f"read it with pandas.read_parquet and {_FRAME}")),
    (b"ARROW1", Kind("a Feather file", f"read it with pandas.read_feather and {_FRAME}")),
    (b"SQLite format 3\0", Kind("an SQLite data base", "write the table it holds as CSV")),
    (b"MATLAB 5.0", Kind("a MATLAB file", f"read it with scipy.io.loadmat and {_FRAME}")),
    (b"RDX", Kind("an R data file", "write the table in R with write.csv")),
    (b"%PDF", Kind("a PDF", "find the table itself as CSV or Excel")),
    (b"{\\rtf", Kind("a formatted text (RTF)", "save it as plain text")),
    (b"\x89PNG", Kind("a picture", "give the table of numbers")),
    (b"\xff\xd8\xff", Kind("a picture", "give the table of numbers")),
    (b"\x7fELF", Kind("a program", "check the name of the file")),
    (b"BEGIN_", Kind("a file of another program", "write the table as CSV")),
)
# Words somewhere in the first lines of a file that begins with "<".
_TAGS = (
    ("<graphml", Kind("GraphML", _GRAPH.format("read_graphml"))),
    ("<gexf", Kind("GEXF", _GRAPH.format("read_gexf"))),
    ("<sbml", Kind("SBML", "simulate it and give the states")),
    ("<html", Kind("a web page (HTML)", "download the table itself")),
    ("<!doctype html", Kind("a web page (HTML)", "download the table itself")),
    ("<", Kind("XML", "write the table as CSV")),
)
# Patterns that cannot match one text in two ways, so that no file makes them slow.
_WORDS = (
    (r"version https://git-lfs", Kind("a pointer of Git LFS", "fetch the file: git lfs pull")),
    (
        r"((creator|version|comment) [^\n]*\n|#[^\n]*\n|\s)*graph\s*\[",
        Kind("GML", _GRAPH.format("read_gml")),
    ),
    (r"\*(vertices|network)\b", Kind("a Pajek file", _GRAPH.format("read_pajek"))),
    (
        r"%%matrixmarket",
        Kind("a Matrix Market file", "scipy.io.mmread and jaxllc.Network.from_adjacency read it"),
    ),
    (
        r"(strict )?(di)?graph\b[^{\n,;\t]*\{",
        Kind("a DOT graph", _GRAPH.format("nx_agraph.read_dot")),
    ),
    (
        r"\{\s*[\"}]|\[\s*[\[{\"\d-]",
        Kind("JSON", f"read it with pandas.read_json and {_FRAME}"),
    ),
)


def kind_of_bytes(head: bytes) -> Kind | None:
    """What a file is that begins with these bytes, or None where it may be text."""
    if head.startswith(b"PK\x03\x04"):
        return _kind_of_archive(head)
    if head.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return Kind("a pickle", "it can run any code, so write the table as CSV where it was made")
    return next((kind for start, kind in _SIGNATURES if head.startswith(start)), None)


def _kind_of_archive(head: bytes) -> Kind:
    if b"[Content_Types]" in head or b"xl/" in head or b"_rels/" in head:
        return Kind("an Excel workbook", f"{_SAVE}, or read it with pandas.read_excel and {_FRAME}")
    if b"application/vnd.oasis" in head:
        return Kind("a LibreOffice sheet", _SAVE)
    if b".npy" in head:
        return Kind("a NumPy archive (.npz)", "read it with numpy.load and give it to Trajectories")
    return Kind("a zip archive", "unpack it")


def kind_of_text(text: str) -> Kind | None:
    """What a file of this text is, or None where it may be a table."""
    start = text[:4000].lstrip().lower()
    if re.match(r"<[!?a-z]", start):
        return next(kind for word, kind in _TAGS if word in start)
    return next((kind for pattern, kind in _WORDS if re.match(pattern, start)), None)
