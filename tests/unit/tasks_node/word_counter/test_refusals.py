"""What the program says when it stops."""

from pathlib import Path

from tests.support.node_program import assert_refused, copy_program, run_program


def test_an_internal_error_exits_70_without_its_text(tmp_path: Path) -> None:
    """A defect is named by type and line; its text, here a secret, is not shown."""
    program = copy_program(tmp_path)
    # The script's folder comes first on the path, so this is the heapq that the program gets.
    (tmp_path / "heapq.py").write_text("def nlargest(*a, **k): raise RuntimeError('sig=secret')")

    done = run_program(tmp_path, "--filepath", "-", "--numwords", "1", program=program)

    assert_refused(done, 70, "RuntimeError", "heapq.py:1")
    assert b"secret" not in done.stderr + done.stdout
