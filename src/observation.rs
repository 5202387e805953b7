//! What a dissector learns from the bytes of a flow.

use std::num::NonZeroU32;

use arrayvec::{ArrayString, ArrayVec};
use serde::{Deserialize, Serialize};

use crate::hostname::{Hostname, NotAHostname};
use crate::net::Address;

/// Where the name of a flow came from. In the order of trust, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum NameSource {
    /// The server_name of a TLS ClientHello (RFC 6066, 3).
    Sni = 0,
    /// The server_name of a ClientHello in QUIC (RFC 9001).
    Quic = 1,
    /// The Host of an HTTP request, or the authority of a CONNECT.
    Host = 2,
    /// A name in the server's certificate: TLS 1.2 and below without server_name.
    Cert = 3,
    /// The client's own earlier DNS question, whose answer gave the flow's server address.
    Dns = 4,
    /// The catalogue's address ranges.
    Net = 5,
    /// Media of a call, by the app that the same client used just before.
    Media = 6,
    /// What the flow speaks is spoken by one product alone.
    Protocol = 7,
}

impl NameSource {
    /// The word used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            NameSource::Sni => "sni",
            NameSource::Quic => "quic",
            NameSource::Host => "host",
            NameSource::Cert => "cert",
            NameSource::Dns => "dns",
            NameSource::Net => "net",
            NameSource::Media => "media",
            NameSource::Protocol => "protocol",
        }
    }

    /// The source with this number, as stored in the database.
    pub fn from_number(number: u8) -> Option<NameSource> {
        use NameSource::{Cert, Dns, Host, Media, Net, Protocol, Quic, Sni};
        [Sni, Quic, Host, Cert, Dns, Net, Media, Protocol]
            .into_iter()
            .find(|source| *source as u8 == number)
    }
}

/// The protocol in which a hostname was seen, as `read --observations` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// A question of a standard DNS query to port 53.
    Dns,
    /// The server_name of a ClientHello over TCP.
    Tls,
    /// The server_name of a ClientHello in QUIC.
    Quic,
    /// The Host of a clear-text HTTP request, or the authority of a CONNECT.
    Http,
}

impl Seen {
    /// The word used in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Seen::Dns => "dns",
            Seen::Tls => "tls",
            Seen::Quic => "quic",
            Seen::Http => "http",
        }
    }
}

/// The longest ALPN protocol name kept; registered ones are shorter.
pub const ALPN_LENGTH_MAX: usize = 16;

/// The extension of Encrypted ClientHello in a hello (0xfe0d; RFC 9849, 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ech {
    /// The config id of the outer form; none where the content is of another form or cut short.
    pub config_id: Option<u8>,
}

/// What a TLS ClientHello tells (RFC 8446, 4.1.2), over TCP or in QUIC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The random bytes that tell this hello from all others, also when it is sent again; zeros in
    /// Google QUIC's own.
    pub random: [u8; 32],
    /// The name asked for; with ECH this is the outer name.
    pub server_name: Option<Hostname>,
    /// Why the server name that was sent is none; to be counted.
    pub bad_name: Option<NotAHostname>,
    /// The first protocols offered (RFC 7301), longer names cut off.
    pub alpn: ArrayVec<ArrayString<ALPN_LENGTH_MAX>, 4>,
    /// Encrypted ClientHello, where the hello has its extension.
    pub ech: Option<Ech>,
    /// Encrypted SNI (extension 0xffce), the draft before ECH.
    pub esni: bool,
    /// Whether it offers keys for media (RFC 5764): that of a call.
    pub offers_media: bool,
    /// JA4 fingerprint of the client, 36 characters; empty if the hello was not whole.
    pub ja4: ArrayString<36>,
    /// A hash of what the client's program decides: cipher suites and extensions, without what
    /// changes from hello to hello of one program. `None` if the hello was not whole.
    pub shape: Option<NonZeroU32>,
}

/// Names of a certificate that are kept, in its order.
pub const CERTIFICATE_NAMES_MAX: usize = 8;

/// A name for which a server's certificate is valid (RFC 5280, 4.2.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertificateName {
    /// The name; of `*.example.com` it is `example.com`.
    pub hostname: Hostname,
    /// Whether the certificate says `*.` before the name (RFC 9525, 6.3): then it is valid for
    /// the names one label below, and not for the name itself.
    pub wildcard: bool,
}

/// The first names of a server's certificate.
pub type CertificateNames = ArrayVec<CertificateName, CERTIFICATE_NAMES_MAX>;

/// An HTTP/1 request as far as it concerns names, or one of HTTP/2 with prior knowledge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The Host header (`:authority` in HTTP/2), without port.
    pub host: Option<Hostname>,
    /// The host of an absolute-form target or of a CONNECT, without port.
    pub authority: Option<Hostname>,
    /// Whether the method is CONNECT: what follows is a tunnel to `authority`.
    pub connect: bool,
    /// The first address of `X-Forwarded-For`: a hint who asks from behind a proxy.
    pub forwarded_for: Option<Address>,
}
