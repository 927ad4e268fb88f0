"""`smsgwctl pdu` on every vector, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from smsgw.commands.pdu import pdu

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text(encoding="utf-8"))["pdus"]
SHAPE = ("pdu", "length", "fields", "body_omitted", "text", "report", "receipt")


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(pdu, list(arguments), input=stdin)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_decode(vector: dict[str, Any]) -> None:
    result = run("decode", "--protocol", vector["protocol"], vector["hex"])
    assert result.exit_code == 0, result.output
    shown = json.loads(result.output)
    expected = {key: vector[key] for key in SHAPE if key in vector}
    if "text" not in expected:
        # Where the alphabet is a matter of agreement the vectors leave the text open.
        shown.pop("text", None)
    if "receipt" in expected:
        expected["receipt"] = shown["receipt"] | expected["receipt"]
    assert (shown, list(shown["fields"])) == (expected, list(expected["fields"]))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_encode(vector: dict[str, Any]) -> None:
    stdin = json.dumps({"pdu": vector["pdu"], "fields": vector["fields"]})
    result = run("encode", "--protocol", vector["protocol"], stdin=stdin)
    assert (result.exit_code, result.output.strip()) == (0, vector["hex"])


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        ("0000001180000005000000640000000700", {"message_id": "", "tlvs": []}),
        ("0000001180000004000000580000000700", {"message_id": "", "tlvs": []}),
        ("00000010800000050000006400000007", None),
    ],
)
def test_decode_shows_the_body_of_an_error_answer_when_there_is_one(octets: str, shown: dict[str, Any] | None) -> None:
    found = json.loads(run("decode", "-p", "smpp34", octets).output)
    assert found.get("body_omitted", False) is (shown is None)
    head = ("command_length", "command_id", "command_status", "sequence_number")
    assert {k: v for k, v in found["fields"].items() if k not in head} == (shown or {})


def test_encode_needs_no_lengths_and_no_command_id() -> None:
    fields = {"sequence_number": 7, "message_id": "ab"}
    result = run("encode", "-p", "smpp34", stdin=json.dumps({"pdu": "submit_sm_resp", "fields": fields}))
    assert result.output.strip() == "00000013800000040000000000000007616200"


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["decode", "-p", "smpp34", "0g"], None, "not hexadecimal"),
        (["decode", "-p", "smpp34", "00"], None, "1 octets where the header has 16"),
        (["decode", "-p", "cmpp20", "0000000c000000040000003e"], None, "CMPP_SUBMIT.Msg_Id at offset 12"),
        (["encode", "-p", "smpp34"], "{", "not JSON"),
        (["encode", "-p", "smpp34"], "[]", "an object with"),
        (["encode", "-p", "smpp34"], '{"pdu": "submit", "fields": {}}', "no PDU of this name"),
        (["encode", "-p", "smpp34"], '{"pdu": 5, "fields": {}}', "no PDU of this name"),
        (["encode", "-p", "smpp34"], '{"fields": {}}', "command_id: missing"),
        (["encode", "-p", "smpp34"], '{"pdu": "submit_sm", "fields": {"x": 1}}', "submit_sm.x: "),
        (
            ["encode", "-p", "smpp34"],
            '{"pdu": "submit_sm", "fields": {"esm_class": 256}}',
            "submit_sm.esm_class: 256 does not fit",
        ),
        (
            ["encode", "-p", "smpp34"],
            '{"pdu": "submit_sm", "fields": {"destination_addr": "111111111111111111111"}}',
            "submit_sm.destination_addr: 21 characters where 20 are allowed",
        ),
    ],
)
def test_faults_exit_1(arguments: list[str], stdin: str | None, message: str) -> None:
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [["decode"], ["decode", "-p", "smpp33", "00"], ["encode"], ["explode"]])
def test_usage_exits_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2
