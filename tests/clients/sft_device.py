"""A device on `requests`: python sft_device.py URL DEVICE PASSWORD FILE OUT."""

import os
import struct
import sys

import requests

url, device, password, source, out = sys.argv[1:6]
CHUNK = 1 << 20


class Device:
    def __init__(self):
        self.http = requests.Session()
        self.http.trust_env = False
        reply = self.http.post(url + "/auth/token", data={"username": device, "password": password})
        reply.raise_for_status()
        self.http.headers["Authorization"] = "Bearer " + reply.json()["access_token"]

    def send(self, name, start, data, total=None):
        chunk = struct.pack(">QQB", start, start + len(data) - 1, sum(data) % 256) + data
        headers = {"Content-Range": f"bytes {start}-{start + len(data) - 1}/{total}"} if total else {}
        files = {"file": ("chunk", chunk, "application/octet-stream")}
        reply = self.http.post(url + "/api/files/upload", params={"filename": name}, files=files, headers=headers)
        reply.raise_for_status()
        return reply.json()

    def status(self, name):
        reply = self.http.get(f"{url}/api/files/status/{name}")
        reply.raise_for_status()
        return reply.json()

    def download(self, name, target, part=300_000):
        size = self.status(name)["total_bytes"]
        with open(target, "wb") as file:
            for start in range(0, size, part):
                headers = {"Range": f"bytes={start}-{min(start + part, size) - 1}"}
                reply = self.http.get(f"{url}/api/files/download/{name}", headers=headers)
                assert reply.status_code == 206, reply.status_code
                file.write(reply.content)


with open(source, "rb") as file:
    content = file.read()
size = len(content)
starts = list(range(0, size, CHUNK))
client = Device()

# Stopped after two chunks, resumed where the server says.
for start in starts[:2]:
    assert client.send("declared.bin", start, content[start:start + CHUNK], size)["status"] == "partial"
client = Device()
while (status := client.status("declared.bin"))["status"] != "complete":
    start = status["next_expected_byte"]
    client.send("declared.bin", start, content[start:start + CHUNK], size)

for start in reversed(starts):
    status = client.send("last-first.bin", start, content[start:start + CHUNK])
assert status["status"] == "complete", status

for start in starts:
    status = client.send("in-order.bin", start, content[start:start + CHUNK])
    assert status["status"] == "complete", status

for name in ["declared.bin", "last-first.bin", "in-order.bin"]:
    client.download(name, out)
    with open(out, "rb") as file:
        assert file.read() == content, name
