"""Is a version good enough to get more traffic: Argo Rollouts' analysis, with our additions.

Pure, except `providers`: values and `now` come in as arguments.  From the outside in:

run             the state machine that a loop drives: due, an answer, an error, the deadline
plan            what a run is going to do: templates and a reference to them, checked as a whole
template        templates as documents, and the ones that they refer to
metric_document one metric as it is written, with everything that is wrong about it
rules           which metrics are only shown, and how many measurements are kept
arguments       what fills `{{args.x}}`; `secret` holds the values that nothing may show
filling         templates with their arguments filled in
lint            what is right in form and still not what its author meant
schedule        when a metric is measured next
judgement       from a provider's answer to a measurement
assess          what measurements come to, for a metric and for a run; `deadline`: at its end
measurement     what was measured, and the counters
metric          one metric, understood
phases          how far something is, and the policies that a template chooses
fields          documents that nobody has checked; `findings`, `durations`: what is said of them
conditions      the language of successCondition and failureCondition
providers       where measured values come from

Words:
  run           one analysis, from its start to its verdict
  metric        one question that a run asks again and again
  reading       a provider's answer to it
  measurement   a reading (or an error) and what the conditions make of it
  phase         how far a run, a metric or a measurement is; some are verdicts
  verdict       Successful, Failed, Error or Inconclusive
  limit         how many measurements of a kind are still tolerated
  compat        whose rules a metric follows where Argo's and ours differ
"""
