import hashlib

from search_spaces import Architecture


def test_the_id_is_the_start_of_the_hash_of_the_sorted_form():
    one = Architecture(depth=1, form={"b": [1, {"d": None, "c": 0.5}], "a": "x"})
    text = '{"a":"x","b":[1,{"c":0.5,"d":null}]}'
    assert one.id == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_equality_is_that_of_the_network_not_of_the_decisions():
    one = Architecture(depth=1, form={"a": 1, "b": 2}, decisions={"x": 1})
    same = Architecture(depth=1, form={"b": 2, "a": 1}, decisions={"y": 2})
    other = Architecture(depth=1, form={"a": 1, "b": 3}, decisions={"x": 1})
    assert one == same
    assert len({one, same, other}) == 2
    assert one != "a"
