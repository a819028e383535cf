# SPDX-License-Identifier: BSD-2-Clause
"""Quality: clips x losses x methods, judged by metrics; each noun has its module."""
