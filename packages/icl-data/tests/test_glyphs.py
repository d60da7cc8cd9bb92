import hashlib
import logging
import os
import sys
from pathlib import Path

import numpy as np
import PIL
import pytest

import icl_data
from icl_data import glyphs, omniglot
from icl_data.banks.glyphs import _cache_path

CODE = Path(icl_data.__file__).parent


def nearest_neighbour(bank, *, ways, shots, problems=3_000):
    """Return the accuracy of the nearest raw-pixel neighbour on few-shot problems."""
    rng = np.random.default_rng(0)
    items = bank.items.reshape(bank.num_classes, bank.counts[0], -1).astype(np.float32)
    right = 0
    for _ in range(problems):
        classes = rng.choice(bank.num_classes, ways, replace=False)
        exemplars = [rng.choice(bank.counts[0], shots + 1, replace=False) for _ in classes]
        context = np.concatenate([items[c, e[:shots]] for c, e in zip(classes, exemplars, strict=True)])
        distances = ((context - items[classes[0], exemplars[0][shots]]) ** 2).sum(1)
        right += distances.argmin() < shots
    return right / problems


def is_as_hard_as_omniglot(bank):
    ink = bank.items.mean() / 255
    few_shot, one_shot = nearest_neighbour(bank, ways=2, shots=4), nearest_neighbour(bank, ways=20, shots=1)
    return 0.05 < ink < 0.09 and 0.72 < few_shot < 0.86 and 0.15 < one_shot < 0.30


@pytest.mark.lengthy
def test_glyphs_are_as_hard_as_omniglot():
    assert is_as_hard_as_omniglot(glyphs(400, cache=False))


def test_omniglot_is_as_hard_as_omniglot(small1):
    assert is_as_hard_as_omniglot(omniglot([small1], size=28))


def test_a_glyph_does_not_depend_on_how_many_are_made():
    many = glyphs(260, num_exemplars=7, cache=False).items.reshape(260, 7, 28, 28)
    few = glyphs(258, num_exemplars=3, cache=False).items.reshape(258, 3, 28, 28)
    assert np.array_equal(many[:258, :3], few)
    assert not np.array_equal(few[:2], glyphs(2, num_exemplars=3, seed=1, cache=False).items.reshape(2, 3, 28, 28))


@pytest.fixture(scope="module")
def images_of_300():
    """Return 4 exemplars of each of 300 characters."""
    return glyphs(300, num_exemplars=4, cache=False).items


def test_no_two_images_and_no_two_classes_are_alike(images_of_300):
    images = images_of_300.reshape(300, 4, -1).astype(float)
    assert len(np.unique(images.reshape(1200, -1), axis=0)) == 1200
    assert images.reshape(1200, -1).sum(1).min() > 0.01 * 255 * 784  # none is blank


def test_ink_stays_on_the_page(images_of_300):
    images = images_of_300
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    assert (border > 127).any(axis=1).mean() < 0.06  # Omniglot small1: 0.04


def test_any_size():
    assert glyphs(2, num_exemplars=3, size=105, cache=False).items.shape == (6, 105, 105)


def test_golden_glyphs():
    # Changes with this generator, or if Pillow draws lines in another way; both also change the cache's key.
    items = glyphs(5, num_exemplars=2, cache=False).items
    assert hashlib.sha256(items.tobytes()).hexdigest()[:16] == "952030a7023f283b"


def test_the_cache_is_used_and_survives_damage(cache, monkeypatch):
    first = glyphs(3, num_exemplars=2)
    (file,) = cache.iterdir()
    np.save(file, first.items + 1)
    assert np.array_equal(glyphs(3, num_exemplars=2).items, first.items + 1)  # it was read, not drawn again
    for damage in (file.read_bytes()[:50], b"", b"\x93NUMPY garbage"):
        file.write_bytes(damage)
        assert np.array_equal(glyphs(3, num_exemplars=2).items, first.items)
    np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert np.array_equal(glyphs(3, num_exemplars=2).items, first.items)
    assert list(cache.iterdir()) == [file]  # nothing half-written stays behind


def test_the_cache_key_changes_with_everything_that_changes_the_images(monkeypatch, tmp_path):
    paths = {
        _cache_path(*arguments)
        for arguments in [(3, 2, 28, 0), (4, 2, 28, 0), (3, 3, 28, 0), (3, 2, 29, 0), (3, 2, 28, 1)]
    }
    with monkeypatch.context() as patch:
        patch.setattr(PIL, "__version__", "0")
        paths.add(_cache_path(3, 2, 28, 0))
    for number, name in enumerate(("banks/glyphs.py", "draws.py")):
        code = tmp_path / str(number)
        (code / "banks").mkdir(parents=True)
        for each in ("banks/glyphs.py", "draws.py"):
            (code / each).write_bytes((CODE / each).read_bytes() + (b"#" if each == name else b""))
        monkeypatch.setattr(sys.modules["icl_data.banks.glyphs"], "__file__", str(code / "banks" / "glyphs.py"))
        paths.add(_cache_path(3, 2, 28, 0))
    assert len(paths) == 8


@pytest.mark.parametrize("variable", ["ICL_DATA_CACHE", "XDG_CACHE_HOME"])
def test_the_cache_can_be_in_a_home(variable, monkeypatch, tmp_path):
    monkeypatch.delenv("ICL_DATA_CACHE")
    monkeypatch.setenv(variable, "~/somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _cache_path(3, 2, 28, 0).is_relative_to(tmp_path / "somewhere")


def test_a_user_without_a_home_has_no_cache_and_no_folder_of_that_name(monkeypatch, tmp_path):
    monkeypatch.delenv("ICL_DATA_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as it is without HOME and passwd entry
    monkeypatch.chdir(tmp_path)
    assert glyphs(2, num_exemplars=1).num_classes == 2
    assert list(tmp_path.iterdir()) == []


def test_without_a_writable_cache_the_bank_still_comes(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ICL_DATA_CACHE", str(tmp_path / "file"))
    with caplog.at_level(logging.WARNING):
        assert glyphs(2, num_exemplars=1).num_classes == 2
    assert "not cached" in caplog.text


@pytest.mark.parametrize(
    "arguments", [{"num_classes": 0}, {"num_classes": 1, "num_exemplars": 0}, {"num_classes": 1, "size": 7}]
)
def test_impossible_numbers_are_refused(arguments):
    with pytest.raises(ValueError, match="got"):
        glyphs(**arguments)
