"""Runs the Python tests (`*_test.py`) of a folder and ends with `N passed, N failed` on a line of its own.

usage: python_tests.py FOLDER
"""

import sys
import unittest


def main(folder):
    sys.dont_write_bytecode = True
    suite = unittest.defaultTestLoader.discover(folder, pattern="*_test.py", top_level_dir=folder)
    result = unittest.TextTestRunner(stream=sys.stdout).run(suite)
    # Subtests can fail several times within one test; it is still one test that failed.
    failed = len({case.id().split(" ")[0] for case, _ in result.failures + result.errors})
    failed += len(result.unexpectedSuccesses)
    skipped = len(result.skipped)
    passed = max(0, result.testsRun - failed - skipped)
    print("\n%d passed, %d failed%s" % (passed, failed, ", %d skipped" % skipped if skipped else ""))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
