# Installs the chart.  The cluster is the caller's: configure the helm provider there.
#
#   module "router" {
#     source       = "./config/gitops/terraform"
#     chart        = "./helm/inference-router"
#     values_files = ["./config/gitops/overlays/staging/values.yaml"]
#   }

locals {
  image_values = var.image == null ? [] : [yamlencode({ image = var.image })]
}

resource "helm_release" "router" {
  name             = var.name
  namespace        = var.namespace
  create_namespace = true
  chart            = var.chart
  version          = var.chart_version
  timeout          = var.timeout_seconds
  wait             = true
  atomic           = true
  values           = concat([for path in var.values_files : file(path)], local.image_values)
}
