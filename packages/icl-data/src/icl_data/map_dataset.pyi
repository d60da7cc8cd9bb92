from typing import Generic, TypeVar

from torch.utils.data import Dataset

T_co = TypeVar("T_co", covariant=True)

class MapDataset(Dataset[T_co], Generic[T_co]): ...
