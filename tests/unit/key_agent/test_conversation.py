"""One program at the key agent, as a transcript: what is signed, what is put before the line, what is refused whatever policy says."""

from __future__ import annotations

import hashlib
import hmac
import random
from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from interlock.key_agent import wire
from interlock.key_agent.conversation import Conversation
from interlock.key_agent.known_hosts import Host, KnownHosts

string = wire.string
SESSION, OTHER_SESSION = b"s" * 32, b"t" * 32
KEY, OTHER_KEY = string(b"ssh-ed25519") + string(b"k" * 32), string(b"ssh-ed25519") + string(b"o" * 32)
IDENTITIES = bytes([12, 0, 0, 0, 2]) + string(KEY) + string(b"mine") + string(OTHER_KEY) + string(b"another")
SIGNED = bytes([14]) + string(b"a signature")


def blob(private):
    return b64decode(private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1])


class Ed25519:
    private = ed25519.Ed25519PrivateKey.generate()
    blob = blob(private)

    @classmethod
    def sign(cls, data):
        return string(b"ssh-ed25519") + string(cls.private.sign(data))


class Rsa:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    blob = blob(private)

    @classmethod
    def sign(cls, data, algorithm=b"rsa-sha2-512", digest=hashes.SHA512):
        return string(algorithm) + string(cls.private.sign(data, padding.PKCS1v15(), digest()))


