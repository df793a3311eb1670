// Drives tus-js-client against the blob server: node pyblobserver_tus.mjs URL TOKEN FILE. Prints the short ids of the files
// it made.
import fs from 'node:fs'
import { PassThrough } from 'node:stream'
import * as tus from 'tus-js-client'

const [url, token, source] = process.argv.slice(2)
const size = fs.statSync(source).size
const headers = { Authorization: `Bearer ${token}` }
// The keys the original's web page sends.
const metadata = { relativePath: 'null', name: 'a.bin', type: 'application/x-test', filetype: 'application/x-test', filename: 'a.bin' }

/** Uploads, resolving with the finished upload and its last answer; `stop` aborts after that many accepted bytes. */
function send(options, stop) {
  return new Promise((resolve, reject) => {
    let last
    const upload = new tus.Upload(options.input ?? fs.createReadStream(source), {
      endpoint: `${url}/upload_tus/`,
      headers,
      metadata,
      retryDelays: [0, 200, 500],
      onError: reject,
      onAfterResponse: (_, response) => {
        last = response.getHeader('X-File-Id') ?? last
      },
      onSuccess: () => resolve({ url: upload.url, id: last }),
      onChunkComplete: (_, accepted) => {
        if (stop && accepted >= stop) upload.abort().then(() => resolve({ url: upload.url }), reject)
      },
      ...options,
    })
    upload.start()
  })
}

// Resumed by address, with a new object.
const half = await send({ chunkSize: 300_000 }, size / 2)
console.log((await send({ chunkSize: 1_000_000, uploadUrl: half.url })).id)

// The body within the creation.
console.log((await send({ uploadDataDuringCreation: true, chunkSize: 500_000 })).id)

// A stream of unknown length, the method in a header.
const input = fs.createReadStream(source).pipe(new PassThrough())
console.log((await send({ input, uploadLengthDeferred: true, chunkSize: 400_000, overridePatchMethod: true })).id)

// Made and thrown away.
const thrown = await send({ chunkSize: 300_000 }, 300_000)
await tus.Upload.terminate(thrown.url, { headers })
