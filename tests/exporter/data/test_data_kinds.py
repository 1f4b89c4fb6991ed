"""Each kind of ``--data``: what it reads, and what it says of data that cannot be read."""

import gzip
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exporter import data
from exporter.data import Dataset, idx
from runtimes.errors import UsageError

RANDOM = np.random.default_rng(3)


def images_of(n: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (n, 28, 28), np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, joint: str = "-", packed: bool = False) -> dict[str, np.ndarray]:
    """Four small files as MNIST names them; the arrays that are in them."""
    arrays = {
        f"train-images{joint}idx3-ubyte": images_of(12),
        f"train-labels{joint}idx1-ubyte": np.arange(12, dtype=np.uint8) % 3,
        f"t10k-images{joint}idx3-ubyte": images_of(5),
        f"t10k-labels{joint}idx1-ubyte": np.arange(5, dtype=np.uint8) % 3,
    }
    for name, array in arrays.items():
        raw = idx_bytes(array)
        (folder / f"{name}.gz" if packed else folder / name).write_bytes(
            gzip.compress(raw) if packed else raw
        )
    return arrays


def write_classes(root: Path, **counts: int) -> None:
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(RANDOM.integers(0, 256, (40, 30, 3), np.uint8)).save(
                root / name / f"{number}.png"
            )


def check_shapes(found: Dataset, train: int, heldout: int) -> None:
    assert found.train_images.shape == (train, 28, 28, 1)
    assert found.heldout_images.shape == (heldout, 28, 28, 1)
    assert found.train_labels.shape == (train,)
    assert found.heldout_labels.shape == (heldout,)
    assert found.train_images.dtype == found.heldout_images.dtype == np.uint8
    assert found.train_labels.dtype == found.heldout_labels.dtype == np.int64


# --- names and places


