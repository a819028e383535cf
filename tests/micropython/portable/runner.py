# SPDX-License-Identifier: BSD-2-Clause
# Runs the test functions of modules on any Python that is small or large; one line each, status 1 after a failure.
# Usage: runner.py FIRMWARE_FOLDER MODULE...      (the modules lie beside this file)
import sys


def main(firmware, names):
    here = __file__.rpartition("/")[0]
    sys.path[:0] = [here, firmware, firmware + "/boards"]
    failed = 0
    for name in names:
        module = __import__(name)
        for test in sorted(dir(module)):
            if not test.startswith("test_"):
                continue
            try:
                said = getattr(module, test)()
            except Exception as error:
                failed += 1
                print("not ok", name, test, repr(error))
                if hasattr(sys, "print_exception"):
                    sys.print_exception(error)
                continue
            print("ok", name, test, "" if said is None else said)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
