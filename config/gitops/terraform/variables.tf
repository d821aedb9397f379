variable "name" {
  description = "The release's name."
  type        = string
  default     = "router"
}

variable "namespace" {
  description = "Where it is installed; created if it is not there."
  type        = string
  default     = "models"
}

variable "chart" {
  description = "Folder or OCI address of the chart."
  type        = string
}

variable "chart_version" {
  description = "Its version; null for a folder."
  type        = string
  default     = null
}

variable "values_files" {
  description = "Files of the chart's values; later ones win."
  type        = list(string)

  validation {
    condition     = length(var.values_files) > 0
    error_message = "The router needs routes: give a file with the chart's value config."
  }
}

variable "image" {
  description = "Image to run; null: what the values say."
  type = object({
    repository = string
    tag        = string
  })
  default = null
}

variable "timeout_seconds" {
  description = "How long an upgrade may take: longer than server.drainSeconds."
  type        = number
  default     = 900
}
