"""Values of variables while a function runs, kept apart from the variables themselves."""

from collections.abc import Iterable

import keras


class Scope(keras.StatelessScope):
    """Gives variables other values for a while, and collects what is assigned to them.

    Inside another scope it begins with the values there.

    Args:
        values: Pairs of a variable and its value in the scope.
        complete: Whether `values` are to be all variables that are used.

    Attributes:
        changed: Variables that were assigned to, by identity.
    """

    def __init__(self, values: Iterable[tuple] = (), complete: bool = False):
        super().__init__(list(values))
        self.complete = complete
        self.changed: dict[int, keras.Variable] = {}

    def get_current_value(self, variable):
        """Returns the value in this scope, or in the one around it; `None` for the variable's own."""
        value = super().get_current_value(variable)
        if value is None and isinstance(self.original_scope, Scope):
            return self.original_scope.get_current_value(variable)
        if value is None and self.complete:
            raise ValueError(
                f"The compiled step uses variable '{variable.path}', which is not in its state; add it there."
            )
        return value

    def add_update(self, update):
        """Takes an assigned value, as a constant for gradients."""
        variable, value = update
        if self.complete:
            self.get_current_value(variable)
        self.changed[id(variable)] = variable
        super().add_update((variable, keras.ops.stop_gradient(value)))

    def updates(self) -> list[tuple]:
        """Returns variables that were assigned to, with their new values."""
        return [(variable, self.state_mapping[key]) for key, variable in self.changed.items()]


def assign(updates: Iterable[tuple]):
    """Assigns what a scope collected, to the scope around it or to the variables themselves.

    Args:
        updates: Pairs of a variable and its new value.
    """
    for variable, value in updates:
        variable.assign(value)
