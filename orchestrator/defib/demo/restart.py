"""Restart an agent of the demo: ``python -m defib.demo.restart NAME --world PORT``.

This is what stands on the rungs of the demo's recovery ladders, where a real configuration has ``systemctl restart``.
"""

import argparse
import http.client
import sys

from defib.demo.tiny_http import HOST

TIMEOUT_S = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m defib.demo.restart", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--world", type=int, required=True, metavar="PORT")
    arguments = parser.parse_args()
    connection = http.client.HTTPConnection(HOST, arguments.world, timeout=TIMEOUT_S)
    try:
        connection.request("POST", f"/agents/{arguments.name}/restart")
        answer = connection.getresponse()
    except OSError as error:
        print(f"the demo does not answer: {error}", file=sys.stderr)  # noqa: T201 - a program of its own
        return 1
    finally:
        connection.close()
    print(f"restart of {arguments.name}: {answer.status} {answer.reason}")  # noqa: T201 - goes to the audit
    return 0 if answer.status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
