import pytest

from icl_eval.attention.token_positions import TokenPositions


def test_the_last_item_is_the_query_and_tells_the_number_of_tokens() -> None:
    for length, items, labels in ((7, range(0, 7, 2), range(1, 7, 2)), (4, range(4), range(3)), (4, (1, 3), (2,))):
        assert TokenPositions(items, labels).length == length


def test_positions_can_be_a_static_argument() -> None:
    interleaved = TokenPositions([0, 2, 4], range(1, 4, 2))
    assert hash(interleaved) == hash(TokenPositions(items=(0, 2, 4), labels=(1, 3)))
    assert interleaved != TokenPositions((0, 1, 2), (0, 1))
    assert interleaved.items == (0, 2, 4)


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
def test_positions_that_are_no_sequence_are_an_error(
    items: tuple[int, ...], labels: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        TokenPositions(items, labels)
