#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two ends of a call in one asyncio program; each sends a file and counts what it hears.

python examples/duplex_asyncio.py one.wav two.wav
"""

import asyncio
import sys
from collections import Counter

from dredge_host import Duplex, parse_loss, read_audio

SECONDS = 4
PORTS = (0, 0)  # any free ones; two machines agree on real ones


async def speak(call: Duplex, path: str) -> None:
    """Send 20 ms every 20 ms and leave out one packet in ten, as a radio link would."""
    pcm = read_audio(path).pcm[: SECONDS * 16000]
    loss = parse_loss("10%")
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for number, start in enumerate(range(0, len(pcm) - 319, 320)):
        remote, call.remote = call.remote, None if loss.lost() else call.remote
        await call.send(pcm[start : start + 320])
        call.remote = remote
        await asyncio.sleep(max(0.0, begin + 0.02 * (number + 1) - loop.time()))


async def listen(call: Duplex) -> Counter[str]:
    """Where the speech came from: opus arrived, dred was rebuilt, plc was predicted."""
    sources: Counter[str] = Counter()
    async for played in call:  # played.pcm is int16[320], for a sound card or a file
        sources[played.source] += 1
        if sum(sources.values()) == SECONDS * 50:
            break
    return sources


async def main(first: str, second: str) -> None:
    async with Duplex(None, ("127.0.0.1", PORTS[0])) as one, Duplex(one.address, ("127.0.0.1", PORTS[1])) as two:
        one.remote = two.address
        heard = await asyncio.gather(listen(one), listen(two), speak(one, first), speak(two, second))
        for name, sources in zip(("one", "two"), heard[:2], strict=True):
            print(f"{name} heard {dict(sources)}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} ONE.wav TWO.wav")
    asyncio.run(main(*sys.argv[1:]))
