// A browser's uploader: node stream_upload.mjs URL TOKEN FILE. Sliced blobs without a type, the cookie, parallel chunks;
// prints the asset.

import {openAsBlob} from 'node:fs'

const [url, token, path] = process.argv.slice(2)
const CHUNK = 1024 * 1024
const file = await openAsBlob(path)
const total = Math.ceil(file.size / CHUNK)
const id = `${Date.now()}_${Math.random().toString(36).slice(2, 11)}`

async function send(index) {
  const body = file.slice(index * CHUNK, (index + 1) * CHUNK)
  const response = await fetch(`${url}/api/scratch/stream-upload`, {
    method: 'POST',
    body,
    headers: {
      'x-filename': encodeURIComponent('文件.bin'),
      'x-filesize': file.size,
      'x-filetype': 'application/octet-stream',
      'x-chunk-index': index,
      'x-total-chunks': total,
      'x-upload-id': id,
      cookie: `token=${token}`,
    },
  })
  if (!response.ok) throw new Error(await response.text())
  return response.json()
}

const results = await Promise.all([...Array(total).keys()].map(send))
const last = results.find((result) => result.status === 'success' && result.uploadedChunks === result.totalChunks)
if (last.asset.filename !== '文件.bin') throw new Error(last.asset.filename)
console.log(JSON.stringify(last.asset))
