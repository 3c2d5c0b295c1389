"""Weights of the next layer, which come while a layer runs: whose loader may begin when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence

from hwsim.machine.supply import OperandSupply
from hwsim.mapping.plan import LayerPlan, ProductPlan

MakeSupply = Callable[[LayerPlan, ProductPlan, Callable[[], None]], OperandSupply]


class WeightSupplies:
    """The supplies of weights of one core's products, in order; each starts to load when it is made.

    ``layer_overlap: none``: a product's supply is made when the product starts.

    ``weights``: the next product's is made as soon as the running one's loader has got its last slice off DRAM's
    channels, so that there is one loader at a time, and slices come in the order in which layers read them. Layers
    without a product in between change nothing. The two share the scratchpad by a strict account in bits
    (:class:`hwsim.machine.room.Room`), first come, first served: as the running layer's loader has got all that it
    needs before the next one's begins, no layer ever waits for room that is taken for a later one. What the next layer
    may have under way at a time is what its own plan allows: a streamed operand's one or two slots, or all of one that
    stays. What a product takes in place of weights is made by layers before it and comes with it.

    Args:
        layers: all of the network's.
        core: the core's number.
        make: begins a product's supply; calls what it is given when the loader has done its part.
        ahead: whether the next layer's weights may come before it.
    """

    def __init__(self, layers: Sequence[LayerPlan], core: int, make: MakeSupply, *, ahead: bool) -> None:
        self._products = [(layer, layer.products[core]) for layer in layers if core < len(layer.products)]
        self._make, self._ahead = make, ahead
        self._made = self._started = 0
        self._is_loading = False
        self._waiting: deque[OperandSupply] = deque()
        if ahead and layers and core >= len(layers[0].products):
            self._go_on()

    def start(self) -> OperandSupply:
        """Return the supply of the next product in order, which starts now."""
        self._started += 1
        if self._made < self._started:
            self._begin()
        supply = self._waiting.popleft()
        self._go_on()
        return supply

    def state(self) -> Hashable:
        """Return how far the loader of a product that has not started is."""
        return (self._made, self._is_loading, tuple((one.position, one.ahead, one.state()) for one in self._waiting))

    def _begin(self) -> None:
        self._made += 1
        self._is_loading = True
        self._waiting.append(self._make(*self._products[self._made - 1], self._loaded))

    def _loaded(self) -> None:
        self._is_loading = False
        self._go_on()

    def _go_on(self) -> None:
        """Begin the next product's supply, if it is its turn and its weights are there to be brought."""
        if not self._ahead or self._is_loading or self._made > self._started or self._made == len(self._products):
            return
        layer, _ = self._products[self._made]
        if len(layer.inputs) == 1:
            self._begin()
