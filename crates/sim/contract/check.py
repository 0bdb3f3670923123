#!/usr/bin/env python3
"""Checks recorded traffic of the simulator against GitHub's published OpenAPI.

    check.py --openapi api.github.com.json traffic.jsonl

Every line of the recording is one exchange. Requests that were answered with 2xx must be requests
that GitHub describes; every JSON answer must be an answer that GitHub describes for its status.
Exit 0: all hold. 1: some don't; each difference is printed once. 2: nothing could be checked.
"""

import argparse
import collections
import json
import sys
from urllib.parse import parse_qsl, unquote

# Statuses that any route can answer and that the description names for few of them.
ANYWHERE = {400, 401, 403, 404, 429, 500, 502, 503}

# What GitHub sends although its own description says otherwise; each with its reason.
KNOWN = {}


def fail(text):
    print(f"contract: {text}", file=sys.stderr)
    sys.exit(2)


try:
    from openapi_core import OpenAPI
    from openapi_core.datatypes import RequestParameters
    from openapi_core.exceptions import OpenAPIError
    from openapi_core.templating.paths.exceptions import PathError
    from openapi_core.templating.responses.exceptions import ResponseNotFound
    from werkzeug.datastructures import Headers, ImmutableMultiDict
except ImportError as error:
    fail(f"openapi-core is missing ({error}); `make contract` installs it into .tools/contract")

HOST = "https://api.github.com"


class Request:
    """What openapi-core asks of a request."""

    def __init__(self, exchange):
        self.host_url = HOST
        self.path = unquote(exchange["path"])
        self.method = exchange["method"].lower()
        self.content_type = "application/json"
        self.body = exchange["request_body"].encode() or None
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(exchange["query"] or "", keep_blank_values=True)),
            header=Headers(exchange["request_headers"]),
        )


class Response:
    """What openapi-core asks of a response."""

    def __init__(self, exchange):
        self.status_code = exchange["status"]
        self.content_type = exchange["response_headers"].get("content-type", "").split(";")[0]
        self.headers = Headers(exchange["response_headers"])
        self.data = exchange["response_body"].encode()


def causes(error):
    """The words of an error, and of the schema errors below it."""
    found = []
    while error is not None:
        below = getattr(error, "schema_errors", None)
        if below:
            for one in below:
                where = "/".join("*" if isinstance(part, int) else str(part) for part in one.path)
                found.append(f"{where}: {one.message[:160]}")
            break
        if error.__cause__ is None:
            found.append(f"{type(error).__name__}: {error}"[:240])
        error = error.__cause__
    return found


def usable(description):
    """Without what the checker can't read and what doesn't belong to the simulator."""
    wanted = ("/repos/{owner}/{repo}", "/user", "/users/{username}", "/rate_limit")
    paths = description["paths"]
    description["paths"] = {
        path: item
        for path, item in paths.items()
        if path in wanted or path.startswith("/repos/{owner}/{repo}/")
    }
    # A branch, a reference or a tree is named with slashes in it.
    for path in list(description["paths"]):
        for name in ("{ref}", "{branch}", "{tree_sha}"):
            if path.endswith(name):
                item = description["paths"].pop(path)
                description["paths"][path] = item
    return description


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--openapi", required=True, help="generated/api.github.com.json")
    arguments.add_argument("recording", help="JSON lines written by the simulator")
    arguments = arguments.parse_args()
    try:
        with open(arguments.openapi, encoding="utf-8") as file:
            description = usable(json.load(file))
        with open(arguments.recording, encoding="utf-8") as file:
            exchanges = [json.loads(line) for line in file if line.strip()]
    except OSError as error:
        fail(str(error))
    # Git's own protocol is not part of the API.
    exchanges = [exchange for exchange in exchanges if ".git/" not in exchange["path"]]
    if not exchanges:
        fail("the recording holds no exchange")

    api = OpenAPI.from_dict(description)
    wrong = collections.Counter()
    checked = collections.Counter()
    for exchange in exchanges:
        request, response = Request(exchange), Response(exchange)
        status = exchange["status"]
        # One name for a route whatever its numbers are.
        route = f"{exchange['method']} {exchange['path']}"
        if status == 304 or 500 <= status:
            checked["not described by GitHub"] += 1
            continue
        try:
            found = api.spec and api.response_validator_cls  # noqa: F841
            route = f"{exchange['method']} {template(api, request)}"
        except PathError:
            # Only what GitHub doesn't know either may be unknown to its description.
            if status == 404:
                checked["unknown on purpose"] += 1
            else:
                wrong[f"{route}: no such operation"] += 1
            continue
        if 200 <= status < 300:
            try:
                api.validate_request(request)
                checked["requests"] += 1
            except OpenAPIError as error:
                for cause in causes(error):
                    wrong[f"{route} request: {cause}"] += 1
        try:
            api.validate_response(request, response)
            checked["answers"] += 1
        except ResponseNotFound:
            if status in ANYWHERE:
                checked["answers any route can give"] += 1
            else:
                wrong[f"{route} answers {status}, which GitHub doesn't describe"] += 1
        except OpenAPIError as error:
            for cause in causes(error):
                wrong[f"{route} answer {status}: {cause}"] += 1
    for known, reason in KNOWN.items():
        for text in [text for text in wrong if known in text]:
            checked[f"known: {reason}"] += wrong.pop(text)

    for text, count in sorted(wrong.items()):
        print(f"{count:5} × {text}")
    summary = ", ".join(f"{count} {what}" for what, count in sorted(checked.items()))
    print(f"contract: {len(exchanges)} exchanges: {summary}; {len(wrong)} kinds of difference")
    return 1 if wrong else 0


def template(api, request):
    """The path of the description that a request matches."""
    from openapi_core.templating.paths.finders import APICallPathFinder

    finder = APICallPathFinder(api.spec, base_url=None)
    return "/".join(finder.find(request.method, HOST + request.path).path.str_keys()[1:2])


if __name__ == "__main__":
    sys.exit(main())
