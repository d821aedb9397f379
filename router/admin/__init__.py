"""The admin port: probes, metrics and the API, for people, Kubernetes and Prometheus.

Never traffic: a client of a model has no business here.  Errors are `application/problem+json`
(RFC 9457).  Without tokens the port is bound to loopback only; with tokens everything below
`/api/` asks for one, while probes and metrics stay open to those who reach the port.

application  what is served where; made once over a control plane
table        every operation, one row each: who may call it, what it takes, how it answers
operation    what a row is
place        a path of the API: method, role, intake, handler, refusals
guard        who calls, in front of everything below `/api/`
authority    how that is decided: tokens, sessions, and what a browser may not do (`origins`)
logins       failed tokens, limited and told
session      what the console's browser keeps instead of a token; `session_calls` gives it out
ui           the console's files
intake       parameters and bodies become checked values (`requests`, `fields`, `json_text`)
documents    what is answered; `openapi` describes it all
overview history configuration
             what the console shows beside all this
routes changes rollouts shadow comparisons runs explain generations audit events reload
             the handlers
problems     every error that there is
"""
