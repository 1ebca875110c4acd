"""Images of formats that TensorFlow does not read are converted."""

import io

import numpy as np
import pytest
from PIL import Image

from pipelines.images import conversion, folders
from pipelines.images.conversion import TooLargeError, as_png, is_converted
from pipelines.images.decoding import MAX_PIXELS, decode
from pipelines.images.file_bytes import read_image_bytes, read_image_content
from pipelines.images.photos import SquarePhotos

ACROSS, DOWN = np.meshgrid(np.arange(40), np.arange(30))
PICTURE = np.stack([ACROSS * 6, DOWN * 8, 255 - ACROSS * 3], -1).astype("uint8")
ORIENTATION = 0x0112


def saved(kind, image=None, **options):
    place = io.BytesIO()
    (image or Image.fromarray(PICTURE)).save(place, kind, **options)
    return place.getvalue()


@pytest.fixture
def file(tmp_path):
    def write(content):
        (tmp_path / "image").write_bytes(content)
        return tmp_path / "image"

    return write


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_tiff_of_every_mode_is_read_as_by_pillow(mode, file):
    if mode == "I;16":
        image = Image.fromarray((ACROSS * 1500).astype("uint16"))
        expected = np.repeat((ACROSS * 1500 >> 8)[..., None], 3, -1)
    else:
        image = Image.fromarray(PICTURE).convert(mode)
        expected = np.asarray(image.convert("RGB"), "float32")
    content = saved("TIFF", image, **{} if mode == "1" else {"compression": "tiff_lzw"})
    assert is_converted(content[:32])
    read = decode(read_image_content(file(content))).numpy()
    read = read[..., :3] if read.shape[-1] >= 3 else read[..., :1].repeat(3, -1)
    assert np.abs(read - expected).mean() < 1


def test_avif_and_heic_are_read(file):
    kinds = ["AVIF"]
    if "HEIC" in conversion.converted_formats():
        import pillow_heif

        pillow_heif.register_heif_opener()
        kinds.append("HEIF")
    for kind in kinds:
        read = decode(read_image_bytes(file(saved(kind, quality=95)))).numpy()
        assert np.abs(read.astype(int) - PICTURE).mean() < 5
    assert conversion.readable_names().endswith(("BMP, WebP, AVIF or TIFF", "AVIF, HEIC or TIFF"))


def test_a_tiff_is_turned_upright_once(file):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = file(saved("TIFF", exif=exif))
    assert decode(read_image_bytes(path)).shape == (40, 30, 3)


def test_large_and_damaged_files_are_refused_before_they_are_decoded(file):
    with pytest.raises(TooLargeError, match="40 x 30 pixels"):
        as_png(saved("TIFF"), 1199)
    assert MAX_PIXELS > 1e7
    for content in (saved("TIFF")[:60], b"II*\0" + bytes(60), saved("AVIF")[:80]):
        with pytest.raises(ValueError, match="damaged"):
            read_image_bytes(file(content))
    deep = Image.fromarray(np.ones((4, 4), "float32"))
    with pytest.raises(ValueError, match="32 bits"):
        read_image_bytes(file(saved("TIFF", deep)))


def test_a_folder_of_tiff_and_avif_is_read(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, (kind, suffix) in enumerate((("TIFF", ".tif"), ("AVIF", ""), ("PNG", ".png"))):
            image = Image.fromarray(PICTURE + np.uint8(number))
            (tmp_path / "photos" / name / f"{number}{suffix}").write_bytes(saved(kind, image))
    source = folders.source(str(tmp_path / "photos"), SquarePhotos(16), None)
    assert len(source.train) == 6
    assert not source.notes
