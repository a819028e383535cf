# SPDX-License-Identifier: BSD-2-Clause
"""What a device tells dashboards and home automation while it runs: JSON and Prometheus text by HTTP, MQTT."""
