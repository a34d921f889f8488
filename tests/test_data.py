"""Fashion-MNIST comes from any source, is never taken altered, and is cached whole or not at all."""

import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fetch_data
import numpy as np
import pytest
import torch

from prodgen import data
from prodgen.data import Condition, DataError, ImageDataset, cache, fashion_mnist

SIZES = {"train": 30, "t10k": 20}


def small_files() -> dict[str, bytes]:
    """Four files in the published format, with few images."""
    rng = np.random.default_rng(0)
    files = {}
    for prefix, n in SIZES.items():
        pixels = rng.integers(0, 256, (n, 28, 28), np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        files[f"{prefix}-images-idx3-ubyte"] = struct.pack(">4i", 2051, n, 28, 28) + pixels.tobytes()
        files[f"{prefix}-labels-idx1-ubyte"] = struct.pack(">2i", 2049, n) + labels.tobytes()
    return files


def write_archives(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The small files are "the published ones", the cache is empty, and no source has them."""
    files = small_files()
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(fashion_mnist, "SHA256", hashes)
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PRODGEN_DATA", raising=False)

    def no_network(address):
        raise OSError("network unreachable")

    monkeypatch.setattr(fashion_mnist, "PACKAGE_FILES", tmp_path / "no-package.list")
    monkeypatch.setattr(fashion_mnist, "_download", no_network)
    return files


def assert_is_small_train(dataset: ImageDataset, files: dict[str, bytes]) -> None:
    assert dataset.images.shape == (30, 1, 28, 28)
    assert dataset.images.numpy().tobytes() == files["train-images-idx3-ubyte"][16:]
    assert dataset.labels.tolist() == [i % 10 for i in range(30)]


def cached(name: str) -> Path:
    return cache.cache_dir() / "fashion-mnist" / name


# ---- the real thing


def test_the_published_data_can_be_had_on_this_machine():
    """End to end with the ordinary cache: the book cannot be built without it."""
    train, test = data.load("fashion-mnist"), data.load("fashion-mnist", "test", image_size=28)
    assert train.images.shape == (60_000, 1, 28, 28) and train.images.dtype == torch.uint8
    assert test.images.shape == (10_000, 1, 28, 28) and test.labels.dtype == torch.int64
    assert train.labels.bincount().tolist() == [6000] * 10
    assert test.labels.bincount().tolist() == [1000] * 10
    # The mean and standard deviation that everyone normalises Fashion-MNIST by.
    pixels = train.images.numpy() / 255
    assert pixels.mean() == pytest.approx(0.2860, abs=5e-5)
    assert pixels.std() == pytest.approx(0.3530, abs=5e-5)
    # Ankle boots come to a toe: more ink low than high; trousers are narrow: little ink at the sides.
    boots, trousers = (train.of_class(name).batch(slice(0, 1000)) for name in ("Ankle boot", "Trouser"))
    assert boots[:, :, 14:].mean() > boots[:, :, :14].mean()
    assert trousers[..., :6].mean() < -0.95


# ---- sources


def test_with_nothing_at_hand_the_error_names_every_way(small):
    with pytest.raises(DataError) as error:
        data.load("fashion-mnist")
    message = str(error.value)
    for way in ("network", "PRODGEN_DATA", "train-images-idx3-ubyte.gz", "dataset-fashion-mnist", "apt-get"):
        assert way in message
    tried = ["$PRODGEN_DATA: not set", "dataset-fashion-mnist: not installed", "network unreachable"]
    assert [message.index(reason) for reason in tried] == sorted(message.index(reason) for reason in tried)
    assert not cached("").exists()


@pytest.mark.parametrize("below", ["", "fashion-mnist", "FashionMNIST/raw"])
def test_prodgen_data_may_hold_the_files_in_three_places(small, tmp_path, monkeypatch, below):
    write_archives(tmp_path / "mine" / below, small)
    monkeypatch.setenv("PRODGEN_DATA", str(tmp_path / "mine"))
    assert_is_small_train(data.load("fashion-mnist"), small)


def test_what_debian_has_installed_is_read_where_it_lies(small, tmp_path, monkeypatch):
    write_archives(tmp_path / "usr", small)

    paths = [tmp_path / "usr", tmp_path / "usr" / "README.md.gz", *(tmp_path / "usr").glob("*-ubyte.gz")]
    fashion_mnist.PACKAGE_FILES.write_text("".join(f"{path}\n" for path in paths))
    assert_is_small_train(data.load("fashion-mnist"), small)


def test_the_next_mirror_is_asked_when_one_is_silent(small, monkeypatch):
    from torchvision.datasets import FashionMNIST

    def download(address):
        if address.startswith("http://dead/"):
            raise OSError("network unreachable")
        return gzip.compress(small[address.removeprefix("http://alive/").removesuffix(".gz")])

    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://dead/", "http://alive/"])
    monkeypatch.setattr(fashion_mnist, "_download", download)
    assert_is_small_train(data.load("fashion-mnist"), small)


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(fashion_mnist, "NETWORK_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(OSError, match="timed out"):
        fashion_mnist._download(f"http://127.0.0.1:{silent.getsockname()[1]}/x.gz")


class FakeApt:
    """Stands in for apt-get and dpkg-deb in `make data`; without package lists until `update` was run."""

    def __init__(self, files: dict[str, bytes], has_lists: bool):
        self.files, self.has_lists, self.commands = files, has_lists, []

    def __call__(self, *command, cwd=None):
        self.commands.append(command)
        own = [option.split("=")[1] for option in command if "Dir::" in option]
        if command[-1] == "update":
            assert own and all(Path(folder, "partial").is_dir() for folder in (own[0], f"{own[1]}/archives"))
            assert all(
                Path(folder).is_relative_to(cwd) for folder in own
            )  # nothing of the machine's is touched
            self.has_lists = True
            raise subprocess.CalledProcessError(100, command)
        if "download" in command:
            if not self.has_lists:
                raise subprocess.CalledProcessError(100, command)
            Path(cwd, "dataset-fashion-mnist_0_all.deb").write_bytes(b"")
        if command[0] == "dpkg-deb":
            write_archives(Path(command[-1], "usr/share/datasets/fashion-mnist"), self.files)


@pytest.mark.parametrize("has_lists", [True, False])
def test_make_data_has_apt_fetch_the_package_with_lists_of_its_own_where_the_machine_has_none(
    small, tmp_path, monkeypatch, has_lists
):
    apt = FakeApt(small, has_lists)
    monkeypatch.setattr(fetch_data, "run", apt)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setitem(os.environ, "PRODGEN_DATA", "")
    assert fetch_data.main() == 0
    assert_is_small_train(data.load("fashion-mnist"), small)
    assert [command[-1] == "update" for command in apt.commands].count(True) == (0 if has_lists else 1)
    assert not list(tmp_path.glob("prodgen-*"))  # the fetched package does not stay behind


def test_make_data_says_every_way_and_fails_where_none_leads_there(small, monkeypatch, capsys):
    def no_program(*command, cwd):
        raise FileNotFoundError(2, "No such file or directory", command[0])

    monkeypatch.setattr(fetch_data, "run", no_program)
    assert fetch_data.main() == 2
    said = capsys.readouterr().err
    assert "network unreachable" in said and "apt-get download dataset-fashion-mnist: " in said


# ---- hostile files


def truncated(archive: bytes) -> bytes:
    return archive[: len(archive) // 2]


def altered(archive: bytes) -> bytes:
    content = bytearray(gzip.decompress(archive))
    content[100] ^= 1
    return gzip.compress(bytes(content))


def not_gzip(archive: bytes) -> bytes:
    return b"<html>404</html>"


@pytest.mark.parametrize("damage", [truncated, altered, not_gzip, None])
def test_a_bad_source_is_refused_and_the_next_one_asked(small, tmp_path, monkeypatch, damage):
    folder = tmp_path / "mine"
    write_archives(folder, small)
    bad = folder / "t10k-images-idx3-ubyte.gz"
    bad.unlink() if damage is None else bad.write_bytes(damage(bad.read_bytes()))
    monkeypatch.setenv("PRODGEN_DATA", str(folder))
    with pytest.raises(DataError, match="PRODGEN_DATA: "):
        data.load("fashion-mnist", "test")
    assert not cached("").exists()  # nothing of a bad source gets into the cache

    downloads = lambda address: gzip.compress(small[Path(address).stem])  # noqa: E731
    monkeypatch.setattr(fashion_mnist, "_download", downloads)
    test = data.load("fashion-mnist", "test")
    assert test.images.numpy().tobytes() == small["t10k-images-idx3-ubyte"][16:]


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("content", [b"", b"short", None])
def test_a_bad_file_in_the_cache_is_never_served_and_is_replaced(small, tmp_path, monkeypatch, name, content):
    monkeypatch.setattr(fashion_mnist, "_download", lambda address: gzip.compress(small[Path(address).stem]))
    data.load("fashion-mnist")
    flipped = small[name][:-1] + bytes([small[name][-1] ^ 1])
    cached(name).write_bytes(flipped if content is None else content)

    with monkeypatch.context() as offline:
        offline.setattr(fashion_mnist, "SOURCES", ())
        with pytest.raises(DataError):
            data.load("fashion-mnist")
    assert_is_small_train(data.load("fashion-mnist"), small)
    assert cached(name).read_bytes() == small[name]


def test_a_full_cache_needs_no_source(small, tmp_path, monkeypatch):
    write_archives(tmp_path / "mine", small)
    monkeypatch.setenv("PRODGEN_DATA", str(tmp_path / "mine"))
    data.load("fashion-mnist")
    shutil.rmtree(tmp_path / "mine")
    monkeypatch.setattr(fashion_mnist, "SOURCES", ())
    assert_is_small_train(data.load("fashion-mnist"), small)


LOADER = """
import json, sys
from prodgen import data
from prodgen.data import fashion_mnist
fashion_mnist.SHA256 = json.load(sys.stdin)
assert len(data.load("fashion-mnist")) == 30 and len(data.load("fashion-mnist", "test")) == 20
"""


def test_processes_that_fill_the_cache_at_once_do_not_break_one_another(small, tmp_path):
    write_archives(tmp_path / "mine", small)
    environment = {**os.environ, "PRODGEN_DATA": str(tmp_path / "mine")}
    processes = [
        subprocess.Popen([sys.executable, "-c", LOADER], stdin=subprocess.PIPE, env=environment)
        for _ in range(3)
    ]
    for process in processes:
        process.stdin.write(json.dumps(fashion_mnist.SHA256).encode())
        process.stdin.close()
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert sorted(file.name for file in cached("").iterdir()) == sorted(small)


# ---- the cache


def test_the_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PRODGEN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache.cache_dir() == tmp_path / ".cache" / "prodgen"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.cache_dir() == Path("/xdg/prodgen")
    monkeypatch.setenv("PRODGEN_CACHE", "~/here")
    assert cache.cache_dir() == tmp_path / "here"
    monkeypatch.delenv("PRODGEN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative, so to be ignored")
    assert cache.cache_dir() == tmp_path / ".cache" / "prodgen"
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does for a user without a home
    with pytest.raises(DataError, match="PRODGEN_CACHE"):
        cache.cache_dir()


def test_a_cache_that_cannot_be_written_is_named_with_the_way_out(small, tmp_path, monkeypatch):
    write_archives(tmp_path / "mine", small)
    monkeypatch.setenv("PRODGEN_DATA", str(tmp_path / "mine"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("PRODGEN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match=r"Cannot write to the data cache .*file.cache.*PRODGEN_CACHE"):
        data.load("fashion-mnist")


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(failure), cache.write_cache(target) as file:
        file.write(b"half of the ne")
        raise failure
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_write_leaves_no_file_of_that_name(tmp_path):
    program = f"""
import os, signal
from pathlib import Path
from prodgen.data.cache import write_cache
with write_cache(Path({str(tmp_path / "file")!r})) as file:
    file.write(bytes(1 << 20))
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -signal.SIGKILL
    assert not (tmp_path / "file").exists()


def test_of_two_that_make_the_same_folder_the_first_wins_and_nothing_is_left(tmp_path):
    with cache.write_cache_folder(tmp_path / "x") as late:
        (late / "file").write_text("late")
        with cache.write_cache_folder(tmp_path / "x") as early:
            (early / "file").write_text("early")
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]
    assert (tmp_path / "x" / "file").read_text() == "early"


def test_what_a_dead_writer_left_beside_a_file_is_removed_and_what_is_at_work_stays(tmp_path):
    for name, age in ((".file.1.dead", 2 * cache.DEAD), (".file.2.alive", 0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with cache.write_cache(tmp_path / "file") as file:
        file.write(b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".file.2.alive", "file"]


def test_a_file_larger_than_memory_can_be_mapped(tmp_path):
    size = 4 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(size)
    assert len(cache.map_bytes(tmp_path / "sparse")) == size


def test_writing_to_mapped_images_warns_of_nothing_and_leaves_the_cache_alone(tmp_path, recwarn):
    (tmp_path / "file").write_bytes(b"abc")
    torch.from_numpy(cache.map_bytes(tmp_path / "file"))[0] = 0
    assert (tmp_path / "file").read_bytes() == b"abc"
    assert not recwarn


# ---- ImageDataset and the conversions


@pytest.fixture
def dataset() -> ImageDataset:
    images = torch.arange(6 * 3 * 4 * 4).remainder(256).to(torch.uint8).view(6, 3, 4, 4)
    labels = torch.tensor([0, 1, 1, 0, 2, 1])
    condition = Condition.of_classes(["Bag", "Coat", "Dress"])
    return ImageDataset("set", "train", images, "CC0", "here", {"label": labels}, condition)


def test_bytes_become_floats_in_minus_one_to_one_and_come_back():
    every = torch.arange(256, dtype=torch.uint8)
    floats = data.to_float(every)
    assert floats.dtype == torch.float32 and floats[0] == -1 and floats[-1] == 1
    assert torch.equal(data.to_uint8(floats), every)
    assert data.to_uint8(torch.tensor([-1.5, 1.5, -0.999, 0.0039])).tolist() == [0, 255, 0, 128]
    coarse = torch.linspace(-1, 1, 1000, dtype=torch.bfloat16)  # a model's output may be; its sum must not
    assert torch.equal(data.to_uint8(coarse), data.to_uint8(coarse.float()))


def test_a_batch_is_the_same_whatever_names_its_images(dataset):
    expected = dataset.images[2:5].float() / 127.5 - 1
    for indices in (slice(2, 5), [2, 3, 4], range(2, 5), np.arange(2, 5), torch.tensor([2, 3, 4])):
        torch.testing.assert_close(dataset.batch(indices), expected, rtol=0, atol=0)
    assert dataset.batch([]).shape == (0, 3, 4, 4)


def test_a_class_is_chosen_by_name_or_number(dataset):
    for coats in (dataset.of_class("Coat"), dataset.of_class(1)):
        assert torch.equal(coats.images, dataset.images[[1, 2, 5]]) and coats.labels.tolist() == [1, 1, 1]
        assert coats.num_classes == 3  # labels keep their meaning
    with pytest.raises(DataError, match="no class 'Hat'; it has: Bag, Coat, Dress"):
        dataset.of_class("Hat")
    for number in (-1, 3):
        with pytest.raises(DataError, match="0 to 2"):
            dataset.of_class(number)


def test_a_subset_keeps_images_and_labels_together(dataset):
    part = dataset.subset([4, 0])
    assert torch.equal(part.images, dataset.images[[4, 0]]) and part.labels.tolist() == [2, 0]
    assert dataset.subset(slice(0, 2)).images.data_ptr() == dataset.images.data_ptr()
    assert (len(part), part.image_size, part.channels, part.num_classes) == (2, 4, 3, 3)
    moved = dataset.to("meta")
    assert moved.images.device.type == moved.labels.device.type == "meta"


def test_a_data_set_without_classes_says_so(dataset):
    bare = ImageDataset("set", "train", dataset.images, "CC0", "here")
    assert bare.num_classes == 0 and bare.subset([1]).labels is None and bare.to("cpu").labels is None
    with pytest.raises(DataError, match="no classes"):
        bare.of_class(0)


def test_every_name_is_described_as_it_is_loaded():
    for name in data.names():
        if name == "clothing":  # not everywhere at hand; test_data_clothing.py has an archive of its own
            continue
        info, test = data.describe(name), data.load(name, "test")
        assert (info.name, info.licence, info.source) == (test.name, test.licence, test.source)
        assert (info.image_size, info.channels) == (test.image_size, test.channels)
        assert info.images["test"] == len(test) and info.class_names == test.class_names
    with pytest.raises(DataError, match=re.escape(", ".join(data.names()))):
        data.describe("mnist")


def test_a_data_set_is_told_in_one_line():
    told = []
    data.load("fashion-mnist", report=told.append)
    (line,) = told
    assert line.startswith("fashion-mnist: images: 60,000 train, 10,000 test; classes: T-shirt/top, Trouser")


def test_what_fashion_mnist_has_not_is_said(tmp_path):
    with pytest.raises(DataError, match="28 pixels only, not 64"):
        data.load("fashion-mnist", image_size=64)
    with pytest.raises(DataError, match="no split 'all'; it has: train, test"):
        data.load("fashion-mnist", "all")
