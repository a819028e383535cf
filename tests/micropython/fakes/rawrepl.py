# SPDX-License-Identifier: BSD-2-Clause
# The raw REPL of a board (MicroPython documentation, "The MicroPython Interactive Interpreter Mode") on standard input
# and output: MicroPython's unix port has none. The board's files are those of the present folder.
import io
import sys

_BANNER = b"raw REPL; CTRL-B to exit\r\n>"


def put(data):
    sys.stdout.buffer.write(data)


def run(code, scope):
    put(b"OK")
    try:
        exec(compile(code, "<stdin>", "exec"), scope)
        put(b"\x04\x04>")
    except SystemExit:
        raise
    except BaseException as error:
        text = io.StringIO()
        sys.print_exception(error, text)
        put(b"\x04" + text.getvalue().encode() + b"\x04>")


def main():
    scope = {"__name__": "__main__"}
    raw = False
    line = bytearray()
    while True:
        byte = sys.stdin.buffer.read(1)
        if not byte:
            return
        if raw and byte == b"\x01" and bytes(line) == b"\x05A":
            line = bytearray()
            put(b"R\x00")  # no paste mode
        elif byte == b"\x01":
            raw = True
            line = bytearray()
            put(_BANNER)
        elif byte == b"\x02":
            raw = False
            put(b"\r\n>>> ")
        elif byte == b"\x03":
            line = bytearray()
            put(b"\r\n>>> ")
        elif byte == b"\x04" and raw:
            code = bytes(line).decode()
            line = bytearray()
            if code:
                run(code, scope)
            else:
                scope = {"__name__": "__main__"}
                put(b"OK\r\nMPY: soft reboot\r\n" + _BANNER)
        elif raw:
            line.extend(byte)


main()
