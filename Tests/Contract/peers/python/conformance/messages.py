"""The harness's messages, read from their .proto files when the peer starts: nothing generated is kept."""

import subprocess
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = Path(__file__).resolve().parents[5]
FOLDERS = [ROOT / "Protocols", ROOT / "Tests/Contract/Protocols"]
FILES = ["lockstep/conformance/v1/control.proto", "lockstep/runtime/v1/runtime.proto"]


def load() -> descriptor_pool.DescriptorPool:
    includes = [f"-I{folder}" for folder in FOLDERS]
    command = ["protoc", *includes, "--include_imports", "--descriptor_set_out=/dev/stdout", *FILES]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(output).file:
        pool.Add(file)
    return pool


POOL = load()


def message(name: str, package: str = "lockstep.conformance.v1"):
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"{package}.{name}"))


def values(name: str) -> dict:
    """An enumeration's numbers by name."""
    found = POOL.FindEnumTypeByName(f"lockstep.conformance.v1.{name}").values
    return {value.name: value.number for value in found}


Command, Reply = message("Command"), message("Reply")
Request, Response, Plan = message("Request"), message("Response"), message("Plan")
Seen, CallResult, Tally = message("Seen"), message("CallResult"), message("Tally")
ErrorDetails = message("ErrorDetails", "lockstep.runtime.v1")
FEATURE, PACE, ORDER = values("Feature"), values("Pace"), values("Order")
