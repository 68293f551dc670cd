"""Random policies for property tests, grown from given conditions."""

from hypothesis import strategies as st


def policies_of(*atoms: str) -> st.SearchStrategy[str]:
    """The text of one policy: permit or forbid, up to three clauses, their conditions joined, negated and branched from `atoms`."""
    conditions = st.recursive(st.sampled_from(atoms), _grown, max_leaves=6)
    clause = st.tuples(st.sampled_from(["when", "unless"]), conditions).map(lambda made: f"{made[0]} {{ {made[1]} }}")
    return st.tuples(st.sampled_from(["permit", "forbid"]), st.lists(clause, max_size=3)).map(
        lambda made: f"{made[0]} (principal, action, resource) {' '.join(made[1])};"
    )


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda made: f"({made[0]} {made[1]} {made[2]})"),
        inner.map(lambda made: f"!({made})"),
        st.tuples(inner, inner, inner).map(lambda made: f"(if {made[0]} then {made[1]} else {made[2]})"),
    )
