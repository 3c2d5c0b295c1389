"""All operators that have a form in an exported file."""

from __future__ import annotations

from hwsim.export import attention, elementwise, file_nodes, lstm, moves, pools, products, qlinear, tables
from hwsim.export.writer import Form
from hwsim.network.operator import Operator

FORMS: dict[type[Operator], Form] = {
    **attention.FORMS,
    **elementwise.FORMS,
    **file_nodes.FORMS,
    **lstm.FORMS,
    **moves.FORMS,
    **pools.FORMS,
    **products.FORMS,
    **qlinear.FORMS,
    **tables.FORMS,
}