def test_the_folder_is_the_list() -> None:
    assert data.names() == ["digits", "fashion-mnist", "folder", "idx", "mnist", "npz"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("digitz", "Did you mean 'digits'"),
        ("fashion_mnist", "Did you mean 'fashion-mnist'"),
        ("", "The kinds are: digits"),
        ("npz", "npz:PATH"),
        ("idx:", "idx:PATH"),
        ("digits:/some/where", "takes no place"),
        ("mnist:/some/where", "idx:DIR"),
        ("idx:/no/such/folder", "/no/such/folder"),
        ("npz:/no/such/file.npz", "/no/such/file.npz"),
        ("folder:/no/such/folder", "/no/such/folder"),
    ],
)
def test_what_cannot_be_found_is_a_usage_error(spec: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        data.load(spec)
    assert says in str(caught.value)
    assert caught.value.exit_code == 2


# --- digits


def test_digits_are_centred_as_mnist_is_and_split_by_class() -> None:
    found = data.load("digits")
    check_shapes(found, 1438, 359)
    assert found.labels == tuple("0123456789")
    border = found.train_images.copy()
    border[:, 4:24, 4:24] = 0
    assert border.max() == 0
    assert found.train_images.max() == 255
    assert 50 < found.train_images[:, 4:24, 4:24].mean() < 110
    counts, held = np.bincount(found.train_labels), np.bincount(found.heldout_labels)
    assert np.all(np.abs(held / (counts + held) - 0.2) < 0.01)


def test_digits_are_split_the_same_way_every_time_with_nothing_on_both_sides() -> None:
    one, two = data.load("digits"), data.load("digits")
    assert np.array_equal(one.train_images, two.train_images)
    assert np.array_equal(one.heldout_labels, two.heldout_labels)
    train = {image.tobytes() for image in one.train_images}
    assert not train & {image.tobytes() for image in one.heldout_images}


# --- split


def test_split_keeps_image_and_label_together_and_loses_none() -> None:
    labels = np.repeat(np.arange(3), (10, 2, 1))
    images = np.arange(13, dtype=np.uint8)[:, None, None, None] * np.ones((1, 28, 28, 1), np.uint8)
    found = data.split("x", images, labels, ("a", "b", "c"))
    every = np.concatenate([found.train_images, found.heldout_images])[:, 0, 0, 0]
    assert sorted(every) == list(range(13))
    assert np.array_equal(labels[every], np.concatenate([found.train_labels, found.heldout_labels]))
    assert np.bincount(found.heldout_labels, minlength=3).tolist() == [
        2,
        1,
        0,
    ]  # one image alone is trained on


# --- idx


@pytest.mark.parametrize("joint", ["-", "."])
@pytest.mark.parametrize("packed", [True, False])
def test_idx_reads_plain_and_gz_in_both_spellings(tmp_path: Path, joint: str, packed: bool) -> None:
    train, train_labels, held, held_labels = write_idx(tmp_path, joint, packed).values()
    found = data.load(f"idx:{tmp_path}")
    check_shapes(found, 12, 5)
    assert np.array_equal(found.train_images[..., 0], train)
    assert np.array_equal(found.heldout_images[..., 0], held)
    assert np.array_equal(found.train_labels, train_labels)
    assert np.array_equal(found.heldout_labels, held_labels)
    assert found.labels == tuple("0123456789")
    assert found.train_images.flags.writeable  # torch.from_numpy warns of arrays that are not


def test_idx_names_classes_by_labels_txt(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "labels.txt").write_text("cat\ndog\n\nbird\n")
    assert data.load(f"idx:{tmp_path}").labels == ("cat", "dog", "bird")
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    with pytest.raises(UsageError, match=r"labels run from 0 to 2, for 2 classes"):
        data.load(f"idx:{tmp_path}")
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"labels\.txt cannot be read"):
        data.load(f"idx:{tmp_path}")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no IDX file"),
        (b"\0\0\x08", "no IDX file"),
        (b"\0\0\x0d\x01" + bytes(8), "starts with 00 00 0d 01"),  # floats
        (b"\x89PNG" + bytes(30), "no IDX file"),
        (idx_bytes(images_of(12))[:9], "no IDX file"),
        (idx_bytes(images_of(12))[:-1], "header says 9408 bytes of data, it has 9407"),
        (idx_bytes(images_of(12)) + b"x", "it has 9409"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "is cut off"),
    ],
)
def test_a_damaged_idx_file_is_a_usage_error(tmp_path: Path, raw: bytes, says: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(raw)
    with pytest.raises(UsageError) as caught:
        idx.read(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("cut", [1, 5, 30, -8, -1])
def test_a_truncated_gz_is_a_usage_error(tmp_path: Path, cut: int) -> None:
    write_idx(tmp_path, packed=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UsageError) as caught:
        data.load(f"idx:{tmp_path}")
    assert str(path) in str(caught.value)


def test_idx_says_which_file_is_missing(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UsageError, match="has no t10k-labels-idx1-ubyte"):
        data.load(f"idx:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("train-labels-idx1-ubyte", np.arange(11, dtype=np.uint8) % 3, "12 train images, but 11 labels"),
        ("train-labels-idx1-ubyte", np.zeros(12, np.uint8), "two classes or more"),
        ("train-labels-idx1-ubyte", np.zeros((12, 28, 28), np.uint8), "labels of uint8 (12, 28, 28)"),
        ("train-images-idx3-ubyte", np.zeros((12, 32, 32), np.uint8), "28x28"),
        ("train-images-idx3-ubyte", np.zeros(12, np.uint8), "28x28"),
    ],
)
def test_idx_parts_must_fit(tmp_path: Path, name: str, array: np.ndarray, says: str) -> None:
    write_idx(tmp_path)
    (tmp_path / name).write_bytes(idx_bytes(array))
    with pytest.raises(UsageError) as caught:
        data.load(f"idx:{tmp_path}")
    assert says in str(caught.value)


def test_idx_without_samples_is_a_usage_error(tmp_path: Path) -> None:
    write_idx(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(images_of(0)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.zeros(0, np.uint8)))
    with pytest.raises(UsageError, match="no held-out images"):
        data.load(f"idx:{tmp_path}")


# --- npz


def test_npz_in_four_parts(tmp_path: Path) -> None:
    x, y = images_of(9), np.arange(9) % 3
    np.savez(tmp_path / "a.npz", x_train=x[:6], y_train=y[:6], x_test=x[6:, ..., None], y_test=y[6:, None])
    found = data.load(f"npz:{tmp_path / 'a.npz'}")
    check_shapes(found, 6, 3)
    assert np.array_equal(found.train_images[..., 0], x[:6])
    assert np.array_equal(found.heldout_images[..., 0], x[6:])
    assert np.array_equal(found.heldout_labels, y[6:])
    assert (found.name, found.labels) == ("a", ("0", "1", "2"))


def test_npz_floats_become_bytes_and_are_split(tmp_path: Path) -> None:
    x, y = images_of(20), np.repeat([0, 1], 10).astype(np.uint8)
    np.savez_compressed(tmp_path / "a.npz", x=x.astype(np.float32) / 255, y=y)
    found = data.load(f"npz:{tmp_path / 'a.npz'}")
    check_shapes(found, 16, 4)
    assert np.bincount(found.heldout_labels).tolist() == [2, 2]
    mine = {(image.tobytes(), int(label)) for image, label in zip(x, y, strict=True)}
    its = zip(
        np.concatenate([found.train_images, found.heldout_images]),
        np.concatenate([found.train_labels, found.heldout_labels]),
        strict=True,
    )
    assert {(image.tobytes(), int(label)) for image, label in its} == mine


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"x": images_of(4)}, "holds x; it needs x_train"),
        ({}, "holds nothing"),
        ({"x": images_of(4), "y": np.arange(3) % 2}, "4 images, but 3 labels"),
        ({"x": images_of(4), "y": np.array([0.0, 1, 0, 1])}, "labels of float64"),
        ({"x": images_of(4), "y": np.eye(4, dtype=int)}, "labels of int64 (4, 4)"),
        ({"x": images_of(4), "y": np.array([0, 1, 0, 10**12])}, "labels up to 1000000000000"),
        ({"x": images_of(4), "y": np.array([-1, 1, 0, 1])}, "run from -1"),
        ({"x": images_of(4), "y": np.ones(4, int)}, "two classes or more"),
        ({"x": images_of(0), "y": np.ones(0, int)}, "no train images"),
        ({"x": images_of(4).astype(int), "y": np.arange(4) % 2}, "int64 images"),
        ({"x": images_of(4).astype(float), "y": np.arange(4) % 2}, "floats between 0 and 1"),
        ({"x": np.full((4, 28, 28), np.nan), "y": np.arange(4) % 2}, "from nan to nan"),
        ({"x": np.zeros((4, 28, 28, 3), np.uint8), "y": np.arange(4) % 2}, "28x28 in grey"),
        ({"x": np.zeros((4, 32, 32), np.uint8), "y": np.arange(4) % 2}, "(32, 32)"),
    ],
)
def test_npz_that_does_not_fit_is_a_usage_error(
    tmp_path: Path, arrays: dict[str, np.ndarray], says: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError) as caught:
        data.load(f"npz:{tmp_path / 'a.npz'}")
    assert says in str(caught.value)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("unpickled"),)


