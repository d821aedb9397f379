output "url" {
  description = "Where applications in the cluster call it."
  value       = "http://${helm_release.router.name}-inference-router.${helm_release.router.namespace}.svc"
}

output "status" {
  description = "What Helm says of the release."
  value       = helm_release.router.status
}
