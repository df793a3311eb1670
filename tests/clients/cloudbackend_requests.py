"""Drives CloudBackend with requests: cloudbackend_requests.py URL USER. What its front end does with a file, in its order."""

import base64
import hashlib
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, unquote

import requests

base, user = sys.argv[1:]
account = {"username": user, "password": "correct horse", "email": f"{user}@example.org"}
login = requests.post(f"{base}/user/register/", json=account).json()
session = requests.Session()
session.headers["Authorization"] = f"Bearer {login['access']}"


def ask(path, body=None):
    reply = session.post(f"{base}/file/{path}", json=body or {})
    assert reply.status_code in (200, 201), (path, body, reply.text)
    return reply.json()


def upload(name, content, folder):
    told = ask("get-token/", {"file_name": name, "file_size": len(content), "content_type": "application/pdf"})
    token = told["token"]
    policy = json.loads(base64.b64decode(token["policy"]))
    assert policy["expiration"] == token["expiration"] and token["max_file_size"] >= len(content)
    key = f"{token['prefix']}/{hashlib.md5(content).hexdigest()}{os.path.splitext(name)[1]}"
    fields = {
        "key": key,
        "OSSAccessKeyId": token["access_key_id"],
        "policy": token["policy"],
        "signature": token["signature"],
        "success_action_status": "200",
    }
    reply = requests.post(token["host"], data=fields, files={"file": (name, content, "application/pdf")})
    assert reply.status_code == 200 and reply.content == b"", reply.text
    url = token["host"] + "/" + "/".join(quote(part, safe="!'()*") for part in key.split("/"))
    notified = ask("uploaded/", {"upload_id": told["upload_id"], "oss_url": url, "path": folder})
    return notified["files"][0]


folder = ask("new-folder/", {"folder_name": "新文件夹", "path": "/"})["folder"]
large = os.urandom(8_000_000)
files = {}
for name in ["a.pdf", "报告 1.pdf", 'quote" #1%.pdf', "../up.pdf"]:
    content = name.encode() + large
    record = upload(name, content, "/新文件夹/")
    assert record["name"] == name and record["size"] == len(content), record
    files[name] = content
listed = ask("list/", {"path": "新文件夹"})
assert [file["name"] for file in listed["files"]] == list(files), listed
assert listed["used_space"] == sum(len(content) for content in files.values())


def download(record):
    url = ask(f"{record['id']}/download/")["download_url"]
    got = requests.get(url)
    assert got.status_code == 200 and got.content == files[record["name"]], (url, got.status_code)
    disposition = got.headers["Content-Disposition"]
    assert disposition.startswith("attachment"), disposition
    if "filename*" in disposition:
        assert unquote(disposition.split("UTF-8''")[1]) == record["name"], disposition
    part = requests.get(url, headers={"Range": "bytes=5-9"})
    assert part.status_code == 206 and part.content == got.content[5:10]


with ThreadPoolExecutor(4) as pool:
    list(pool.map(download, listed["files"]))
ask(f"{folder['id']}/update/", {"name": "renamed"})
assert len(ask("list/", {"path": "/renamed"})["files"]) == len(files)
ask(f"{folder['id']}/delete/")
assert ask("list/")["used_space"] == 0 and session.get(f"{base}/file/").json() == []
print("done")
