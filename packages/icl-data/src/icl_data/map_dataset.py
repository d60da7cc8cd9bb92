"""What torch calls a map-style data set, without torch; type checkers see torch's own class (``map_dataset.pyi``)."""

from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class MapDataset(Generic[T_co]):
    """Elements by number, with ``__getitem__`` and ``__len__``: all that ``torch.utils.data.DataLoader`` asks for."""
