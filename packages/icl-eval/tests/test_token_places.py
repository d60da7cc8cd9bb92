import pytest

from icl_eval.attention.token_positions import TokenPlaces


def names_of_tokens(places: TokenPlaces) -> list[str]:
    """Write out what each token holds, such as `x0 y0` for an item with its own label."""
    held = [(token, f"x{j}") for j, token in enumerate(places.items)]
    shown = [(token, f"y{j}") for j, token in enumerate(places.labels)]
    return [" ".join(name for token, name in held + shown if token == t) for t in range(places.length)]


def test_layouts_put_each_item_and_each_context_label_where_they_say() -> None:
    assert names_of_tokens(TokenPlaces.interleaved(4)) == ["x0", "y0", "x1", "y1", "x2", "y2", "x3"]
    assert names_of_tokens(TokenPlaces.concatenated(4)) == ["x0 y0", "x1 y1", "x2 y2", "x3"]
    assert names_of_tokens(TokenPlaces.previous_label(4)) == ["x0", "x1 y0", "x2 y1", "x3 y2"]


@pytest.mark.parametrize("items", [2, 9, 30])
def test_lengths_are_those_of_the_layouts(items: int) -> None:
    assert TokenPlaces.interleaved(items).length == 2 * items - 1
    assert TokenPlaces.concatenated(items).length == TokenPlaces.previous_label(items).length == items


def test_places_can_be_a_static_argument() -> None:
    assert hash(TokenPlaces.interleaved(3)) == hash(TokenPlaces(items=(0, 2, 4), labels=(1, 3)))
    assert TokenPlaces.interleaved(3) != TokenPlaces.concatenated(3)


@pytest.mark.parametrize(
    ("items", "labels", "message"),
    [
        ((0,), (), "2 or more items.*got 1 items and 0 labels"),
        ((), (), "2 or more items"),
        ((0, 2, 4), (1, 3, 5), "got 3 items and 3 labels"),
        ((0, 2, 4), (1,), "got 3 items and 1 labels"),
        ((0, 2, 2), (1, 3), r"items must be whole numbers of 0 or more in rising order, got \[0, 2, 2\]"),
        ((0, 2, 4), (3, 1), "labels must be whole numbers"),
        ((-1, 2), (0,), "items must be"),
        ((0, 2), (3,), "query's token must be the last, got label token 3 after 2"),
    ],
)
def test_places_that_are_no_sequence_are_an_error(
    items: tuple[int, ...], labels: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        TokenPlaces(items, labels)


@pytest.mark.parametrize("make", [TokenPlaces.interleaved, TokenPlaces.concatenated, TokenPlaces.previous_label])
def test_a_layout_without_context_is_an_error(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match="2 or more items"):
        make(1)
