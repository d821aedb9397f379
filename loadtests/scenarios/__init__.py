"""A router under load, and whether it kept to its thresholds: `make loadtest PROFILE=…`.

Glossary:
    profile     how much load over time: steady, ramp, spike, soak, and a short one for every commit
    plan        everything that one process of Locust has to know: profile, models, what to ask
    kind        what a simulated user does: chat, stream, embeddings, kserve, conversation, change
    change      new weights for a route, set through the admin API while the load goes on
    tally       what the users saw and Locust's statistics cannot hold: versions, generations
    figures     all that a run of Locust tells at its end
    stage       the processes of a run without a target: two mock engines and a router
    verdict     one threshold, what was found, and whether the run kept to it

Locust patches the standard library (gevent), so it runs in processes of its own: nothing that
this program or a test imports from here imports Locust, except `locustfile` and `users`.
"""
