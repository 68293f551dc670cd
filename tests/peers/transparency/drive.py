"""What other people's tools make of a log of ours: pymerkle of its tree and proofs, sigstore of its checkpoint and inclusion proofs.

`drive.py FILE`: JSON with all leaves, the inclusion proofs of a bundle, the earlier roots to which its consistency proofs lead, its
checkpoint and the log's Ed25519 key; bytes in base64. Prints how many each tool accepted, and how many of the same with one bit changed.
pymerkle's own consistency proofs are of another form than RFC 9162's: it says which roots those are that ours lead to.
"""

import base64
import json
import sys
from types import SimpleNamespace

import pymerkle
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore._internal.rekor.checkpoint import SignedCheckpoint
from sigstore.errors import VerificationError


def unb64(text):
    return base64.b64decode(text, validate=True)


def damaged(path):
    """The same with a bit of its last hash changed."""
    return [*path[:-1], path[-1][:-1] + bytes([path[-1][-1] ^ 1])]


def count(check, path):
    """Whether the check accepts the path, and whether it accepts the damaged one."""
    return [accepted(check, path), accepted(check, damaged(path))]


def accepted(check, path):
    try:
        check(path)
    except (pymerkle.InvalidProof, VerificationError):
        return 0
    return 1


def totals(pairs):
    return [sum(column) for column in zip(*pairs, strict=True)]


def by_pymerkle(leaves, inclusion, states, root):
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    tree.append_entries(leaves)
    size = len(leaves)

    def included(index):
        hashed = tree.get_leaf(index + 1)
        form = tree.prove_inclusion(index + 1, size).serialize()

        def check(path):
            proof = pymerkle.InclusionProof.deserialize({**form, "path": [hashed.hex(), *(item.hex() for item in path)]})
            pymerkle.verify_inclusion(hashed, root, proof, index=index + 1, size=size)

        return check

    return {
        "root": tree.get_state() == root,
        "inclusion": totals(count(included(index), path) for index, path in inclusion.items()),
        "states": sum(tree.get_state(int(old)) == unb64(state) for old, state in states.items()),
    }


class Keyring:
    """Stands for sigstore's keyring of logs, which comes from its own root of trust."""

    def __init__(self, key):
        self.key = Ed25519PublicKey.from_public_bytes(key)

    def verify(self, *, key_id, signature, data):
        try:
            self.key.verify(signature, data)
        except InvalidSignature as error:
            raise VerificationError("invalid signature") from error


def by_sigstore(leaves, inclusion, checkpoint, key):
    signed = SignedCheckpoint.from_text(checkpoint)
    told = signed.checkpoint
    root = bytes.fromhex(told.log_hash)

    def included(index):
        def check(path):
            proof = SimpleNamespace(log_index=index, tree_size=told.log_size, hashes=path, root_hash=root)
            inner = SimpleNamespace(inclusion_proof=proof, canonicalized_body=leaves[index])
            verify_merkle_inclusion(SimpleNamespace(_inner=inner))

        return check

    def noted(text):
        SignedCheckpoint.from_text(text).signed_note.verify(Keyring(key["public"]), key["id"])

    changed = checkpoint.replace(f"\n{told.log_size}\n", f"\n{told.log_size + 1}\n", 1)
    return {
        "checkpoint": [told.origin, told.log_size, told.other_content],
        "signers": [signature.name for signature in signed.signed_note.signatures],
        "signature": [accepted(noted, checkpoint), accepted(noted, changed)],
        "inclusion": totals(count(included(index), path) for index, path in inclusion.items()),
    }


def main():
    with open(sys.argv[1]) as file:
        given = json.load(file)
    leaves = [unb64(leaf) for leaf in given["leaves"]]
    inclusion = {int(index): [unb64(item) for item in path] for index, path in given["inclusion"].items()}
    key = {name: unb64(text) for name, text in given["key"].items()}
    print(
        json.dumps(
            {
                "pymerkle": by_pymerkle(leaves, inclusion, given["states"], unb64(given["root"])),
                "sigstore": by_sigstore(leaves, inclusion, given["checkpoint"], key),
            }
        )
    )


if __name__ == "__main__":
    main()
