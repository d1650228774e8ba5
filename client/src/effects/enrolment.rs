//! Enrolment links: the server's address and whom to believe there, the authority with the link's
//! fingerprint or the platform's roots. No trust on first use.

/// An enrolment link: `qorgan://HOST:PORT/?ca=HEX` or `…?ca=platform`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnrolmentLink {
    /// The server's origin, such as `https://host:8443`.
    pub(crate) origin: String,
    /// SHA-256 of the authority's DER; `None` for the platform's roots.
    pub(crate) fingerprint: Option<[u8; 32]>,
}

impl EnrolmentLink {
    /// Reads a link; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("qorgan://")?;
        let (host, query) = rest.split_once('?')?;
        let host = host.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if host.is_empty() || !host.chars().all(plain) {
            return None;
        }
        let ca = query.split('&').find_map(|pair| pair.strip_prefix("ca="))?;
        let fingerprint = match ca {
            "platform" => None,
            hex => Some(qorgan_protocol::crypto::PublicKey::from_hex(hex)?.0),
        };
        Some(Self {
            origin: format!("https://{host}"),
            fingerprint,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_gives_origin_and_fingerprint() {
        let link = EnrolmentLink::parse(&format!("qorgan://exam.kz:8443/?ca={}", "ab".repeat(32)));
        assert_eq!(
            link,
            Some(EnrolmentLink {
                origin: "https://exam.kz:8443".to_owned(),
                fingerprint: Some([0xAB; 32])
            })
        );
    }

    #[test]
    fn a_link_without_a_whole_fingerprint_is_none() {
        for bad in [
            "",
            "qorgan://host/",
            "qorgan://host/?ca=ab",
            "https://host/?ca=platform",
            "qorgan:///?ca=platform",
            "qorgan://a b/?ca=platform",
        ] {
            assert_eq!(EnrolmentLink::parse(bad), None, "{bad}");
        }
    }
}
