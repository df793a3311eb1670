"""Drives aiotus: python aiotus_upload.py URL TOKEN FILE. Prints the addresses of a plain and of a concatenated upload."""

import asyncio
import os
import sys

import aiotus
import yarl

url, token, source = sys.argv[1:4]
headers = {"X-API-Token": token} if token else {}


async def main():
    endpoint = yarl.URL(url + "/tus")
    metadata = {"filename": os.path.basename(source).encode(), "note": b"\x00\xff binary", "empty": None}
    with open(source, "rb") as file:
        plain = await aiotus.upload(endpoint, file, metadata, headers=headers)
    assert plain is not None
    told = await aiotus.metadata(plain, headers=headers)
    assert told == metadata, told
    size = os.path.getsize(source)
    halves = []
    with open(source, "rb") as file:
        for part in (file.read(size // 2), file.read()):
            name = os.path.join(sys.argv[4], f"half{len(halves)}")
            with open(name, "wb") as half:
                half.write(part)
            halves.append(open(name, "rb"))
        whole = await aiotus.upload_multiple(endpoint, halves, {"filename": b"whole.bin"}, headers=headers)
    assert whole is not None
    print(plain)
    print(whole)


asyncio.run(main())
