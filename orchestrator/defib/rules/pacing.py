"""How often each of many may do something. Time comes in as an argument; what is known of whom is bounded."""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

MOST_KNOWN = 10_000  #: of whom more is remembered than that they have their whole share


class Allowances:
    """A token bucket for each of those that did it last."""

    def __init__(self, *, per_second: float, at_once: int) -> None:
        self._per_second = per_second
        self._at_once = float(at_once)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # who → how often still, and when

    def spend(self, who: str, now_s: float) -> float:
        """Take one.

        :param now_s: monotonic.
        :return: 0.0, or how many seconds from now on there is one; then none was taken.
        """
        left, at = self._left.get(who, (self._at_once, now_s))
        left = min(self._at_once, left + (now_s - at) * self._per_second)
        if left < 1.0:
            return (1.0 - left) / self._per_second
        self._left[who] = (left - 1.0, now_s)
        self._left.move_to_end(who)
        if len(self._left) > MOST_KNOWN:
            self._left.popitem(last=False)
        return 0.0


def source(host: str) -> str:
    """Who is behind an address: of IPv6 its network of 64 bits, as each customer has at least one."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"
