"""Keys and what is drawn from them: against published numbers, and JAX's own Threefry."""

import math

import numpy as np
import pytest

from icl_data import random_keys
from icl_data.random_keys import random_bits, random_normals, random_uniforms, threefry

# kat_vectors of Random123 1.14 (Salmon et al. 2011), lines "threefry2x32 20": counter, key, result.
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]
INDICES = np.array([0, 1, 2, 700, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1])


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_it_is_the_published_cipher(counter, key, words):
    found = threefry(*(np.array([half], np.uint32) for half in (*key, *counter)))
    assert tuple(int(word[0]) for word in found) == words


def test_bits_are_those_of_jax():
    jax = pytest.importorskip("jax", reason="the accelerator's side needs jax: pip install icl-data[jax]")
    from jax.extend.random import threefry_2x32

    jax.config.update("jax_numpy_rank_promotion", "raise")
    keys = random_keys(3, "train", INDICES)
    low, high = random_bits(keys, 5, 1_001)
    for there in (random_bits(jax.numpy.asarray(keys), 5, 1_001), jax.jit(lambda k: random_bits(k, 5, 1_001))(keys)):
        assert isinstance(there[0], jax.Array)
        assert np.array_equal(there[0], low) and np.array_equal(there[1], high)
    for row, key in enumerate(keys):
        counters = jax.numpy.concatenate([np.arange(1_001, dtype=np.uint32), np.full(1_001, 5, np.uint32)])
        assert np.array_equal(threefry_2x32(jax.numpy.asarray(key), counters), np.concatenate([low[row], high[row]]))


def test_a_key_depends_on_seed_stream_and_index_alone_and_no_two_are_equal():
    keys = random_keys(3, "train", INDICES)
    order = np.array([4, 0, 4, 8, 1])
    assert np.array_equal(random_keys(3, "train", INDICES[order]), keys[order])
    others = [random_keys(seed, stream, INDICES) for seed, stream in ((4, "train"), (3, "test"), (3 + 2**32, "train"))]
    assert len(np.unique(np.concatenate([keys, *others]), axis=0)) == 4 * len(INDICES)
    assert len(np.unique(random_keys(0, "train", np.arange(10**5)), axis=0)) == 10**5


@pytest.mark.parametrize("wrong", [(-1, "train", INDICES), (0, "a\0b", INDICES), (0, "train", -INDICES)])
def test_what_has_no_key_is_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        random_keys(*wrong)


def test_bits_of_keys_and_purposes_are_independent():
    keys = random_keys(0, "train", np.arange(20))
    words = [*random_bits(keys, 0, 300), *random_bits(keys, 1, 300)]
    bits = np.unpackbits(np.concatenate(words).view(np.uint8), axis=1).astype(float)  # 80 rows of 9,600
    limit = 5.5 / bits.shape[1] ** 0.5
    assert np.abs(np.corrcoef(bits) - np.eye(len(bits))).max() < limit
    assert np.abs(bits.mean(1) - 0.5).max() < limit / 2


def test_keys_never_change_between_versions():
    assert random_keys(11, "train", np.array([3])).tolist() == [[3924590811, 854791909]]


def test_floats_are_those_of_jax_and_do_not_depend_on_how_many_rows_or_pieces_there_are():
    jax = pytest.importorskip("jax", reason="the accelerator's side needs jax: pip install icl-data[jax]")
    keys = random_keys(3, "train", INDICES)
    for width in (0, 1, 2, 7, 40_001):  # the last in several pieces
        uniforms, normals = random_uniforms(keys, "a", width), random_normals(keys, "a", width)
        assert uniforms.shape == normals.shape == (9, width) and uniforms.dtype == normals.dtype == np.float32
        assert np.array_equal(jax.jit(lambda k, n=width: random_uniforms(k, "a", n))(keys), uniforms)
        there = jax.jit(lambda k, n=width: random_normals(k, "a", n))(keys)
        np.testing.assert_allclose(there, normals, atol=2e-5)
        assert np.array_equal(random_normals(keys[3:4], "a", width)[0], normals[3])
    assert random_uniforms(keys[:0], "a", 5).shape == (0, 5)


def test_uniforms_are_uniform_and_normals_standard_normal():
    keys = random_keys(1, "test", np.arange(2_000))
    uniforms = np.sort(random_uniforms(keys, "a", 101).ravel().astype(np.float64))
    n = len(uniforms)
    assert uniforms[0] >= 0 and uniforms[-1] < 1
    # Kolmogorov and Smirnov's distance exceeds 1.95 / sqrt(n) once in a thousand times.
    assert np.abs(uniforms - (np.arange(n) + 0.5) / n).max() < 1.95 / np.sqrt(n)
    normals = random_normals(keys, "a", 101).astype(np.float64)
    assert abs(normals.mean()) < 4 / np.sqrt(n) and abs(normals.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((normals**4).mean() - 3) < 4 * np.sqrt(96 / n) and 4 < np.abs(normals).max() < 6
    below = 0.5 + 0.5 * np.array(list(map(math.erf, np.sort(normals.ravel()) / math.sqrt(2))))
    assert np.abs(below - (np.arange(n) + 0.5) / n).max() < 1.95 / np.sqrt(n)


def test_floats_of_other_names_kinds_places_and_keys_are_independent():
    keys = random_keys(1, "test", np.arange(5_000))
    drawn = [draw(keys, name, 5) for draw in (random_uniforms, random_normals) for name in ("a", "b", "weights")]
    drawn.append(random_normals(random_keys(2, "test", np.arange(5_000)), "a", 5))
    columns = np.concatenate(drawn, axis=1).astype(np.float64)
    for power in (1, 2):  # the two normals of a pair of words are sine and cosine of one angle: their squares count
        correlations = np.corrcoef(columns**power, rowvar=False)
        assert np.abs(correlations - np.eye(35)).max() < 4.5 / np.sqrt(5_000)


def test_floats_never_change_between_versions():
    keys = random_keys(11, "train", np.array([3, 2**62]))
    assert np.array_equal(np.float32(GOLDEN_UNIFORMS), random_uniforms(keys, "golden", 3))
    assert np.allclose(random_normals(keys, "golden", 3), GOLDEN_NORMALS, atol=1e-5)


GOLDEN_UNIFORMS = [[0.817066073, 0.069333971, 0.300745904], [0.210733593, 0.245832384, 0.756793439]]
GOLDEN_NORMALS = [[-0.828692675, -0.37232843, 0.33437115], [0.213292062, 1.047830105, -0.264131039]]
