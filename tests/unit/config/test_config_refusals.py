"""Bad input: each is named with its file, its line and its field, all of them at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import pytest

from router.config import Config, ConfigProblems, Problem, load

Refusals = Callable[[str], list[Problem]]
Loads = Callable[[str], Config]
Write = Callable[..., str]

# Everything below is put into this route; `# LINE` marks where the problem must be found.
ROUTE = """\
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1: {endpoints: [http://10.0.0.1:8000]}
    v2: {endpoints: [http://10.0.0.2:8000]}
    v3: {endpoints: [http://10.0.0.3:8000]}
"""


def in_route(text: str) -> str:
    return ROUTE + indent(text, "  ")


def only(problems: list[Problem], text: str) -> tuple[str, str]:
    """The only problem's field and message, found in the marked line of the file."""
    assert [str(problem) for problem in problems] == [str(problems[0])]
    (problem,) = problems
    marked = [number for number, line in enumerate(text.splitlines(), 1) if "# LINE" in line]
    assert [problem.line] == marked
    assert Path(problem.file).name == "router.yaml"
    return problem.field, problem.message


CHAT = "routes[0]"
HOW_TO_HASH = (
    "a token never stands here in plain text: write `sha256:` with the output of "
    '`printf %s "$TOKEN" | sha256sum`'
)

IN_ROUTE = {
    "release": (
        "release: v4  # LINE",
        "release",
        'unknown version "v4"; the route has v1, v2, v3',
    ),
    "initial weights name": (
        "initialWeights:\n  v1: 100\n  w9: 0  # LINE",
        "initialWeights.w9",
        'unknown version "w9"; the route has v1, v2, v3',
    ),
    "initial weights sum": (
        "initialWeights: {v1: 95, v2: 4.5}  # LINE",
        "initialWeights",
        "weights sum to 99.5, not 100",
    ),
    "initial weights nan": (
        "initialWeights:\n  v1: 100\n  v2: .nan  # LINE",
        "initialWeights.v2",
        'not a percentage: ".nan"',
    ),
    "initial weights negative": (
        "initialWeights:\n  v1: 101  # LINE\n",
        "initialWeights.v1",
        "101 is not between 0 and 100 percent",
    ),
    "initial weights too fine": (
        "initialWeights:\n  v1: 99.995  # LINE\n  v2: 0",
        "initialWeights.v1",
        "99.995 has more than two decimals",
    ),
    "header route": (
        "headerRoutes:\n- {header: x-canary, exact: always, version: v5}  # LINE",
        "headerRoutes[0].version",
        'unknown version "v5"; the route has v1, v2, v3',
    ),
    "header route regex": (
        "headerRoutes:\n- {header: x-canary, regex: '(', version: v1}  # LINE",
        "headerRoutes[0].regex",
        'not a regular expression (RE2): "(" (missing ): ()',
    ),
    "header route without a test": (
        "headerRoutes:\n- {header: x-canary, version: v1}  # LINE",
        "headerRoutes[0]",
        "takes exactly one of exact, prefix, regex, present",
    ),
    "header route with two tests": (
        "headerRoutes:\n- {header: x-canary, version: v1, exact: a, prefix: b}  # LINE",
        "headerRoutes[0]",
        "takes exactly one of exact, prefix, regex, present, not exact, prefix",
    ),
    "header name": (
        "headerRoutes:\n- {header: 'x canary', exact: a, version: v1}  # LINE",
        "headerRoutes[0].header",
        'not a header name: "x canary"',
    ),
    "sticky header name": (
        "sticky: {by: [{header: 'x:y'}]}  # LINE",
        "sticky.by[0].header",
        'not a header name: "x:y"',
    ),
    "sticky without a source": (
        "sticky: {by: [{}]}  # LINE",
        "sticky.by[0]",
        "takes exactly one of header, cookie, body, apiKey",
    ),
    "sticky cookie": (
        "sticky: {by: [{cookie: 'a;b'}]}  # LINE",
        "sticky.by[0].cookie",
        'not a cookie name: "a;b"',
    ),
    "sticky api key": (
        "sticky: {by: [{apiKey: false}]}  # LINE",
        "sticky.by[0].apiKey",
        "can only be true; leave it out otherwise",
    ),
    "shadow version": (
        "shadow: {version: v9}  # LINE",
        "shadow.version",
        'unknown version "v9"; the route has v1, v2, v3',
    ),
    "shadow with weight": (
        "initialWeights: {v1: 95, v3: 5}\nshadow: {version: v3}  # LINE",
        "shadow.version",
        '"v3" has 5 % of the traffic; a shadow has none',
    ),
    "shadow is the release": (
        "release: v3\nshadow: {version: v3}  # LINE",
        "shadow.version",
        '"v3" is the release; a shadow has no traffic of its own (a setShadow step copies to a '
        "release before it has any)",
    ),
    "shadow percent": (
        "shadow:\n  version: v3\n  percent: 101  # LINE",
        "shadow.percent",
        "101 is not between 0 and 100 percent",
    ),
    "shadow percent that is no number": (
        "shadow:\n  version: v3\n  percent: some  # LINE",
        "shadow.percent",
        'not a percentage: "some"',
    ),
    "shadow percent too fine": (
        "shadow:\n  version: v3\n  percent: 0.001  # LINE",
        "shadow.percent",
        "0.001 has more than two decimals",
    ),
    "noise percent": (
        "shadow:\n  version: v3\n  noise: {percent: -1}  # LINE",
        "shadow.noise.percent",
        "-1 is not between 0 and 100 percent",
    ),
    "ignored path": (
        "shadow:\n  version: v3\n  compare: {ignorePaths: [$.id, id]}  # LINE",
        "shadow.compare.ignorePaths[1]",
        'not a JSON path: "id" (like $.messages[*].content)',
    ),
    "redaction path": (
        "shadow:\n  version: v3\n  redact: {paths: ['$.a', 'a[']}  # LINE",
        "shadow.redact.paths[1]",
        'not a JSON path: "a[" (like $.messages[*].content)',
    ),
    "shadow credentials": (
        "shadow:\n  version: v3\n  credentials: {mode: replace}  # LINE",
        "shadow.credentials",
        "mode replace needs exactly one of valueEnv, valueFile",
    ),
    "unknown field": (
        "helth: {path: /health}  # LINE",
        "helth",
        'unknown field "helth" (did you mean "health"?)',
    ),
    "unknown nested field": (
        "timeouts:\n  first_byte: 5s  # LINE",
        "timeouts.first_byte",
        'unknown field "first_byte" (did you mean "firstByte"?)',
    ),
    "unknown field of a step": (
        "strategy:\n  canary:\n    steps:\n    - setWieght: 5  # LINE",
        "strategy.canary.steps[0].setWieght",
        'unknown field "setWieght" (did you mean "setWeight"?)',
    ),
    "field that resembles nothing": (
        "zzzzz: 1  # LINE",
        "zzzzz",
        'unknown field "zzzzz"',
    ),
    "duration": (
        "timeouts:\n  connect: 5 minutes  # LINE",
        "timeouts.connect",
        'not a duration: "5 minutes" (write 250ms, 30s, 5m, 1h30m or seconds)',
    ),
    "zero duration": (
        "health: {interval: 0s}  # LINE",
        "health.interval",
        "must be more than 0",
    ),
    "size": (
        "limits: {maxBodyBytes: big}  # LINE",
        "limits.maxBodyBytes",
        'not a size: "big" (write 512KiB, 8MB, 64MiB or bytes)',
    ),
    "number": (
        "limits: {maxInFlight: many}  # LINE",
        "limits.maxInFlight",
        'must be a whole number, not "many"',
    ),
    "number out of range": (
        "retry: {attempts: 0}  # LINE",
        "retry.attempts",
        'must be at least 1, not "0"',
    ),
    "not a number at all": (
        "retry: {budgetPercent: .nan}  # LINE",
        "retry.budgetPercent",
        'must be a number, not ".nan"',
    ),
    "nan": (
        "retry: {budgetPercent: nan}  # LINE",
        "retry.budgetPercent",
        'must be a finite number, not "nan"',
    ),
    "boolean": (
        "retry: {canaryFallback: maybe}  # LINE",
        "retry.canaryFallback",
        'must be true or false, not "maybe"',
    ),
    "retry cause": (
        "retry:\n  on: [connect, 404]  # LINE",
        "retry.on[1]",
        'must be connect, reset, timeout or a status from 500 to 599, not "404"',
    ),
    "one of several words": (
        "balance: leastConn  # LINE",
        "balance",
        "must be 'leastRequest', 'p2c' or 'roundRobin', not \"leastConn\"",
    ),
    "mapping": (
        "health: /health  # LINE",
        "health",
        "must be a mapping, not a text",
    ),
    "list": (
        "headerRoutes: {header: x}  # LINE",
        "headerRoutes",
        "must be a list, not a mapping",
    ),
    "nothing": (
        "limits:  # LINE",
        "limits",
        "must be a mapping, not nothing",
    ),
    "health path": (
        "health: {path: health}  # LINE",
        "health.path",
        'a path begins with "/": "health"',
    ),
    "health status": (
        "health: {expectedStatus: 99}  # LINE",
        "health.expectedStatus",
        'must be at least 100, not "99"',
    ),
    "no strategy": (
        "strategy: {progressDeadlineSeconds: 60}  # LINE",
        "strategy",
        "takes exactly one of canary, blueGreen, fromManifest",
    ),
    "two strategies": (
        "strategy: {canary: {}, blueGreen: {}}  # LINE",
        "strategy",
        "takes exactly one of canary, blueGreen, fromManifest, not canary, blueGreen",
    ),
    "strategy and manifest": (
        "strategy: {canary: {}, fromManifest: x.yaml}  # LINE",
        "strategy",
        "takes exactly one of canary, blueGreen, fromManifest, not canary, fromManifest",
    ),
    "step of two kinds": (
        "strategy:\n  canary:\n    steps:\n    - {setWeight: 5, pause: {}}  # LINE",
        "strategy.canary.steps[0]",
        "takes exactly one of setWeight, pause, analysis, setHeaderRoute, setShadow, "
        "not setWeight, pause",
    ),
    "step weight": (
        "strategy:\n  canary:\n    steps:\n    - setWeight: 101  # LINE",
        "strategy.canary.steps[0].setWeight",
        "101 is more than 100",
    ),
    "negative step weight": (
        "strategy:\n  canary:\n    steps:\n    - setWeight: -1  # LINE",
        "strategy.canary.steps[0].setWeight",
        'must be at least 0, not "-1"',
    ),
    "step weight too fine": (
        "strategy:\n  canary:\n    steps:\n    - setWeight: 0.125  # LINE",
        "strategy.canary.steps[0].setWeight",
        '"0.125" has more than 2 decimals',
    ),
    "shadow step's percent": (
        "strategy:\n  canary:\n    steps:\n    - setShadow: {percent: 101}  # LINE",
        "strategy.canary.steps[0].setShadow.percent",
        "101 is not between 0 and 100 percent",
    ),
    "shadow step's match": (
        "strategy:\n  canary:\n    steps:\n    - setShadow: {percent: 1, match: [{}]}  # LINE",
        "strategy.canary.steps[0].setShadow.match[0]",
        "says nothing; write pathPrefix: / to mean every request",
    ),
    "shadow step": (
        "strategy:\n  canary:\n    steps:\n    - setShadow: {percent: 5, version: x}  # LINE",
        "strategy.canary.steps[0].setShadow.version",
        'unknown version "x"; the route has v1, v2, v3',
    ),
    "unknown template": (
        "strategy:\n  canary:\n    steps:\n"
        "    - analysis: {templates: [{templateName: quality}]}  # LINE",
        "strategy.canary.steps[0].analysis.templates[0].templateName",
        'unknown analysis template "quality"',
    ),
    "analysis without templates": (
        "strategy: {blueGreen: {prePromotionAnalysis: {templates: []}}}  # LINE",
        "strategy.blueGreen.prePromotionAnalysis.templates",
        "must not be empty",
    ),
    "starting step": (
        "strategy:\n  canary:\n    steps: []\n    analysis:\n      startingStep: 1  # LINE\n"
        "      templates: [{templateName: t}]",
        "strategy.canary.analysis.startingStep",
        "1 is beyond the last of 0 steps",
    ),
    "manifest that is not there": (
        "strategy: {fromManifest: no.yaml}  # LINE",
        "strategy.fromManifest",
        "no.yaml cannot be read: No such file or directory",
    ),
}


@pytest.mark.parametrize("case", IN_ROUTE)
def test_a_bad_value_of_a_route_is_refused_with_its_line_and_field(
    case: str, refusals: Refusals
) -> None:
    text, field, message = IN_ROUTE[case]
    text = in_route(text)
    if case == "starting step":
        text += (
            "\nanalysisTemplates:\n"
            "- metadata: {name: t}\n  spec: {metrics: [{name: m, provider: {web: {url: http://q}}}]}\n"
        )
    found_field, found = only(refusals(text), text)
    assert found_field == f"{CHAT}.{field}"
    assert found == message or (case.startswith("manifest") and found.endswith(message))


VERSION = """\
routes:
- name: chat
  match: [{pathPrefix: /}]
  versions:
"""

WHOLE = {
    "endpoint": (
        VERSION + "    v1:\n      endpoints:\n      - http://ok:1\n      - 10.0.0.1:8000  # LINE\n",
        "routes[0].versions.v1.endpoints[1]",
        'not a URL: "10.0.0.1:8000" (did you mean http://10.0.0.1:8000 ?)',
    ),
    "no endpoint": (
        VERSION + "    v1: {endpoints: []}  # LINE\n",
        "routes[0].versions.v1.endpoints",
        "must not be empty",
    ),
    "missing endpoints": (
        VERSION + "    v1: {model: x}  # LINE\n",
        "routes[0].versions.v1.endpoints",
        "is required",
    ),
    "endpoint twice": (
        VERSION + "    v1: {endpoints: ['http://a', 'http://a']}  # LINE\n",
        "routes[0].versions.v1",
        'lists endpoint "http://a" twice',
    ),
    "version's name": (
        VERSION + "    v 1: {endpoints: ['http://a']}  # LINE\n",
        'routes[0].versions["v 1"]',
        'not a name: "v 1" (1 to 63 letters, digits, ".", "_" or "-", a letter or digit at each '
        "end)",
    ),
    "version twice": (
        VERSION + "    v1: {endpoints: ['http://a']}\n    v1: {endpoints: ['http://b']}  # LINE\n",
        "routes[0].versions.v1",
        "is written twice (first in line 5)",
    ),
    "tls": (
        VERSION + "    v1: {endpoints: ['https://a'], tls: {keyFile: k}}  # LINE\n",
        "routes[0].versions.v1.tls",
        "certificateFile and keyFile belong together",
    ),
    "digest": (
        VERSION + "    v1: {endpoints: ['http://a'], lineage: {dataSha256: 9f1}}  # LINE\n",
        "routes[0].versions.v1.lineage.dataSha256",
        "not a SHA-256 digest (64 hexadecimal digits)",
    ),
    "only version is a shadow": (
        VERSION + "    v1: {endpoints: ['http://a']}\n  shadow: {version: v1}  # LINE\n",
        "routes[0].shadow.version",
        '"v1" is the only version; a shadow has no traffic of its own',
    ),
    "route without a name": (
        "routes:\n- match: [{path: /x}]  # LINE\n  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[0].name",
        "is required",
    ),
    "route's name": (
        "routes:\n- name: a/b  # LINE\n  match: [{path: /x}]\n"
        "  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[0].name",
        'not a name: "a/b" (1 to 63 letters, digits, ".", "_" or "-", a letter or digit at each '
        "end)",
    ),
    "rule with nothing": (
        "routes:\n- name: a\n  match: [{}]  # LINE\n  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[0].match[0]",
        "says nothing; write pathPrefix: / to mean every request",
    ),
    "rule with two paths": (
        "routes:\n- name: a\n  match: [{path: /x, pathPrefix: /y}]  # LINE\n"
        "  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[0].match[0]",
        "takes path or pathPrefix, not both",
    ),
    "path with a query": (
        "routes:\n- name: a\n  match: [{path: /x?y}]  # LINE\n"
        "  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[0].match[0].path",
        'a path has no query, fragment or white space: "/x?y"',
    ),
    "method": (
        "routes:\n- name: a\n  match: [{path: /x, method: 'GET /'}]  # LINE\n"
        "  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[0].match[0].method",
        'not a method: "GET /"',
    ),
    "match header": (
        "routes:\n- name: a\n  match: [{headers: [{name: 'a b', exact: x}]}]  # LINE\n"
        "  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[0].match[0].headers[0].name",
        'not a header name: "a b"',
    ),
    "match regex": (
        "routes:\n- name: a\n  match: [{headers: [{name: a, regex: '*'}]}]  # LINE\n"
        "  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[0].match[0].headers[0].regex",
        'not a regular expression (RE2): "*" (no argument for repetition operator: *)',
    ),
    "regex that bytes do not have": (
        "routes:\n- name: a\n  match: [{headers: [{name: a, regex: '\\u0041'}]}]  # LINE\n"
        "  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[0].match[0].headers[0].regex",
        'not a regular expression (RE2): "\\u0041" (invalid escape sequence: \\u; '
        "write the character itself, or \\x{…})",
    ),
    "route twice": (
        "routes:\n- name: a\n  match: [{path: /x}]\n  versions: {v1: {endpoints: ['http://a']}}\n"
        "- name: a  # LINE\n  match: [{path: /y}]\n  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[1].name",
        '"a" is the name of routes[0] already',
    ),
    "same rule": (
        "routes:\n- name: a\n"
        "  match: [{path: /z}, {pathPrefix: /x/, methods: [POST, GET], headers: "
        "[{name: A, exact: b}]}]\n  versions: {v1: {endpoints: ['http://a']}}\n"
        "- name: b\n  match:\n"
        "  - {methods: [get, post], headers: [{name: a, exact: b}], pathPrefix: /x}  # LINE\n"
        "  versions: {v1: {endpoints: ['http://a']}}\n",
        "routes[1].match[0]",
        'is the same rule as routes[0].match[1] of route "a"',
    ),
    "plain token": (
        "auth:\n  tokens:\n  - name: ci\n    role: viewer\n    sha256Env: X\n"
        "    token: hunter2  # LINE\n",
        "auth.tokens[0].token",
        HOW_TO_HASH,
    ),
    "token without a digest": (
        "auth:\n  tokens:\n  - {name: ci, role: viewer}  # LINE\n",
        "auth.tokens[0]",
        "takes exactly one of sha256, sha256Env, sha256File",
    ),
    "token in the digest": (
        "auth:\n  tokens:\n  - {name: ci, role: viewer, sha256: hunter2}  # LINE\n",
        "auth.tokens[0].sha256",
        "not a SHA-256 digest (64 hexadecimal digits)",
    ),
    "digest of nothing": (
        "auth:\n  tokens:\n  - name: ci\n    role: viewer\n    sha256: "
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  # LINE\n",
        "auth.tokens[0].sha256",
        "is the SHA-256 of nothing at all: was the variable empty?",
    ),
    "role": (
        "auth:\n  tokens:\n  - {name: ci, role: boss, sha256Env: X}  # LINE\n",
        "auth.tokens[0].role",
        "must be 'viewer', 'operator' or 'admin', not \"boss\"",
    ),
    "token twice": (
        "auth:\n  tokens:\n  - {name: ci, role: viewer, sha256Env: X}\n"
        "  - {name: ci, role: admin, sha256Env: Y}  # LINE\n",
        "auth.tokens[1].name",
        '"ci" is the name of auth.tokens[0] already',
    ),
    "admin port": (
        "server:\n  admin: 0.0.0.0:8081  # LINE\n",
        "server.admin",
        "0.0.0.0:8081 can be reached from outside, so auth.tokens must name somebody",
    ),
    "one port": (
        "server:\n  listen: 127.0.0.1:8080\n  admin: 127.0.0.1:8080  # LINE\n",
        "server.admin",
        "127.0.0.1:8080 is the traffic port already",
    ),
    "listen": (
        "server:\n  listen: 8080  # LINE\n",
        "server.listen",
        'not an address: "8080" (write host:port, like 0.0.0.0:8080)',
    ),
    "workers": (
        "server:\n  workers: 0  # LINE\n",
        "server.workers",
        'must be "auto" or 1 to 1024, not "0"',
    ),
    "access log": (
        "server:\n  accessLog: errors  # LINE\n",
        "server.accessLog",
        "must be 'off', 'sampled' or 'all', not \"errors\"",
    ),
    "store": (
        "store: mysql://root:hunter2@db  # LINE\n",
        "store",
        "must be sqlite:FILE (beside this file), sqlite:///ABSOLUTE/FILE, postgresql://… "
        "or memory:",
    ),
    "section": (
        "sever: {}  # LINE\n",
        "sever",
        'unknown field "sever" (did you mean "server"?)',
    ),
    "template without metrics": (
        "analysisTemplates:\n- metadata: {name: t}\n  spec: {}  # LINE\n",
        "analysisTemplates[0].spec",
        "needs metrics, or templates that have some",
    ),
    "template without a name": (
        "analysisTemplates:\n- metadata: {}  # LINE\n"
        "  spec: {metrics: [{name: m, provider: {web: {url: http://q}}}]}\n",
        "analysisTemplates[0].metadata.name",
        "is required",
    ),
    "metric without a provider": (
        "analysisTemplates:\n- metadata: {name: t}\n  spec: {metrics: [{name: m}]}  # LINE\n",
        "analysisTemplates[0].spec",
        "metrics[0] (m) has no provider",
    ),
    "template twice": (
        "analysisTemplates:\n"
        "- {metadata: {name: t}, spec: {metrics: [{name: m, provider: {web: {url: http://q}}}]}}\n"
        "- {metadata: {name: t}, spec: {metrics: [{name: m, provider: {web: {url: http://q}}}]}}"
        "  # LINE\n",
        "analysisTemplates[1]",
        '"t" is the name of a template in analysisTemplates[0] already',
    ),
    "template of another kind": (
        "analysisTemplates:\n- kind: Rollout  # LINE\n  metadata: {name: t}\n"
        "  spec: {metrics: [{name: m, provider: {web: {url: http://q}}}]}\n",
        "analysisTemplates[0].kind",
        "must be 'AnalysisTemplate' or 'ClusterAnalysisTemplate', not \"Rollout\"",
    ),
    "not a mapping": ("- routes  # LINE\n", "", "must be a mapping of server, routes, …"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_a_bad_value_is_refused_with_its_line_and_field(case: str, refusals: Refusals) -> None:
    text, field, message = WHOLE[case]
    assert only(refusals(text), text) == (field, message)


def test_no_secret_is_repeated(refusals: Refusals) -> None:
    for case in ("plain token", "token in the digest", "store"):
        assert "hunter2" not in "\n".join(map(str, refusals(WHOLE[case][0])))


def test_a_problem_reads_as_file_line_field_and_message(write: Write) -> None:
    file = write(WHOLE["endpoint"][0])
    with pytest.raises(ConfigProblems) as refused:
        load(file)
    assert str(refused.value) == (
        f'{file}:8 routes[0].versions.v1.endpoints[1]: not a URL: "10.0.0.1:8000" '
        "(did you mean http://10.0.0.1:8000 ?)"
    )


def test_every_problem_is_named_at_once_in_the_order_of_the_lines(refusals: Refusals) -> None:
    problems = refusals(
        """\
        sever: {}
        server: {workers: none}
        routes:
        - name: a
          match: [{path: x}]
          versions:
            v1: {endpoints: [a:1]}
            v1: {endpoints: [b:1]}
          release: v2
          initialWeights: {v1: 99}
          balance: best
        - name: a
          match: [{path: /x}]
          versions: {}
        """
    )
    assert [(problem.line, problem.field) for problem in problems] == [
        (1, "sever"),
        (2, "server.workers"),
        (5, "routes[0].match[0].path"),
        (7, "routes[0].versions.v1.endpoints[0]"),
        (8, "routes[0].versions.v1"),
        (9, "routes[0].release"),
        (10, "routes[0].initialWeights"),
        (11, "routes[0].balance"),
        (12, "routes[1].name"),
        (14, "routes[1].versions"),
    ]


def test_a_bad_template_file_is_named_with_its_own_line(write: Write) -> None:
    templates = write("kind: AnalysisTemplate\nmetadata: {name: t}\nspec: {}\n", "analysis/t.yaml")
    router = write("analysisTemplates: [analysis/t.yaml, analysis/no.yaml]\n")
    with pytest.raises(ConfigProblems) as refused:
        load(router)
    missing, empty = refused.value.problems
    assert (missing.file, missing.line, missing.field) == (router, 1, "analysisTemplates[1]")
    assert missing.message.endswith("no.yaml cannot be read: No such file or directory")
    assert str(empty) == f"{templates}:3 spec: needs metrics, or templates that have some"


@pytest.mark.parametrize("word", ["off", "sampled", "all"])
def test_the_words_that_yaml_1_1_takes_for_booleans_stay_words(word: str, loads: Loads) -> None:
    config = loads(
        f"server: {{accessLog: {word}}}\n" + in_route("retry:\n  on: [reset, timeout, 503]\n")
    )
    assert config.server.access_log.mode == word
    assert config.routes[0].retry.on == ("reset", "timeout", 503)
    assert config.routes[0].retry.statuses == (503,)


def test_a_version_may_look_like_a_number(loads: Loads) -> None:
    config = loads(
        """\
        routes:
        - name: a
          match: [{path: /x}]
          versions:
            1.0: {endpoints: [http://a]}
            1.10: {endpoints: [http://b]}
          release: 1.10
        """
    )
    assert list(config.routes[0].versions) == ["1.0", "1.10"]
    assert config.routes[0].release == "1.10"


def test_ten_thousand_routes_load(write: Write) -> None:
    routes = (
        f"- name: r{n}\n  match: [{{path: /v1/chat/completions, model: m{n}}}]\n"
        f"  versions: {{v1: {{endpoints: ['http://10.0.0.1:8000']}}}}\n"
        for n in range(10_000)
    )
    assert len(load(write("routes:\n" + "".join(routes))).routes) == 10_000


def test_the_configuration_is_checked_however_it_is_made() -> None:
    with pytest.raises(ValueError, match='unknown version "v9"'):
        Config.model_validate(
            {
                "routes": [
                    {
                        "name": "a",
                        "match": [{"path": "/x"}],
                        "versions": {"v1": {"endpoints": ["http://a"]}},
                        "release": "v9",
                    }
                ]
            }
        )


def test_the_configuration_shows_no_secret() -> None:
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    config = Config.model_validate(
        {
            "store": "postgresql://router:hunter2@db/router",
            "auth": {"tokens": [{"name": "ci", "role": "viewer", "sha256": digest}]},
        }
    )
    assert not re.search(f"hunter2|{digest}", repr(config))


@pytest.mark.parametrize(
    "text",
    [
        "auth: {tokens: [S3CRET]}",
        'notifications: [{name: n, url: "https://h/x", headers: ["authorization: Bearer S3CRET"]}]',
        "routes: [{name: a, match: [{path: /}], versions: {v1: {endpoints: ['http://h/?key=S3CRET']}}}]",
        "routes: [{name: a, match: [{path: /}], versions: {v1: {endpoints: ['h/?key=S3CRET']}}}]",
    ],
)
def test_a_refusal_quotes_nothing_where_a_secret_may_stand(tmp_path: Path, text: str) -> None:
    file = tmp_path / "router.yaml"
    file.write_text(text)
    with pytest.raises(ConfigProblems) as refused:
        load(file)
    assert "S3CRET" not in str(refused.value)
