// Drives tus-js-client: node tus_js.mjs URL TOKEN FILE. Prints the addresses of the uploads it made.
import fs from 'node:fs'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import * as tus from 'tus-js-client'

const [url, token, source] = process.argv.slice(2)
const size = fs.statSync(source).size
const headers = token ? { 'X-API-Token': token } : {}
const metadata = { filename: path.basename(source), filetype: 'application/x-test' }

/** Uploads, resolving with the finished upload; `stop` aborts after that many accepted bytes. */
function send(options, stop) {
  return new Promise((resolve, reject) => {
    const upload = new tus.Upload(options.input ?? fs.createReadStream(source), {
      endpoint: `${url}/tus`,
      headers,
      metadata,
      retryDelays: [0, 200, 500, 1000, 2000],
      onError: reject,
      onSuccess: () => resolve(upload),
      onChunkComplete: (chunk, accepted) => {
        if (stop && accepted >= stop) upload.abort().then(() => resolve(upload), reject)
      },
      ...options,
    })
    upload.start()
  })
}

// Resumed by address, with a new object.
const half = await send({ chunkSize: 300_000 }, size / 2)
const resumed = await send({ chunkSize: 1_000_000, uploadUrl: half.url })
console.log(resumed.url)

// Parallel parts, joined by concatenation.
const parallel = await send({ parallelUploads: 4, metadataForPartialUploads: { filename: 'part' } })
console.log(parallel.url)

// The body within the creation.
const early = await send({ uploadDataDuringCreation: true, chunkSize: 500_000 })
console.log(early.url)

// A stream of unknown length.
const unknown = fs.createReadStream(source).pipe(new PassThrough())
const deferred = await send({ input: unknown, uploadLengthDeferred: true, chunkSize: 400_000 })
console.log(deferred.url)

// The method in a header.
const overridden = await send({ overridePatchMethod: true, chunkSize: 700_000 })
console.log(overridden.url)

// Made and thrown away.
const thrown = await send({ chunkSize: 300_000 }, 300_000)
await tus.Upload.terminate(thrown.url, { headers })
