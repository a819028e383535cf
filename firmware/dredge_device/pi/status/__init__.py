# SPDX-License-Identifier: BSD-2-Clause
"""The status of a running device for dashboards and home automation: JSON and Prometheus text by HTTP, and MQTT."""
