#!/usr/bin/env python3
"""Uploads a file to the given node without asking which node is responsible: any node accepts any file."""

from course_client import run
from node_http import upload


def main(path, ip):
    print("Uploading file to http://" + ip, flush=True)
    upload(path, ip)


if __name__ == "__main__":
    run(main, "test_upload.py FILE IP")
