"""What the four clients have in common: the key of a name, the lookup, and how a failure is told."""

import hashlib
import os
import sys

from chord_rpc import Client, RpcError, as_text
from node_http import TransferError


def key_of(name):
    """Where a file of this name lives on the ring: the low 32 bits of the MD5 of the name."""
    digest = hashlib.md5(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[-4:], "big")


def find_owner(name, ip):
    """Asks the node at `ip` for the address of the node responsible for `name`, as this caller reaches it."""
    key = key_of(name)
    print("Hash of %s is %d" % (_printable(name), key), flush=True)
    with Client(ip) as client:
        # The course's script does this before every lookup. A member answers nil and nothing changes;
        # a lone node that was started by hand becomes a ring of one.
        client.call("create")
        owner = client.call("find_successor", key)
    if not isinstance(owner, list) or len(owner) != 3 or not owner[0]:
        raise RpcError("%s does not know which node is responsible for %s" % (ip, _printable(name)))
    return as_text(owner[0])


def _printable(name):
    """Names are bytes to the system; the output may be a terminal that cannot show them all."""
    encoding = sys.stdout.encoding or "utf-8"
    return os.fsencode(name).decode("utf-8", "replace").encode(encoding, "replace").decode(encoding)


def run(main, usage):
    """Runs `main` with the two arguments of a client, then ends the process with the fitting exit code."""
    arguments = sys.argv[1:]
    if len(arguments) != 2 or not all(arguments):
        print("usage: " + usage, file=sys.stderr)
        sys.exit(2)
    try:
        main(*arguments)
    except (RpcError, TransferError) as error:
        print("error: %s" % error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
