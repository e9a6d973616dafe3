"""Who may call: authentication and authorization as Kubernetes' API servers delegate them."""

from adapter.server.auth.attributes import Attributes, attributes_of
from adapter.server.auth.gate import Gate, GateOptions, open_gate
from adapter.server.auth.lookup import TrustKeeper, TrustOptions
from adapter.server.auth.peer import PeerCertificate, ask_for_certificates, peer_certificate
from adapter.server.auth.ports import AuthObserver
from adapter.server.auth.refusals import is_refusal, refusal
from adapter.server.auth.reviews import ReviewTools
from adapter.server.auth.trust import HeaderNames, Trust
from adapter.server.auth.users import User

__all__ = [
    "Attributes",
    "AuthObserver",
    "Gate",
    "GateOptions",
    "HeaderNames",
    "PeerCertificate",
    "ReviewTools",
    "Trust",
    "TrustKeeper",
    "TrustOptions",
    "User",
    "ask_for_certificates",
    "attributes_of",
    "is_refusal",
    "open_gate",
    "peer_certificate",
    "refusal",
]
