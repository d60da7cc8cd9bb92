import inspect
import io
import os
import struct
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from icl_data import omniglot
from icl_data.banks.image_decoding import decode_image

GOOD = "images_background/Greek/character01/0394_01.png"


def png(side=105, ink=0):
    pixels = np.full((side, side), 255, np.uint8)
    pixels[3:9, ink : ink + 40] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).convert("1").save(file, "PNG")
    return file.getvalue()


def with_chunk(encoded, kind, content, after=None):
    """Put a chunk into a PNG, in place of its header or behind another."""
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    if kind == b"IHDR":
        return encoded[:8] + chunk + encoded[33:]
    place = encoded.index(after) - 4 if after else 33
    place += 12 + struct.unpack(">I", encoded[place : place + 4])[0] if after else 0
    return encoded[:place] + chunk + encoded[place:]


def write_zip(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_the_real_file_gives_136_characters_by_20_drawers(small1):
    bank = omniglot([small1])
    assert bank.num_classes == 136
    assert set(bank.counts) == {20}
    assert (bank.items.shape, bank.items.dtype) == ((2720, 105, 105), np.uint8)
    assert set(np.unique(bank.items)) == {0, 255}
    assert 0.06 < bank.items.mean() / 255 < 0.09  # ink is the rare colour


def test_classes_are_in_the_order_of_omniglots_numbers(small1):
    with zipfile.ZipFile(small1) as archive:
        names = sorted((name for name in archive.namelist() if name.endswith(".png")), key=lambda name: name[-11:])
        expected = np.asarray(Image.open(io.BytesIO(archive.read(names[20 * 57 + 4]))).convert("L"))
    assert np.array_equal(omniglot([small1]).gather(np.array([57]), np.array([4]))[0], 255 - expected)


@pytest.mark.lengthy
def test_polarity_and_size(small1):
    ink, paper = (omniglot([small1], size=28, polarity=name) for name in ("ink_is_one", "paper_is_one"))
    assert ink.items.shape == (2720, 28, 28)
    assert np.array_equal(ink.items, 255 - paper.items)
    assert abs(ink.items.mean() - omniglot([small1]).items.mean()) < 0.5  # a box filter keeps the amount of ink


@pytest.mark.lengthy
def test_overlapping_zips_merge(small1, tmp_path):
    with zipfile.ZipFile(small1) as archive:
        entries = {name: archive.read(name) for name in archive.namelist() if name.endswith(".png")}
    other_root = {name.replace("_small1", ""): content for name, content in entries.items()}
    latin = write_zip(tmp_path / "latin.zip", {n: c for n, c in other_root.items() if "/Latin/" in n})
    rest = write_zip(tmp_path / "rest.zip", {n: c for n, c in other_root.items() if "/Korean/" not in n})
    merged = omniglot([latin, small1, rest])
    assert np.array_equal(merged.items, omniglot([small1]).items)
    assert omniglot([latin]).num_classes == 26
    assert omniglot([rest]).num_classes < 136


LITTER = [
    *("__MACOSX/._x", "__MACOSX/images_background/Greek/._character01", ".DS_Store", "images_background/.DS_Store"),
    *("images_background/._Greek", "images_background/Greek/character01/._0394_01.png", "._images_background"),
    *("images_background/Greek/Thumbs.db", "images_background/Greek/character01/thumbs.db", "desktop.ini"),
    *("images_background/Greek/Desktop.ini", ".ipynb_checkpoints/a.ipynb"),
    *("images_background/Greek/character01/.ipynb_checkpoints/0394_01-checkpoint.png", "@eaDir/x"),
    *("images_background/Greek/@eaDir/character01/0394_01.png", "images_background/Greek/character01/.nfs000000012a"),
]


@pytest.mark.parametrize("form", ["as it was", "./", "outer/", "./outer folder/"])
@pytest.mark.parametrize("litter", [[name] for name in LITTER] + [LITTER])
def test_litter_outer_folders_and_dots_in_front_are_passed_over(tmp_path, form, litter):
    front = "" if form == "as it was" else form
    content = dict.fromkeys(litter, b"\x00litter") | {GOOD: png(), GOOD.replace("_01", "_02"): png(ink=5)}
    whole = {f"{front}{name}": value for name, value in content.items()}
    if front:
        whole = {front: b"", f"{front}images_background/": b"", **whole}
    bank = omniglot([write_zip(tmp_path / "a.zip", whole)])
    assert (bank.num_classes, bank.counts.tolist()) == (1, [2])
    if "outer" not in form:
        assert omniglot(unpack(tmp_path / "unpacked", content)).fingerprint() == bank.fingerprint()


def test_litter_beside_an_outer_folder_does_not_hide_it(tmp_path):
    entries = {"outer/" + GOOD: png(), "__MACOSX/outer/._images_background": b"", ".DS_Store": b""}
    assert omniglot([write_zip(tmp_path / "a.zip", entries)]).num_classes == 1


@pytest.mark.parametrize("front", ["../", "/", "outer/../", "outer/inner/", "out\0er/", "./../", ".//"])
def test_an_outer_folder_is_one_and_leads_nowhere(tmp_path, front):
    with pytest.raises(ValueError, match=r"unexpected entry|not a sound zip|no Omniglot image"):
        omniglot([write_zip(tmp_path / "a.zip", {front + GOOD: png()})])


@pytest.mark.parametrize("name", ["x.db", "Thumbs.db.png", "a._b", "nfs1", "eaDir/x.png", "readme"])
def test_what_only_looks_like_litter_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="unexpected entry"):
        omniglot([write_zip(tmp_path / "a.zip", {GOOD: png(), f"images_background/Greek/{name}": b""})])


