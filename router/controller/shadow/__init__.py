"""Control's side of a shadow: pairs of answers come in, verdicts and evidence come out.

take → admit → compare → tally → redact → record

desk        where pairs come in and others ask: the only module that others need
comparer    the way of a pair
intake      pairs that wait: bounded, and what does not fit is told
subject     pure: who is compared with whom, since when; a new attempt is a new subject
settings    pure: what a route's configuration says of comparing, hiding and keeping
answers     pure: a captured answer as one to compare
examine     pure: what differs between the answers of one pair
tallies     what the pairs of each route have told so far
reports     what the tallies mean, made beside the loop
document    pure: one pair as it is recorded
redaction   pure: what must never be written down
paths       pure: the places that a JSON path leads to
recorder    the batch that waits for the store, and the one who writes it
counts      numbers for the metrics

Nothing that is not redacted leaves this package: neither to the store, nor to a log.
"""
