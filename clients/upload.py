#!/usr/bin/env python3
"""Uploads a file to the node that is responsible for it, asking any node which one that is."""

from course_client import find_owner, run
from node_http import check_readable, file_name_of, upload


def main(path, ip):
    check_readable(path)
    owner = find_owner(file_name_of(path), ip)
    print("Uploading file to http://" + owner, flush=True)
    upload(path, owner)


if __name__ == "__main__":
    run(main, "upload.py FILE IP")