class Ecdsa:
    private = ec.generate_private_key(ec.SECP256R1())
    blob = blob(private)

    @classmethod
    def sign(cls, data):
        pair = utils.decode_dss_signature(cls.private.sign(data, ec.ECDSA(hashes.SHA256())))
        parts = [string(each.to_bytes((each.bit_length() + 8) // 8, "big")) for each in pair]
        return string(b"ecdsa-sha2-nistp256") + string(b"".join(parts))


def known(*lines):
    return KnownHosts(["\n".join(lines) + "\n"])


def line(names, host=Ed25519):
    return f"{names} ssh-any {b64encode(host.blob).decode()} a comment"


class Outside:
    """Signer and gate, and all that came to them."""

    def __init__(self, allowed=True):
        self.allowed, self.asked, self.refusals, self.signed_requests, self.bindings = allowed, [], [], [], []

    def identities(self):
        return IDENTITIES

    def bound(self, request):
        self.bindings.append(request)

    def signed(self, request):
        self.signed_requests.append(request)
        return SIGNED

    def close(self):
        pass

    def may(self, targets):
        self.asked.append(targets)
        return self.allowed

    def refused(self, target, because):
        self.refusals.append((target, because))


def begin(outside, files=None, asked=()):
    return Conversation(known=files or known(line("git.example.com")), asked=asked, signer=outside, gate=outside)


def bind(host=Ed25519, session=SESSION, signature=None, forwarded=False):
    parts = [string(host.blob), string(session), string(signature or host.sign(session)), bytes([forwarded])]
    return bytes([27]) + string(wire.SESSION_BIND) + b"".join(parts)


def login(session=SESSION, user=b"git", key=KEY, host=None, method=None, service=b"ssh-connection", behind=b""):
    method = method or (b"publickey" if host is None else b"publickey-hostbound-v00@openssh.com")
    parts = [string(session), bytes([50]), string(user), string(service), string(method), b"\x01", string(b"ssh-ed25519"), string(key)]
    return b"".join(parts) + (b"" if host is None else string(host.blob)) + behind


def sign(data, key=KEY):
    return bytes([13]) + string(key) + string(data) + bytes(4)


@pytest.mark.parametrize("host", [Ed25519, Rsa, Ecdsa])
@pytest.mark.parametrize("says_host", [True, False])
def test_a_login_at_the_host_that_signed_is_put_before_the_line_and_signed(host, says_host):
    outside = Outside()
    conversation = begin(outside, known(line("git.example.com,[git.example.com]:2222", host)))
    assert conversation.answer(bind(host), []).data == wire.SUCCESS
    data = login(host=host if says_host else None)
    answer = conversation.answer(sign(data), ["git.example.com:2222"])
    assert answer == (SIGNED, True) and [request.data for request in outside.signed_requests] == [data]
    [targets] = outside.asked
    assert [(target["host"], target["port"], target["user"], target["purpose"]) for target in targets] == [
        ("git.example.com", 2222, "git", "login"),
        ("git.example.com", 22, "git", "login"),
    ]
    assert targets[0]["key"] == wire.fingerprint(KEY) and not outside.refusals and len(outside.bindings) == 1


def test_what_the_line_refuses_is_not_signed():
    outside = Outside(allowed=False)
    conversation = begin(outside)
    conversation.answer(bind(), [])
    assert conversation.answer(sign(login()), []) == (wire.FAILURE, False) and not outside.signed_requests


def test_what_is_bound_to_no_host_is_put_before_the_line_as_that():
    for data, purpose, user in [
        (login(), "login", "git"),
        (login(host=Ed25519), "login", "git"),
        (b"SSHSIG" + string(b"git") + string(b"") + string(b"sha512") + string(b"h" * 64), "git", None),
        (b"anything at all", "unknown", None),
        (login(behind=b"x", host=Ed25519), "unknown", None),
        (login(service=b"ssh-other"), "unknown", None),
    ]:
        outside = Outside()
        assert begin(outside).answer(sign(data), ["evil.example.org:22"]).done
        [[target]] = outside.asked
        assert "host" not in target and "port" not in target and target["connected"] == ["evil.example.org:22"]
        assert (target["purpose"], target.get("user")) == (purpose, user)


@pytest.mark.parametrize(
    "binding",
    [
        bind(signature=Ed25519.sign(OTHER_SESSION)),
        bind(signature=Rsa.sign(SESSION)),
        bind(Rsa, signature=string(b"ssh-rsa") + Rsa.sign(SESSION)[16:]),
        bind(signature=Ed25519.sign(SESSION) + b"x"),
        bind(signature=string(b"ssh-ed25519") + string(b"")),
        bind(Ecdsa, signature=string(b"ecdsa-sha2-nistp256") + string(string(b"\xff") + string(b"\x01"))),
        bind(forwarded=True),
    ],
)
def test_what_no_host_signed_for_or_is_forwarded_spoils_the_connection(binding):
    outside = Outside()
    conversation = begin(outside)
    assert conversation.answer(binding, []).data == wire.FAILURE
    assert conversation.answer(bind(), []).data == wire.FAILURE
    assert conversation.answer(sign(login()), []).data == wire.FAILURE
    assert len(outside.refusals) == 3 and not outside.asked and not outside.signed_requests and not outside.bindings


@pytest.mark.parametrize(
    "data",
    [
        login(session=OTHER_SESSION),
        login(host=Rsa),
        login(key=OTHER_KEY),
        b"SSHSIG" + string(b"git"),
        b"anything",
        login(behind=b"x"),
        login(method=b"password"),
    ],
)
def test_a_bound_connection_is_good_for_what_it_was_bound_to(data):
    outside = Outside()
    conversation = begin(outside)
    conversation.answer(bind(), [])
    assert conversation.answer(sign(data), []).data == wire.FAILURE
    [(target, because)] = outside.refusals
    assert target["key"] == wire.fingerprint(KEY) and because and not outside.asked and not outside.signed_requests


def test_a_second_binding_is_the_same_or_none():
    outside = Outside()
    conversation = begin(outside)
    assert [conversation.answer(bind(), []).data for _ in range(2)] == [wire.SUCCESS] * 2
    assert conversation.answer(bind(session=OTHER_SESSION), []).data == wire.FAILURE
    assert conversation.answer(sign(login()), []).data == wire.FAILURE and not outside.asked


def test_a_host_that_the_person_does_not_know_or_has_revoked_gets_nothing():
    for files in (known(), known(line("git.example.com", Rsa)), known(line("git.example.com"), f"@revoked {line('*')}")):
        outside = Outside()
        conversation = begin(outside, files)
        conversation.answer(bind(), [])
        assert conversation.answer(sign(login()), ["git.example.com:22"]).data == wire.FAILURE
        assert len(outside.refusals) == 1 and not outside.asked


def test_a_host_that_is_known_by_its_address_alone_has_no_name():
    outside = Outside()
    conversation = begin(outside, known(line("192.0.2.7")))
    conversation.answer(bind(), [])
    assert conversation.answer(sign(login()), ["192.0.2.7:22"]).done
    [[target]] = outside.asked
    assert "host" not in target


def hashed(name):
    salt = b"salt" * 5
    return f"|1|{b64encode(salt).decode()}|{b64encode(hmac.digest(salt, name.encode(), hashlib.sha1)).decode()}"


def test_names_of_known_hosts():
    def names(text, *asked):
        return [tuple(host) for host in known(line(text)).named(Ed25519.blob, asked)]

    git = Host("git.example.com", 22)
    assert names("Git.Example.com,10.0.0.1") == [("git.example.com", 22), ("10.0.0.1", 22)]
    assert names("[git.example.com]:2222") == [("git.example.com", 2222)]
    assert names("*.example.com") == [] and names("*.example.com", git) == [git]
    assert names("*.example.com,!git.example.com", git) == [] and names("git.example.com,!git.*", git) == []
    assert names(hashed("git.example.com")) == [] and names(hashed("git.example.com"), git) == [git]
    assert names(hashed("[git.example.com]:2222"), git, Host("git.example.com", 2222)) == [("git.example.com", 2222)]
    assert names("git.example.co?", git) == [git] and names("git.example.comx,xgit.example.com,git-example.com", git)[0] != git
    for odd in ("[git.example.com]:99999", "|1|x|y", "[a]:"):
        assert names(odd, git) in ([], [("[a]:", 22)])
    for not_a_line in ("", "# git.example.com", "git.example.com ssh-ed25519", "git.example.com ssh-ed25519 !!!", f"@cert-authority {line('*')}"):
        assert known(not_a_line).named(Ed25519.blob, [git]) == []


@pytest.mark.parametrize("number", [n for n in range(256) if n not in (11, 13, 27)])
def test_every_other_request_is_refused(number):
    outside = Outside()
    assert begin(outside).answer(bytes([number]) + KEY, []).data == wire.FAILURE
    assert not outside.asked and not outside.signed_requests


def test_what_is_no_message_is_refused_whatever_it_is():
    messages = [bind(), sign(login()), sign(login(host=Ed25519)), bytes([27]) + string(b"restrict-destination-v00@openssh.com"), bytes([27])]
    chosen = random.Random(11)
    for message in messages:
        for _ in range(300):
            outside, data = Outside(), bytearray(message)
            for _ in range(chosen.randint(1, 3)):
                data[chosen.randrange(1, len(data)) if len(data) > 1 else 0] = chosen.randrange(256)
            cut = bytes(data[: chosen.randint(1, len(data))])
            conversation = begin(outside)
            conversation.answer(cut if cut[0] in (13, 27) else bytes([13]) + cut[1:], [])
            for [target] in outside.asked:
                assert "host" not in target
    unknown = string(b"ssh-ed25519") + string(b"u" * 32)
    outside = Outside()
    assert begin(outside).answer(sign(login(key=unknown), unknown), []).data == wire.FAILURE and not outside.asked
