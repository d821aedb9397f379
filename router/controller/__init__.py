"""Control's core: what should be served, what is served, and the way from one to the other.

state in → commit → snapshot → publish → wait for the workers' acknowledgement

fleet      the workers as control sees them: generation, health, counts
readiness  pure: may this router be sent traffic, and if not, why
plane      configuration and recorded state become generations
watch      the configuration's files, however they are replaced
"""
