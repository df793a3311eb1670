# tuspyserver as a peer: pip install tuspyserver uvicorn, then
# et-bench … --peer "tuspyserver=tus:/files/:python3 /path/to/tuspy_server.py {port} {dir}"
import sys

import uvicorn
from fastapi import FastAPI
from tuspyserver import create_tus_router

port, directory = sys.argv[1:]
app = FastAPI()
app.include_router(create_tus_router(prefix="files", files_dir=directory))
uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)
