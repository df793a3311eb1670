"""Uploads to the blob server over a WebSocket with `websockets`: pyblobserver_socket.py URL USER."""

import hashlib
import json
import os
import sys

import requests
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

base, user = sys.argv[1:]
socket_url = base.replace("http", "ws", 1) + "/upload_socket"

token = requests.get(f"{base}/user/{user}").json()["token"]


def stored(told):
    assert set(told) == {"file_id", "file_url", "show_image"}, told
    return requests.get(told["file_url"]).content


with connect(socket_url) as socket:
    socket.send(token)
    assert socket.recv() == f"user is: {user}"

    # One after the other, as the web page of the original does.
    for name, content in [("t.txt", b"hello"), ("empty", b""), ("文件.bin", os.urandom(1_000_000))]:
        socket.send(name)
        socket.send(content)
        told = json.loads(socket.recv())
        assert stored(told) == content
        assert requests.get(told["file_url"], params={"output": "json"}).json()["file_name"] == name

    # In fragments, with pings of its own in between.
    pieces = [os.urandom(size) for size in [1, 70_000, 0, 300_000, 5]]
    socket.send("fragments")
    socket.send(pieces)
    assert socket.ping().wait(10), "no pong"
    assert stored(json.loads(socket.recv())) == b"".join(pieces)

    # Several on their way at once; the answers come in order.
    contents = [os.urandom(size) for size in range(1, 200_000, 9_973)]
    for number, content in enumerate(contents):
        socket.send(f"{number}.bin")
        socket.send(content)
    for content in contents:
        assert stored(json.loads(socket.recv())) == content

    # 32 MiB in one frame.
    large = os.urandom(1 << 20) * 32
    socket.send("large.bin")
    socket.send(large)
    told = json.loads(socket.recv())
    assert hashlib.sha256(stored(told)).digest() == hashlib.sha256(large).digest()

    # Over the limit, in one frame and in several: refused, and the socket goes on.
    for content in [b"x" * (41 << 20), [b"x" * (1 << 20)] * 41]:
        socket.send("big.bin")
        socket.send(content)
        refused = {"filename": "big.bin", "status_code": 413, "error": "File size exceeds limit of 40MB"}
        assert json.loads(socket.recv()) == refused
    socket.send("after.txt")
    socket.send(b"after")
    assert stored(json.loads(socket.recv())) == b"after"

session = requests.Session()
session.headers["Authorization"] = f"Bearer {token}"
assert len(session.get(f"{base}/list").json()) == 3 + 1 + len(contents) + 1 + 1
assert session.delete(f"{base}/delete_all", params={"confirm": "yes"}).status_code == 200

with connect(socket_url) as socket:
    socket.send("wrong")
    try:
        socket.recv()
    except ConnectionClosedError as closed:
        assert closed.rcvd.code == 1008, closed
    else:
        raise AssertionError("a wrong token was let in")
print("done")