def saved(pixels, mode=None, **options):
    """Save an image again as a program might: pixels with channels, or of 16 bits, with options of Pillow's."""
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, "PNG", **options)
    return file.getvalue()


PAPER = np.full((105, 105), 255, np.uint8)
PAPER[20:60, 30:50] = 0  # 7 % ink
ALPHA = 255 - PAPER


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved(255 - PAPER), "93% dark pixels; Omniglot's drawings are dark strokes on light paper"),
        (saved(np.full((105, 105), 255, np.uint8)), "0% dark pixels"),
        (saved(np.zeros((105, 105), np.uint8)), "100% dark pixels"),
        (saved(np.dstack([PAPER, PAPER, PAPER, ALPHA])), "transparent pixels, which would be lost"),
        (saved(np.dstack([PAPER * 0, PAPER * 0, PAPER * 0, ALPHA])), "transparent pixels"),
        (saved(np.dstack([PAPER, ALPHA])), "transparent pixels"),
        (saved(PAPER, "P", transparency=255), "transparent pixels"),
        (saved(PAPER, transparency=255), "transparent pixels"),
        (saved(PAPER.astype(np.uint16) * 3), "more than 8 bits"),
    ],
)
def test_a_set_that_was_saved_again_otherwise_is_noticed(tmp_path, content, message):
    with pytest.raises(ValueError, match=rf"a\.zip: {GOOD} has {message}") as caught:
        omniglot([write_zip(tmp_path / "a.zip", {GOOD: content})], size=28)
    assert "use the original file" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        saved(np.dstack([PAPER] * 3)),
        saved(PAPER, "P"),
        saved(PAPER, "1"),
        saved(np.dstack([PAPER] * 3 + [PAPER * 0 + 255])),
    ],
)
def test_a_set_that_was_saved_again_alike_is_read(tmp_path, content):
    bank = omniglot([write_zip(tmp_path / "a.zip", {GOOD: content})])
    assert np.array_equal(bank.items[0], 255 - PAPER)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({GOOD: png()[:-40]}, "not a sound PNG"),
        ({GOOD: png()[:-12]}, "not a sound PNG"),
        ({GOOD: png()[:60] + b"?" + png()[61:]}, "not a sound PNG"),
        ({GOOD: png()[:20]}, "not a sound PNG"),
        ({GOOD: b"GIF89a"}, "not a sound PNG"),
        ({GOOD: png(side=28)}, "28 x 28 pixels; expected 105 x 105"),
        ({GOOD: bytes(100_000)}, "100000 bytes"),
        ({"../" + GOOD: png()}, "unexpected entry '../"),
        ({"../Greek/character01/0394_01.png": png()}, "unexpected entry"),
        ({"a/../character01/0394_01.png": png()}, "unexpected entry"),
        ({"/" + GOOD: png()}, "unexpected entry"),
        (
            {GOOD: png(), "images_background/readme.txt": b"hi"},
            "unexpected entry 'images_background/readme.txt'",
        ),
        ({GOOD.replace("0394", "394"): png()}, "unexpected entry"),
        ({GOOD.replace("0394", "٠٣٩٤"): png()}, "unexpected entry"),
        ({GOOD.replace("Greek", "Greek\n"): png()}, "unexpected entry"),
        ({GOOD.replace("0394", "0000"): png()}, "but no character 0 by drawer 1"),
        ({GOOD.replace("0394", "1624"): png()}, r"characters 1\.\.1623, each by .* 1\.\.20, but no character 1624"),
        ({GOOD.replace("_01", "_00"): png()}, "but no character 394 by drawer 0"),
        ({GOOD.replace("_01", "_21"): png()}, "but no character 394 by drawer 21"),
        ({GOOD: with_chunk(png(), b"iCCP", b"", after=b"IDAT")}, "0394_01.png is not a sound PNG"),
        ({GOOD: with_chunk(png(), b"IHDR", b"\0\0\0\1")}, "0394_01.png is not a sound PNG"),
        ({GOOD: with_chunk(png(), b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 24), 9)[:9000])}, "not a sound PNG"),
        ({}, "no Omniglot image"),
        (
            {GOOD: png(), GOOD.replace("Greek", "Latin"): png(ink=9)},
            "differs from the image of character 394, drawer 1",
        ),
    ],
)
def test_a_bad_zip_gets_one_clear_line(tmp_path, entries, message):
    path = write_zip(tmp_path / "bad.zip", entries)
    with pytest.raises(ValueError, match=message) as caught:
        omniglot([path])
    assert "bad.zip" in str(caught.value) and "\n" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["bad.zip"]


