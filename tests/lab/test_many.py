"""Many clients at once, on connections that stay open."""

from __future__ import annotations

import http.client
import threading
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError


def test_connections_stay_open(lab):
    host = lab.url.removeprefix("http://")
    line = http.client.HTTPConnection(host, timeout=10)
    line.request("GET", "/_lab/health")
    line.getresponse().read()
    socket = line.sock
    for _ in range(3):
        line.request("GET", "/nothing/here")
        assert line.getresponse().read()
    assert line.sock is socket
    line.close()


def test_a_key_switched_under_load_is_seen_by_all_and_nothing_breaks(lab, client, key):
    s3 = client("s3", max_pool_connections=20)
    s3.create_bucket(Bucket="busy")
    s3.put_object(Bucket="busy", Key="k", Body=b"x" * 1000, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    off, seen = threading.Event(), set()

    def read(_):
        was_off = off.is_set()
        try:
            s3.get_object(Bucket="busy", Key="k")["Body"].read()
        except ClientError as error:
            seen.add(error.response["Error"]["Code"])
            return True
        assert not was_off, "a read succeeded after DisableKey had answered"
        return False

    with ThreadPoolExecutor(16) as pool:
        first = list(pool.map(read, range(100)))
        client("kms").disable_key(KeyId=key)
        off.set()
        second = list(pool.map(read, range(100)))
    assert not any(first)
    assert all(second)
    assert seen == {"KMS.DisabledException"}
