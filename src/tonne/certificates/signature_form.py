"""The one form a certificate's signature has: CMS in DER, of which nothing is left to choice.

Signing writes this form, and verifying accepts no other: whoever knows the document's hash, the signer's certificate and
the signature's value knows every byte. It is kept as it is for as long as certificates are out there.

Source: ETSI EN 319 122-1 (CAdES), level B-B as EN 319 142-1 wants it in a PDF; RFC 5652 (CMS); RFC 5035 (the signing
certificate is signed too); RFC 6211 (so are the algorithms).
"""

from __future__ import annotations

import hashlib

from asn1crypto import algos, cms, core, tsp, x509

_SHA256 = {"algorithm": "sha256"}
_RSA = {"algorithm": "sha256_rsa"}


def signed_attributes(digest: bytes, certificate: bytes) -> cms.CMSAttributes:
    """What the signature is made of: their DER is what the key signs.

    `digest` is the SHA-256 of the document without the signature, `certificate` is in DER.
    """
    signing_certificate = tsp.SigningCertificateV2(
        {"certs": [tsp.ESSCertIDv2({"cert_hash": hashlib.sha256(certificate).digest()})]}
    )
    protection = cms.CMSAlgorithmProtection(
        {
            "digest_algorithm": algos.DigestAlgorithm(_SHA256),
            "signature_algorithm": algos.SignedDigestAlgorithm(_RSA),
        }
    )
    return cms.CMSAttributes(
        [
            _attribute("content_type", "data"),
            _attribute("message_digest", core.OctetString(digest)),
            _attribute("signing_certificate_v2", signing_certificate),
            _attribute("cms_algorithm_protection", protection),
        ]
    )


def _attribute(kind: str, value: object) -> cms.CMSAttribute:
    return cms.CMSAttribute({"type": kind, "values": [value]})


def cms_signature(digest: bytes, certificate: bytes, signature: bytes) -> cms.ContentInfo:
    """The signature as it stands in the file; its value is the last thing in it."""
    signer = x509.Certificate.load(certificate)
    name = cms.IssuerAndSerialNumber({"issuer": signer.issuer, "serial_number": signer.serial_number})
    signer_info = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier({"issuer_and_serial_number": name}),
            "digest_algorithm": algos.DigestAlgorithm(_SHA256),
            "signed_attrs": signed_attributes(digest, certificate),
            "signature_algorithm": algos.SignedDigestAlgorithm(_RSA),
            "signature": signature,
        }
    )
    signed = cms.SignedData(
        {
            "version": "v1",
            "digest_algorithms": [algos.DigestAlgorithm(_SHA256)],
            "encap_content_info": {"content_type": "data"},
            "certificates": [signer],
            "signer_infos": [signer_info],
        }
    )
    return cms.ContentInfo({"content_type": "signed_data", "content": signed})
