"""Drives the published Python library as a program of its own would: python etransfer_api.py URL TOKEN FILE OUT"""

import os
import sys
from pathlib import Path

from etransfer.client.downloader import ChunkDownloader
from etransfer.client.tus_client import EasyTransferClient

url, token, source, out = sys.argv[1:5]
token = token or None
size = os.path.getsize(source)


def same(path):
    with open(source, "rb") as a, open(path, "rb") as b:
        assert a.read() == b.read(), f"{path} differs from {source}"


def fetch(file_id, name, chunk_size):
    path = Path(out) / name
    downloader = ChunkDownloader(url, token=token, chunk_size=chunk_size, max_concurrent=5)
    assert downloader.download_file(file_id, path)
    if size:  # the library writes no file for nothing
        same(path)
    downloader.close()


with EasyTransferClient(url, token=token, chunk_size=1 << 20) as client:
    info = client.get_server_info()
    assert info.tus_version == "1.0.0", info

    # One request after another, stopped in the middle and taken up again by another uploader.
    seen = []
    first = client.create_uploader(source, retention="permanent", progress_callback=lambda done, total: seen.append((done, total)))
    first.upload(stop_at=size // 2 if size > 1 else None)
    second = client.create_uploader(source, retention="permanent")
    second.set_url(first.url)
    location = second.upload()
    assert location == first.url
    sequential = location.rsplit("/", 1)[1]
    assert size == 0 or seen, "no progress was told"
    fetch(sequential, "sequential.bin", 1 << 20)

    # In parallel, out of order; then once more with the address of the first, which has nothing left to send.
    parallel = client.create_parallel_uploader(source, chunk_size=1 << 18, max_concurrent=4, retention="permanent")
    file_id = parallel.ensure_created()
    assert len(file_id) == 32
    parallel.upload()
    again = client.create_parallel_uploader(source, chunk_size=1 << 18, resume_url=parallel.url)
    again.upload()
    assert again.file_id == file_id
    fetch(file_id, "parallel.bin", 1 << 18)

    # Consumed by its download.
    once = client.create_parallel_uploader(source, chunk_size=1 << 20, retention="download_once")
    once_id = once.ensure_created()
    once.upload()
    fetch(once_id, "once.bin", 1 << 20)

    listed = client.list_files(per_page=1000)
    ids = {entry["file_id"] for entry in listed}
    assert {sequential, file_id} <= ids, (ids, sequential, file_id)
    told = client.get_file_info(file_id)
    assert (told.size, told.filename, told.status) == (size, os.path.basename(source), "complete"), told
    storage = client.get_storage_status()
    assert storage["used"] >= 2 * size, storage
    assert client.delete_file(sequential)
print(file_id)
