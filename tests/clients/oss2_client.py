"""Drives oss2: python oss2_client.py URL ID SECRET FILE OUT. Asserts what the SDK sees; leaves the content in OUT."""

import sys

import oss2
import requests

url, key_id, secret, source, out = sys.argv[1:6]
content = open(source, "rb").read()
bucket = oss2.Bucket(oss2.Auth(key_id, secret), url, "cloud", enable_crc=True)
for key in ["sdk/a.bin", "sdk/报告 1+2#%.bin", "sdk//double"]:
    assert not bucket.object_exists(key)
    put = bucket.put_object_from_file(key, source, headers={"Content-Type": "application/x-test", "x-oss-meta-who": "sdk"})
    assert put.status == 200 and put.etag and put.crc is not None, vars(put)
    assert bucket.object_exists(key)
    head = bucket.head_object(key)
    assert head.content_length == len(content) and head.content_type == "application/x-test", vars(head)
    assert head.headers["x-oss-meta-who"] == "sdk" and head.etag == put.etag
    assert bucket.get_object(key).read() == content
    part = bucket.get_object(key, byte_range=(1, 100))
    assert part.status == 206 and part.read() == content[1:101]
    assert bucket.get_object(key, byte_range=(len(content) - 3, None)).read() == content[-3:]
    for slash_safe in [False, True]:
        link = bucket.sign_url("GET", key, 60, slash_safe=slash_safe, params={"response-content-disposition": 'attachment; filename="x y"'})
        got = requests.get(link)
        assert got.status_code == 200 and got.content == content, (link, got.status_code, got.text[:500])
        assert got.headers["Content-Disposition"] == 'attachment; filename="x y"'
    link = bucket.sign_url("PUT", key, 60, headers={"Content-Type": "text/plain"})
    assert requests.put(link, data=b"by url", headers={"Content-Type": "text/plain"}).status_code == 200
    assert bucket.get_object(key).read() == b"by url"
    assert bucket.delete_object(key).status == 204
    assert bucket.delete_object(key).status == 204
    assert not bucket.object_exists(key)

bucket.put_object("sdk/out.bin", content)
bucket.get_object_to_file("sdk/out.bin", out)

for call, status, code in [
    (lambda: bucket.get_object("sdk/none"), 404, "NoSuchKey"),
    (lambda: bucket.get_object_acl("sdk/out.bin"), 501, "NotImplemented"),
    (lambda: bucket.init_multipart_upload("sdk/x"), 501, "NotImplemented"),
    (lambda: bucket.put_object("sdk/out.bin", b"x", headers={"x-oss-forbid-overwrite": "true"}), 409, "FileAlreadyExists"),
    (lambda: oss2.Bucket(oss2.Auth(key_id, "wrong"), url, "cloud").get_object("sdk/out.bin"), 403, "SignatureDoesNotMatch"),
    (lambda: oss2.Bucket(oss2.Auth(key_id, "wrong"), url, "cloud").put_object("sdk/x", b"x"), 403, "SignatureDoesNotMatch"),
    (lambda: oss2.Bucket(oss2.Auth("unknown", secret), url, "cloud").get_object("sdk/out.bin"), 403, "InvalidAccessKeyId"),
]:
    try:
        call()
    except oss2.exceptions.OssError as error:
        assert (error.status, error.code) == (status, code), (error, status, code)
        assert error.request_id, vars(error)
    else:
        raise AssertionError((status, code))
