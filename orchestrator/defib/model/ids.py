"""Identifiers, one type per idea so that they cannot be mixed up."""

from typing import NewType

MonitorId = NewType("MonitorId", str)
"""As written in the configuration: ``[a-z0-9][a-z0-9._-]*``, at most 100 characters."""
IncidentId = NewType("IncidentId", str)
CaseId = NewType("CaseId", str)
AttemptId = NewType("AttemptId", str)
AlertId = NewType("AlertId", str)
DeliveryId = NewType("DeliveryId", str)
ReportId = NewType("ReportId", str)
"""``report_YYYYMMDD`` for a day, after the day it covers."""
AgentId = NewType("AgentId", str)
"""As the agent calls itself on the wire: printable, at most 200 characters."""
TokenId = NewType("TokenId", str)
WindowId = NewType("WindowId", str)
"""Of a window of the configuration: ``name@`` and the instant at which it begins, in UTC."""