def test_any_flipped_bit_gets_one_clear_line_or_does_no_harm(tmp_path):
    path = tmp_path / "flipped.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(GOOD, png())
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            assert omniglot([path]).num_classes == 1
        except ValueError as error:
            refused += 1
            assert "flipped.zip" in str(error) and "\n" not in str(error)
    assert refused > len(whole) / 3 / 2


def test_a_decompression_bomb_is_refused(tmp_path):
    header = struct.pack(">4sIIBBBBB", b"IHDR", 60_000, 60_000, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    with pytest.raises(ValueError, match="not a sound PNG"):
        omniglot([write_zip(tmp_path / "bomb.zip", {GOOD: bomb + png()[33:]})])


def test_missing_damaged_or_no_zip(tmp_path, small1):
    with pytest.raises(FileNotFoundError, match=r"No Omniglot zip at .*nowhere\.zip; give the path"):
        omniglot([tmp_path / "nowhere.zip"])
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(ValueError, match="not a sound zip file"):
        omniglot([tmp_path / "text.zip"])
    whole = small1.read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a sound zip file"):
        omniglot([tmp_path / "cut.zip"])
    middle = len(whole) // 2
    (tmp_path / "flipped.zip").write_bytes(whole[:middle] + bytes(400) + whole[middle + 400 :])
    with pytest.raises(ValueError, match="not a sound"):
        omniglot([tmp_path / "flipped.zip"])
    with pytest.raises(ValueError, match="at least one zip"):
        omniglot([])
    with pytest.raises(ValueError, match=r"1\.\.105"):
        omniglot([small1], size=106)


def unpack(folder, entries):
    for name, content in entries.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


FEW = {
    f"images_background/{alphabet}/character{character:02d}/{first + character:04d}_{drawer:02d}.png": png(ink=drawer)
    for alphabet, first in [("Greek", 393), ("Latin", 682)]
    for character in (1, 2)
    for drawer in (1, 2, 3)
}


def test_one_path_several_and_folders_give_the_same_bank(tmp_path):
    bank = omniglot([write_zip(tmp_path / "images_background.zip", FEW)])
    assert (bank.num_classes, bank.items.shape) == (4, (12, 105, 105))
    greek = {name: content for name, content in FEW.items() if "Greek" in name}
    (tmp_path / "zips").mkdir()
    write_zip(tmp_path / "zips" / "images_a.zip", greek)
    write_zip(tmp_path / "zips" / "images_b.zip", FEW)
    (tmp_path / "zips" / "strokes_background.zip").write_text("not Omniglot's images, so not touched")
    unpack(tmp_path / "unpacked", FEW)
    (tmp_path / "unpacked" / "notes").mkdir()
    (tmp_path / "unpacked" / "notes" / "readme.txt").write_text("not in a set, so not touched")
    (tmp_path / "unpacked" / "images_background" / ".DS_Store").write_bytes(b"what macOS adds")
    unpack(tmp_path / "both", {name: content for name, content in FEW.items() if "Latin" in name})
    write_zip(tmp_path / "both" / "images_a.zip", greek)
    for source in [
        tmp_path / "images_background.zip",
        str(tmp_path / "zips"),
        tmp_path / "unpacked",
        tmp_path / "unpacked" / "images_background",
        tmp_path / "both",
        (tmp_path / name for name in ("zips", "both")),
    ]:
        other = omniglot(source)
        assert np.array_equal(other.items, bank.items) and np.array_equal(other.counts, bank.counts), source


def test_an_alphabet_is_its_characters_alone(tmp_path):
    bank = omniglot(write_zip(tmp_path / "images_background.zip", FEW))
    latin = omniglot(tmp_path / "images_background.zip", alphabet="Latin", size=7)
    assert latin.items.shape == (6, 7, 7)
    both = [omniglot(tmp_path / "images_background.zip", alphabet=name).every_item() for name in ("Greek", "Latin")]
    assert np.array_equal(np.concatenate(both), bank.every_item())
    with pytest.raises(ValueError, match=r"There is no alphabet 'Korean' here; there are Greek, Latin\."):
        omniglot(tmp_path / "images_background.zip", alphabet="Korean")


def test_a_folder_is_found_by_any_of_its_names(tmp_path, monkeypatch):
    unpack(tmp_path, FEW)
    monkeypatch.chdir(tmp_path / "images_background")
    assert omniglot(".").num_classes == omniglot("..").num_classes == 4
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "images_background")
    with pytest.raises(ValueError, match=r"link is a symbolic link; give the path that it leads to instead"):
        omniglot(".")
    assert omniglot("link").num_classes == 4  # a link that was given by name is the user's own wish


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images_background/readme.txt", b"hi", "unexpected entry 'images_background/readme.txt'"),
        ("images_background/Greek/charcter03/0396_01.png", png(), "unexpected entry 'images_background/Greek/charcter"),
        ("images_background/Greek/character03/396_01.png", png(), "unexpected entry"),
        ("images_background/Greek/character03/0396_01.png/x", png(), "unexpected entry"),
        ("images_background/Greek/character03/0396_01.png", bytes(100_000), "100000 bytes"),
        ("images_background/Greek/character03/0396_01.png", png()[:-12], "not a sound PNG"),
        ("images_background/Greek/character03/0396_01.png", png(side=28), "28 x 28 pixels; expected 105 x 105"),
        ("images_background/Latin/character03/0394_01.png", png(ink=9), "differs from the image of character 394"),
        ("images_b.zip", b"hello", "not a sound zip file"),
    ],
)
def test_a_folder_with_what_omniglot_has_not_gets_one_clear_line(tmp_path, name, content, message):
    folder = unpack(tmp_path / "data", FEW)
    assert omniglot(folder).num_classes == 4
    unpack(folder, {name: content})
    with pytest.raises(ValueError, match=message) as caught:
        omniglot(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "images_background/Greek/character03/0396_01.png",
        "images_background/Greek/character03",
        "images_background/Tibetan",
        "images_b.zip",
    ],
)
def test_links_inside_a_folder_are_refused(tmp_path, name):
    outside = unpack(tmp_path / "outside", {name: png()}) / name
    folder = unpack(tmp_path / "data", FEW)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(outside)
    with pytest.raises(ValueError, match="is a symbolic link; give the path that it leads to instead") as caught:
        omniglot(folder)
    assert name in str(caught.value)


