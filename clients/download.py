#!/usr/bin/env python3
"""Downloads a file from the node that is responsible for it, asking any node which one that is."""

from course_client import find_owner, run
from node_http import download


def main(name, ip):
    owner = find_owner(name, ip)
    print("Downloading file from http://" + owner, flush=True)
    download(name, owner)


if __name__ == "__main__":
    run(main, "download.py NAME IP")
