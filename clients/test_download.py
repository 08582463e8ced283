#!/usr/bin/env python3
"""Downloads a file from the given node without asking which node is responsible: any node serves any file."""

from course_client import run
from node_http import download


def main(name, ip):
    print("Downloading file from http://" + ip, flush=True)
    download(name, ip)


if __name__ == "__main__":
    run(main, "test_download.py NAME IP")
