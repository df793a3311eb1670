"""Drives the blob server with requests: pyblobserver_requests.py URL USER. What the README of the original shows, and more."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import requests

base, user = sys.argv[1:]

token = requests.get(f"{base}/user/{user}").json()["token"]
session = requests.Session()
session.headers["Authorization"] = f"Bearer {token}"


def upload(name, content):
    reply = session.post(f"{base}/upload", files={"file": (name, content)})
    assert reply.status_code == 200, reply.text
    return reply.json()


small = upload("t.txt", b"hello")
assert requests.get(small["file_url"]).content == b"hello"
assert "<img" in requests.get(small["show_image"]).text

large = os.urandom(8_000_000)
for name in ["large.bin", 'é 文".txt', "文件.pdf"]:
    told = upload(name, large)
    got = requests.get(told["file_url"])
    assert got.content == large and "attachment" in got.headers["Content-Disposition"]
    assert requests.get(told["file_url"], params={"output": "json"}).json()["file_name"] == name


def pieces():
    """A body without a length: requests sends it in chunks."""
    boundary = "x" * 20
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="chunked.bin"\r\n\r\n'
    yield head.encode()
    for at in range(0, len(large), 100_000):
        yield large[at : at + 100_000]
    yield f"\r\n--{boundary}--\r\n".encode()


chunked = session.post(
    f"{base}/upload", data=pieces(), headers={"Content-Type": "multipart/form-data; boundary=" + "x" * 20}
)
assert chunked.status_code == 200, chunked.text
assert requests.get(chunked.json()["file_url"]).content == large

batch = session.post(f"{base}/upload_batch", data={"token": token}, files=[("files", ("a", b"a")), ("files", ("b", b"b"))])
assert batch.status_code == 200 and len(batch.json()) == 2, batch.text

with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda number: upload(f"{number}.txt", str(number).encode()), range(40)))

# More than is allowed: the answer is readable although the body was not read to its end.
refused = session.post(f"{base}/upload", files={"file": ("big", b"x" * (30 << 20))})
assert (refused.status_code, refused.json()["detail"]) == (413, "File size exceeds limit of 20MB"), refused.text

files = session.get(f"{base}/list").json()
assert len(files) == 1 + 3 + 1 + 2 + 40, len(files)
assert session.delete(f"{base}/delete/{small['file_id']}").json() == {"message": "File deleted"}
assert requests.get(small["file_url"]).status_code == 404
assert session.delete(f"{base}/delete_all/", params={"confirm": "yes"}, allow_redirects=False).status_code == 200
assert session.get(f"{base}/list").json() == []

changed = session.get(f"{base}/user/{user}", params={"function": "change_token"}).json()["token"]
assert session.get(f"{base}/list").status_code == 401
session.headers["Authorization"] = f"Bearer {changed}"
assert session.get(f"{base}/auth").json() == {"user": user, "token": changed}
print("done")