def test_a_loop_of_links_ends(tmp_path):
    folder = unpack(tmp_path / "data", FEW)
    (folder / "images_background" / "Greek" / "again").symlink_to(folder)
    with pytest.raises(ValueError, match="symbolic link"):
        omniglot(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    folder = unpack(tmp_path / "data", FEW)
    os.mkfifo(folder / "images_background" / "Greek" / "character01" / "0394_04.png")
    with pytest.raises(ValueError, match=r"0394_04\.png is no ordinary file"):
        omniglot(folder)


def test_a_folder_without_omniglot_is_told_what_was_expected(tmp_path):
    with pytest.raises(ValueError, match=r"holds no Omniglot; expected images_\*\.zip, folders <set>/<alphabet>"):
        omniglot(tmp_path)
    (tmp_path / "images_background" / "Greek" / "character01").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds no Omniglot image"):
        omniglot(tmp_path)


@pytest.mark.lengthy
def test_no_more_than_one_copy_of_the_pixels_is_made(small1):
    tracemalloc.start()
    try:
        size = omniglot(small1).items.nbytes
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.6 * size


@pytest.mark.parametrize("polarity", ["ink_is_zero", "", None, ["ink_is_one"]])
def test_another_polarity_is_refused(tmp_path, polarity):
    with pytest.raises(ValueError, match="polarity must be one of 'ink_is_one', 'paper_is_one', got"):
        inspect.unwrap(omniglot)(tmp_path / "nowhere.zip", polarity=polarity)


@pytest.mark.parametrize("name", ["0394_21.png", "0394_00.png", "1624_01.png", "0000_01.png"])
def test_a_folder_has_no_more_characters_and_drawers_than_omniglot(tmp_path, name):
    folder = unpack(tmp_path / "data", {**FEW, f"images_background/Greek/character09/{name}": png()})
    with pytest.raises(ValueError, match=rf"{name}: Omniglot has the characters 1\.\.1623"):
        omniglot(folder)


def test_the_same_pixels_in_other_bytes_are_one_drawing(tmp_path):
    again = with_chunk(png(), b"tEXt", b"Comment\0saved again")
    paths = [write_zip(tmp_path / f"{number}.zip", {GOOD: content}) for number, content in enumerate([png(), again])]
    assert omniglot(paths).num_classes == 1


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_in_any_compression_gets_one_clear_line(tmp_path, method):
    path = tmp_path / "damaged.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(GOOD, png())
    whole, start = path.read_bytes(), 30 + len(GOOD)  # of what is compressed
    refused = 0
    for place in range(start, start + 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            assert omniglot(path).num_classes == 1
        except ValueError as error:
            refused += 1
            assert "damaged.zip is not a sound zip file" in str(error) and "\n" not in str(error)
    assert refused > 50


def test_any_damaged_image_gets_one_clear_line_or_does_no_harm(tmp_path):
    rng = np.random.default_rng(0)
    kinds = [b"iCCP", b"tRNS", b"zTXt", b"iTXt", b"pHYs", b"gAMA", b"PLTE", b"acTL", b"fcTL", b"eXIf", b"cHRM", b"IHDR"]
    refused = 0
    for number in range(300):
        content = rng.bytes(rng.integers(0, 30))
        after = [None, b"IDAT"][number % 2]
        image = with_chunk(png(), kinds[number % len(kinds)], content, after=after)
        path = write_zip(tmp_path / "bad.zip", {GOOD: image})
        try:
            assert omniglot(path).num_classes == 1
        except ValueError as error:
            refused += 1
            assert "bad.zip" in str(error) and "0394_01.png" in str(error) and "\n" not in str(error)
    assert refused > 30


def test_a_huge_image_is_an_error_and_no_warning():
    file = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(file, "PNG")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match=r"huge\.png is not a sound PNG .DecompressionBombWarning"):
            decode_image(file.getvalue(), "huge.png", formats=["PNG"], mode="L", size=None)
    assert not caught
