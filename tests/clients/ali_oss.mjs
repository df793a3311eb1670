// Drives ali-oss: node ali_oss.mjs URL ID SECRET FILE. Asserts what the SDK sees.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import OSS from 'ali-oss'

const [url, accessKeyId, secret, source] = process.argv.slice(2)
const content = fs.readFileSync(source)
// `sldEnable`: the bucket stands in the path. The SDK signs no URLs for addresses, so the host needs a name.
const endpoint = url.replace('127.0.0.1', 'localhost')
const client = (accessKeySecret) =>
  new OSS({ endpoint, bucket: 'cloud', accessKeyId, accessKeySecret, secure: false, sldEnable: true })
const store = client(secret)

for (const key of ['js/a.bin', 'js/报告 1+2.bin', 'js//double']) {
  const put = await store.put(key, source, { meta: { who: 'sdk' }, mime: 'application/x-test' })
  assert.equal(put.res.status, 200)
  const head = await store.head(key)
  assert.equal(head.meta.who, 'sdk')
  assert.equal(head.res.headers['content-length'], String(content.length))
  assert.ok((await store.get(key)).content.equals(content))
  const part = await store.get(key, { headers: { Range: 'bytes=1-100' } })
  assert.equal(part.res.status, 206)
  assert.ok(part.content.equals(content.subarray(1, 101)))
  const link = store.signatureUrl(key, { expires: 60, response: { 'content-type': 'text/x-other' } })
  const got = await fetch(link)
  assert.equal(got.status, 200, link)
  assert.equal(got.headers.get('content-type'), 'text/x-other')
  assert.ok(Buffer.from(await got.arrayBuffer()).equals(content))
  assert.equal((await store.delete(key)).res.status, 204)
  await assert.rejects(store.head(key), { status: 404, code: 'NoSuchKey' })
  await assert.rejects(store.get(key), { status: 404, code: 'NoSuchKey' })
}
await store.put('js/stream', fs.createReadStream(source))
assert.ok((await store.get('js/stream')).content.equals(content))
await assert.rejects(client('wrong').get('js/stream'), { status: 403, code: 'SignatureDoesNotMatch' })
