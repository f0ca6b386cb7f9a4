"""Files are opened once and told apart by their content: pipes, compressed tables, other formats, damage."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest

from jaxllc.data.readers import read_edges, read_features, read_states
from jaxllc.errors import InputError
from jaxllc.files import file_text

# Longer than the buffer of a pipe, so that a file read in two parts would lose its head.
TABLE = "time,a,b\n" + "".join(f"{t},{t * 0.1!r},{t**0.5!r}\n" for t in range(3000))
EDGES = "sender,receiver\n" + "".join(f"n{n},n{n + 1}\n" for n in range(9000))


@pytest.fixture
def states(tmp_path):
    path = tmp_path / "states.csv"
    path.write_text(TABLE)
    return read_states(path)[0]


def pipe_of(path, content: bytes) -> threading.Thread:
    """A FIFO, and a thread that fills it."""
    os.mkfifo(path)

    def fill():
        with open(path, "wb") as file:
            file.write(content)

    thread = threading.Thread(target=fill)
    thread.start()
    return thread


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_pipe_is_read_whole(tmp_path, states, pack):
    thread = pipe_of(tmp_path / "states", pack(TABLE.encode()))
    (read,) = read_states(tmp_path / "states")
    thread.join()
    np.testing.assert_array_equal(read.states, states.states)
    thread = pipe_of(tmp_path / "edges", pack(EDGES.encode()))
    assert read_edges(tmp_path / "edges").num_edges == 9000
    thread.join()


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="the system has no /dev/stdin")
def test_standard_input_is_read_whole():
    code = "import jaxllc; print(jaxllc.read_edges('/dev/stdin').num_edges)"
    done = subprocess.run(
        [sys.executable, "-c", code], input=EDGES, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["9000"]


@pytest.mark.parametrize("name", ["states.csv", "states.gz", "states.csv.bz2", "states.zip"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_the_content_decides_on_compression_and_not_the_name(tmp_path, states, name, pack):
    (tmp_path / name).write_bytes(pack(TABLE.encode()))
    (read,) = read_states(tmp_path / name)
    np.testing.assert_array_equal(read.states, states.states)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path, encoding):
    path = tmp_path / "edges.csv"
    path.write_bytes("sender,receiver\nGyőr,Łódź\n".encode(encoding))
    assert read_edges(path).names == ("Győr", "Łódź")


def test_names_that_look_alike_are_alike(tmp_path):
    (tmp_path / "edges.csv").write_text("sender,receiver\nGyo\u030br,b\n", encoding="utf-8")
    (tmp_path / "features.csv").write_text("node,w\nGyőr,1\nb,2\n", encoding="utf-8")
    names = read_edges(tmp_path / "edges.csv").names
    assert read_features(tmp_path / "features.csv", names=names)["w"].tolist() == [1, 2]


def archive(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr(name, "x")
    return stream.getvalue()


def saved(save, **arrays) -> bytes:
    stream = io.BytesIO()
    save(stream, **arrays)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (archive("[Content_Types].xml"), "an Excel workbook; save the sheet as CSV"),
        (archive("xl/workbook.xml"), "an Excel workbook"),
        (archive("states.csv"), "a zip archive; unpack it"),
        (saved(np.savez, a=np.ones(3)), "a NumPy archive .*numpy.load"),
        (saved(np.save, arr=np.ones(3)), "a NumPy array"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
        (b"\x28\xb5\x2f\xfd" + bytes(20), "is compressed with zstd; unpack it"),
        (b"\x80\x04\x95" + bytes(20), "a pickle"),
        (b"PAR1" + bytes(20), "a Parquet file"),
        (b"%PDF-1.7\n", "a PDF"),
        (
            b'<?xml version="1.0"?>\n<!-- a --><graphml xmlns="x"></graphml>',
            "GraphML; .*read_graphml.*from_networkx",
        ),
        (b"graph [\n directed 1\n node [ id 0 ] ]", "GML; .*read_gml"),
        (b"# remark\nCreator me\ngraph\n[\n node [ id 0 ] ]", "GML; .*read_gml"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b'{"time": [0, 1]}', "JSON; read it with pandas.read_json"),
        (b"[[0, 1], [1, 0]]", "JSON"),
        (b"*Vertices 3\n1 a\n", "a Pajek file"),
        (b"%%MatrixMarket matrix coordinate\n", "a Matrix Market file"),
        (b"digraph g { a -> b }", "a DOT graph"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"\0" * 1000, "not a text table"),
        ("time,a\n0,1\n".encode("utf-16-le"), "UTF-16 text without a mark"),
        ("time,Győr\n0,1\n".encode("cp1250"), "not UTF-8 text; save it in UTF-8.*row 1.*0xf5"),
        ("time,a\n0,1\n1,Łódź\n".encode("cp1250"), "row 3"),
    ],
)
@pytest.mark.parametrize("read", [read_states, read_edges, read_features])
def test_files_of_other_kinds_are_named_with_the_way_on(tmp_path, content, sentence, read):
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read(path)


def test_other_kinds_are_named_when_they_are_compressed(tmp_path):
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"\x89HDF\r\n\x1a\n" + bytes(100)))
    with pytest.raises(InputError, match="HDF5"):
        read_states(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(gzip.compress(gzip.compress(TABLE.encode())))
    with pytest.raises(InputError, match="packed twice"):
        read_states(tmp_path / "b.csv")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_damaged_files_are_named(tmp_path, pack):
    packed, rng = pack(TABLE.encode()), np.random.default_rng(0)
    path = tmp_path / "states.csv"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match="is a damaged"):
        read_states(path)
    for _ in range(20):
        flipped = bytearray(packed)
        flipped[rng.integers(10, len(packed))] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        try:
            read_states(path)
        except InputError:
            continue


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(file_text, "LARGEST_UNPACKED", 2**20)
    (tmp_path / "bomb.csv").write_bytes(gzip.compress(b"time,a\n" + b"0,0\n" * 2**20))
    with pytest.raises(InputError, match="more than 1 MiB when unpacked"):
        read_states(tmp_path / "bomb.csv")


def test_a_file_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(file_text, "LARGEST", 2**20)
    (tmp_path / "states.csv").write_text("time,a\n" + "0,0\n" * 2**19)
    with pytest.raises(InputError, match="holds more than"):
        read_states(tmp_path / "states.csv")


@pytest.mark.parametrize(
    "start",
    ["graph ", "<!-- -->" * 400, "#" * 3000 + "\n", "creator x\n" * 300, "digraph a b " * 300],
)
def test_no_text_makes_the_look_at_it_slow(start):
    from jaxllc.files.file_kinds import kind_of_text

    kind_of_text(start * 3)


def test_what_is_no_path_is_named(tmp_path):
    for wrong in (3, None, np.ones((3, 3)), [[1, 2]], b"x.csv", {"time": [1]}):
        with pytest.raises(InputError, match="must be the path of a file or a pandas DataFrame"):
            read_states(wrong)
    with pytest.raises(InputError, match="no name of a file"):
        read_states("a\0b")
    with pytest.raises(InputError, match="it is a folder"):
        read_edges(tmp_path)
