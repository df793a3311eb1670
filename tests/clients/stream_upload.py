"""An uploader on `requests`: python stream_upload.py URL TOKEN FILE. Stops in the middle and resumes; prints the asset."""

import json
import os
import sys
import uuid

import requests

url, token, source = sys.argv[1:4]
CHUNK = 1024 * 1024


class StreamUploader:
    def __init__(self, upload_id):
        self.upload_id = upload_id
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"Bearer {token}"

    def status(self):
        reply = self.http.get(f"{url}/api/scratch/upload-status/{self.upload_id}")
        return set(reply.json()["chunks"])

    def upload(self, path, stop_after=None):
        size = os.path.getsize(path)
        total = (size + CHUNK - 1) // CHUNK
        done, result = self.status(), None
        with open(path, "rb") as file:
            for index in range(total):
                data = file.read(CHUNK)
                if index in done:
                    continue
                headers = {
                    "x-filename": os.path.basename(path),
                    "x-filesize": str(size),
                    "x-filetype": "application/octet-stream",
                    "x-chunk-index": str(index),
                    "x-total-chunks": str(total),
                    "x-upload-id": self.upload_id,
                }
                reply = self.http.post(f"{url}/api/scratch/stream-upload", headers=headers, data=data)
                if reply.status_code != 200:
                    raise Exception(reply.text)
                result = reply.json()
                if stop_after is not None and index + 1 >= stop_after:
                    return result
        assert result["uploadedChunks"] == result["totalChunks"], result
        return result


name = str(uuid.uuid4())
assert StreamUploader(name).upload(source, stop_after=2)["uploadedChunks"] == 2
print(json.dumps(StreamUploader(name).upload(source)["asset"]))

cancelled = StreamUploader(f"{name}-c")
cancelled.upload(source, stop_after=1)
reply = cancelled.http.delete(f"{url}/api/scratch/cancel-upload/{name}-c")
assert reply.status_code == 200 and cancelled.status() == set(), reply.text
