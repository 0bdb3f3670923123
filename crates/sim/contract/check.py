#!/usr/bin/env python3
"""Checks recorded traffic of the simulator against GitHub's published OpenAPI.

    check.py --openapi api.github.com.json [--webhooks api.github.com.json] traffic.jsonl

Every line of the recording is one exchange. Requests that were answered with 2xx must be requests
that GitHub describes; every JSON answer must be an answer that GitHub describes for its status;
every webhook must have the body that GitHub describes for its event and action.
Exit 0: all hold. 1: some don't; each difference is printed once. 2: nothing could be checked.
"""

import argparse
import collections
import json
import re
import sys
from urllib.parse import parse_qsl

# Statuses that any route can answer and that the description names for few of them.
ANYWHERE = {400, 401, 403, 404, 429, 500, 502, 503}

# What GitHub sends although its own description says otherwise; each with its reason.
KNOWN = {
    "state_reason: None is not one of": "an open issue's state_reason is null; the enum lacks it",
    "labels/*/description: None": "a label without a description has null in lists of pulls too",
    "conclusion: None is not one of": "a run without a conclusion has null; the enum lacks it",
    "head/repo: None": "a deleted fork is null in the head; the description lacks it",
    "*/account: '": "an account is a user or an enterprise; in lists the other one is missed",
    "check-runs answers 422": "refused check runs are not described",
    "statuses/{sha} answers 422": "refused statuses are not described",
    "is valid under each of": "the description's own alternatives overlap",
}


def fail(text):
    print(f"contract: {text}", file=sys.stderr)
    sys.exit(2)


try:
    from openapi_core import OpenAPI
    from openapi_core.datatypes import RequestParameters
    from openapi_core.exceptions import OpenAPIError
    from openapi_core.templating.responses.exceptions import ResponseNotFound
    from openapi_schema_validator import OAS30Validator, OAS31Validator
    from referencing import Registry
    from referencing.jsonschema import DRAFT202012
    from werkzeug.datastructures import Headers, ImmutableMultiDict
except ImportError as error:
    fail(f"openapi-core is missing ({error}); `make contract` installs it into .tools/contract")

HOST = "https://api.github.com"

# The last part of these is a name that may hold slashes; the description's templates know none.
SLASHES = re.compile(
    r"^(/repos/[^/]+/[^/]+/(?:git/ref|git/refs|git/matching-refs|git/trees|branches|commits)/)(.+?)"
    r"(/(?:check-runs|check-suites|pulls|status|statuses))?$"
)


class Request:
    """What openapi-core asks of a request."""

    def __init__(self, exchange):
        self.host_url = HOST
        self.path = one_segment(exchange["path"])
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
                found.append(f"{place(one)}: {one.message[:160]}")
            break
        if error.__cause__ is None:
            found.append(f"{type(error).__name__}: {error}"[:240])
        error = error.__cause__
    return found


def one_segment(path):
    """The path with the slashes inside of a reference's name encoded."""
    found = SLASHES.match(path)
    return found[1] + found[2].replace("/", "%2F") + (found[3] or "") if found else path


def usable(description):
    """Only the part of the description that the simulator plays."""
    wanted = ("/repos/{owner}/{repo}", "/user", "/users/{username}", "/rate_limit")
    description["paths"] = {
        path: item
        for path, item in description["paths"].items()
        if path in wanted or path.startswith(("/repos/{owner}/{repo}/", "/app", "/installation/"))
    }
    return description


class Templates:
    """Finds which path of the description a request is."""

    def __init__(self, description):
        self.known = []
        for path, item in description["paths"].items():
            pattern = re.compile(re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(path)) + "$")
            self.known.append((path.count("{"), pattern, path, set(item)))
        self.known.sort(key=lambda entry: entry[0])

    def find(self, request):
        for _, pattern, path, methods in self.known:
            if request.method in methods and pattern.match(request.path):
                return path
        return None


class Webhooks:
    """Judges the bodies of webhooks."""

    def __init__(self, description):
        self.events = description.get("webhooks") or description["x-webhooks"]
        self.where = "webhooks" if "webhooks" in description else "x-webhooks"
        resource = DRAFT202012.create_resource(description)
        self.registry = Registry().with_resource("urn:webhooks", resource)
        newer = description["openapi"].startswith("3.1")
        self.validator = OAS31Validator if newer else OAS30Validator

    def differences(self, event, body):
        action = body.get("action")
        name = f"{event}-{action}".replace("_", "-") if action else event.replace("_", "-")
        if name not in self.events:
            return [f"webhook {name}: GitHub sends no such event"]
        pointer = f"{self.where}/{name}/post/requestBody/content/application~1json/schema"
        schema = {"$ref": f"urn:webhooks#/{pointer}"}
        found = self.validator(schema, registry=self.registry).iter_errors(body)
        return [f"webhook {name}: {place(error)}: {error.message[:160]}" for error in found]


def place(error):
    """Where an error is, whatever the numbers of lists are."""
    return "/".join("*" if isinstance(part, int) else str(part) for part in error.path)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--openapi", required=True, help="generated/api.github.com.json")
    arguments.add_argument("--webhooks", help="the same of @octokit/openapi-webhooks")
    arguments.add_argument("recording", help="JSON lines written by the simulator")
    arguments = arguments.parse_args()
    try:
        with open(arguments.openapi, encoding="utf-8") as file:
            description = usable(json.load(file))
        webhooks = None
        if arguments.webhooks:
            with open(arguments.webhooks, encoding="utf-8") as file:
                webhooks = Webhooks(json.load(file))
        with open(arguments.recording, encoding="utf-8") as file:
            exchanges = [json.loads(line) for line in file if line.strip()]
    except OSError as error:
        fail(str(error))
    sent = [line for line in exchanges if "webhook" in line]
    exchanges = [line for line in exchanges if "webhook" not in line]
    # Git's own protocol is not part of the API, and GraphQL is described elsewhere.
    exchanges = [
        exchange
        for exchange in exchanges
        if ".git/" not in exchange["path"] and exchange["path"] != "/graphql"
    ]
    if not exchanges:
        fail("the recording holds no exchange")

    templates = Templates(description)
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
        template = templates.find(request)
        if template is None:
            # Only what GitHub doesn't know either may be unknown to its description.
            if status == 404:
                checked["unknown on purpose"] += 1
            else:
                wrong[f"{route}: no such operation"] += 1
            continue
        route = f"{exchange['method']} {template}"
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
    for line in sent if webhooks else []:
        for text in webhooks.differences(line["webhook"], json.loads(line["request_body"])):
            wrong[text] += 1
        checked["webhooks"] += 1
    for known, reason in KNOWN.items():
        for text in [text for text in wrong if known in text]:
            checked[f"known: {reason}"] += wrong.pop(text)

    for text, count in sorted(wrong.items()):
        print(f"{count:5} × {text}")
    summary = ", ".join(f"{count} {what}" for what, count in sorted(checked.items()))
    print(f"contract: {len(exchanges)} exchanges: {summary}; {len(wrong)} kinds of difference")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