def test_npz_is_never_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", x=images_of(4), y=np.array([Bomb()], object), allow_pickle=True)
    Path("b.npz").write_bytes(pickle.dumps(Bomb()))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(UsageError, match="cannot be read"):
            data.load(f"npz:{name}")
    assert not Path("unpickled").exists()
    np.load("a.npz", allow_pickle=True)["y"]
    assert Path("unpickled").exists(), "the bomb itself does not work"


@pytest.mark.parametrize("keep", [0, 10, 200, -30])
def test_a_truncated_npz_is_a_usage_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=images_of(4), y=np.arange(4) % 2)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UsageError, match="cannot be read"):
        data.load(f"npz:{path}")


def test_an_npz_with_a_flipped_byte_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=images_of(40), y=np.arange(40) % 2)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("x.npy").header_offset
    for place in range(start + 60, start + 2000, 97):
        raw = bytearray(path.read_bytes())
        raw[place] ^= 0xFF
        (tmp_path / "b.npz").write_bytes(raw)
        with pytest.raises(UsageError, match="cannot be read"):
            data.load(f"npz:{tmp_path / 'b.npz'}")


def test_a_single_array_is_no_npz(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", images_of(4))
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(UsageError, match="cannot be read"):
        data.load(f"npz:{tmp_path / 'a.npz'}")


# --- folder


def test_folder_names_are_the_classes(tmp_path: Path) -> None:
    write_classes(tmp_path, dog=5, cat=10)
    (tmp_path / ".git").mkdir()
    (tmp_path / "README").write_text("not a class")
    found = data.load(f"folder:{tmp_path}")
    check_shapes(found, 12, 3)
    assert found.labels == ("cat", "dog")
    assert np.bincount(found.train_labels).tolist() == [8, 4]
    assert np.bincount(found.heldout_labels).tolist() == [2, 1]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "1"])
def test_folder_reads_any_mode_as_grey(tmp_path: Path, mode: str) -> None:
    write_classes(tmp_path, a=2)
    (tmp_path / "b").mkdir()
    Image.new("L", (28, 28), 255).convert(mode).save(tmp_path / "b" / "white.png")
    Image.new("L", (28, 28), 255).convert(mode).save(tmp_path / "b" / "white2.png")
    found = data.load(f"folder:{tmp_path}")
    assert np.all(found.train_images[found.train_labels == 1] == 255)


def test_folder_scales_16_bits_instead_of_clipping(tmp_path: Path) -> None:
    write_classes(tmp_path, a=2, b=1)
    ramp = np.repeat(np.arange(28, dtype=np.uint16)[:, None] * 2340, 28, axis=1)
    Image.fromarray(ramp).save(tmp_path / "b" / "0.png")
    found = data.load(f"folder:{tmp_path}")
    (image,) = found.train_images[found.train_labels == 1]
    assert np.array_equal(image[:, 3, 0], (ramp[:, 3] >> 8).astype(np.uint8))


def test_folder_turns_photographs_upright(tmp_path: Path) -> None:
    write_classes(tmp_path, a=2, b=1)
    picture = np.zeros((28, 28), np.uint8)
    picture[:14] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(picture).save(tmp_path / "b" / "0.png", exif=exif)
    found = data.load(f"folder:{tmp_path}")
    (image,) = found.train_images[found.train_labels == 1]
    assert image[:10].max() == 0
    assert image[18:].min() == 255


def test_folder_errors_name_the_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has 0 class folder"):
        data.load(f"folder:{tmp_path}")
    write_classes(tmp_path, a=3, b=0)
    with pytest.raises(UsageError, match=r"/b has no images"):
        data.load(f"folder:{tmp_path}")
    damaged = tmp_path / "b" / "damaged.png"
    damaged.write_bytes((tmp_path / "a" / "0.png").read_bytes()[:300])
    with pytest.raises(UsageError, match=r"damaged\.png is no image that can be read"):
        data.load(f"folder:{tmp_path}")
