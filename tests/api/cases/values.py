"""Events whose JSON is broken, or holds what not every client can read back (§0)."""

from tests.api.cases.case import Case

EVENT = b'{"stream":"s","source":"p","payload":{"entity_id":"bad/x","properties":%b}}'
MIB = 1 << 20

# In place of the properties.
_NO_JSON = {
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "minus Infinity": b'{"a":-Infinity}',
    "a leading zero": b'{"a":01}',
    "no digit behind the point": b'{"a":1.}',
    "no digit before the point": b'{"a":.5}',
    "a plus sign": b'{"a":+1}',
    "a minus alone": b'{"a":-}',
    "an empty exponent": b'{"a":1e}',
    "a hexadecimal number": b'{"a":0x1}',
    "half a word": b'{"a":tru}',
    "Python's None": b'{"a":None}',
    "a trailing comma": b'{"a":1,}',
    "a trailing comma in a list": b'{"a":[1,]}',
    "a key without quotes": b"{a:1}",
    "single quotes": b"{'a':1}",
    "a comment": b'{"a":/**/1}',
    "no colon": b'{"a" 1}',
    "no comma": b'{"a":1 "b":2}',
    "one brace too many": b'{"a":1}}',
    "one brace too few": b'{"a":1',
    "the wrong bracket": b'{"a":[1}]',
    "a raw line break in a string": b'{"a":"\n"}',
    "a raw tab in a string": b'{"a":"\t"}',
    "a raw NUL in a string": b'{"a":"\x00"}',
    "an unknown escape": b'{"a":"\\x"}',
    "a short unicode escape": b'{"a":"\\u12"}',
    "an open string": b'{"a":"b}',
    "a byte that is no UTF-8": b'{"a":"\xff"}',
    "an overlong UTF-8 form": b'{"a":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "a cut UTF-8 form": b'{"a":"\xe2\x82"}',
    "beyond Unicode": b'{"a":"\xf4\x90\x80\x80"}',
}
_NUL = {
    "NUL in a value": b'{"a":"x\\u0000y"}',
    "NUL in a key": b'{"a\\u0000":1}',
    "NUL deep inside": b'{"a":[{"b":["\\u0000"]}]}',
}
_SURROGATE = {
    "a high surrogate alone": b'{"a":"\\ud800"}',
    "a low surrogate alone": b'{"a":"\\udc00"}',
    "surrogates the wrong way round": b'{"a":"\\udc00\\ud800"}',
    "two high surrogates": b'{"a":"\\ud800\\ud800"}',
    "a surrogate before a letter": b'{"a":"\\ud800x"}',
    "halves in two strings": b'{"a":"\\ud83d","b":"\\ude00"}',
    "a surrogate in a key": b'{"\\ud800":1}',
}
_NUMBER = {
    "1e999": b'{"a":1e999}',
    "-1e999": b'{"a":-1e999}',
    "zero with exponent 999": b'{"a":0e999}',
    "exponent 309": b'{"a":1e309}',
    "exponent -309": b'{"a":1e-309}',
    "exponent of many digits": b'{"a":1e00000000000000999}',
    "beyond a double": b'{"a":2e308}',
    "beyond a double in digits": b'{"a":1' + b"0" * 309 + b"}",
    "401 digits": b'{"a":' + b"1" * 401 + b"}",
    "401 digits with a point": b'{"a":0.' + b"1" * 400 + b"}",
    "5,000 digits": b'{"a":' + b"9" * 5000 + b"}",
}
_DEPTH = {
    "65 levels of lists": b'{"a":' + b"[" * 62 + b"]" * 62 + b"}",
    "65 levels of objects": b'{"a":' * 62 + b"{}" + b"}" * 62,
    "10,000 levels": b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "100,000 levels": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}
_BY_CODE = {
    "invalid_json": _NO_JSON,
    "nul_character": _NUL,
    "lone_surrogate": _SURROGATE,
    "number_out_of_range": _NUMBER,
    "nesting_too_deep": _DEPTH,
}

_WHOLE = {
    "nothing": b"",
    "a blank": b" ",
    "a byte order mark": b"\xef\xbb\xbf" + EVENT % b"{}",
    "UTF-16": (EVENT % b"{}").decode().encode("utf-16"),
    "a form": b"stream=s&source=p",
    "two events": EVENT % b"{}" + EVENT % b"{}",
    "text behind it": EVENT % b"{}" + b"x",
    "a million brackets": b"[" * MIB,
    "a million opened objects": b'{"a":' * (MIB // 5),
}

VALUES = [
    Case(f"properties: {name}", "POST", "/api/events", EVENT % properties, 400, code)
    for code, table in _BY_CODE.items()
    for name, properties in table.items()
] + [
    Case(f"event: {name}", "POST", "/api/events", body, 400, "invalid_json")
    for name, body in _WHOLE.items()
]

# In a batch each of these fails alone; but what is no JSON fails the whole.
FAIL_ALONE = {
    name: (EVENT % properties, code)
    for code, table in _BY_CODE.items()
    if code != "invalid_json"
    for name, properties in table.items()
}
