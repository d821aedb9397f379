"""Control's core: what should be served, what is served, and the way from one to the other.

state in → commit → snapshot → publish → wait for the workers' acknowledgement

fleet           the workers as control sees them: generation, health, counts
readiness       pure: may this router be sent traffic, and if not, why
plane           configuration, recorded state and evidence become generations
ledger          commit, then publish: the only way in which anything becomes true
changes         pure: what people may change about a route
loop            what control does by itself: measure, look, do what follows
outside         what a rollout sees of the world and does to it:
runs              analyses, while they run
default_server    the Prometheus of templates that name none
gates             whom a rollout asks before it goes on
notify            whom it tells
webhooks          one call of these, bounded and silent about its URL
secrets           where tokens are found
events          news for whoever listens
explain         what would become of a request, and why
watch           the configuration's files, however they are replaced
"""
