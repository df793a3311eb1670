"""Drives tuspy: python tuspy_upload.py URL TOKEN FILE STATE. Prints the upload's address."""

import os
import sys

from tusclient import client
from tusclient.storage import filestorage

url, token, source, state = sys.argv[1:5]
headers = {"X-API-Token": token} if token else {}
size = os.path.getsize(source)
tus = client.TusClient(url + "/tus", headers=headers)
store = filestorage.FileStorage(state)


def uploader(chunk, **more):
    return tus.uploader(source, chunk_size=chunk, metadata={"filename": os.path.basename(source)}, retries=3, retry_delay=1, **more)


# Stopped in the middle, found again through its own store of addresses.
first = uploader(200_000, store_url=True, url_storage=store)
first.upload(stop_at=max(size // 3, 1) if size else None)
second = uploader(1_000_000, store_url=True, url_storage=store)
assert second.url == first.url, (second.url, first.url)
second.upload()
assert second.offset == size, (second.offset, size)
store.close()

# Every request with its checksum.
summed = uploader(300_000, upload_checksum=True)
summed.upload()
assert summed.offset == size
print(second.url)
print(summed.url)
