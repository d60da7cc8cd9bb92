"""The snippets of a Markdown file become one script, in their order."""

import pytest

from tools.snippets import blocks, main

TEXT = """# Title

```python
import one
```

```json
{"one": 1}
```

```python
from torch.nn import Linear
```

- In a list:

```python
print(one)
```
"""


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "icl-tiny" / "README.md"
    path.parent.mkdir()
    path.write_text(TEXT)
    return path


def test_blocks_are_of_one_language(readme):
    assert blocks(readme, "python")[0::2] == ["import one\n", "print(one)\n"]
    assert blocks(readme, "json") == ['{"one": 1}\n']


@pytest.mark.parametrize(
    ("options", "script"),
    [
        ([], "import one\n\nfrom torch.nn import Linear\n\nprint(one)\n"),
        (["--without-others"], "import one\n\nprint(one)\n"),
    ],
)
def test_each_file_with_snippets_gets_a_script_whose_name_is_printed(readme, tmp_path, capsys, options, script):
    none = tmp_path / "none.md"
    none.write_text("Only words.")
    main([str(tmp_path), str(readme), str(none), *options])
    written = tmp_path / "icl_tiny_README.py"
    assert capsys.readouterr().out == f"{written}\n"
    assert written.read_text() == script
    assert not list(tmp_path.glob("*none*.py"))
