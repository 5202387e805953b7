//! Service bindings: HTTPS and SVCB records (RFC 9460) and the Encrypted ClientHello
//! configurations in them (RFC 9848, RFC 9849).
//!
//! Read in place and on demand. Keeps what the sensor needs: the protocols and addresses a server
//! offers, and the outer name and config id under which its clients will hide their names.

use std::ops::Range;

use arrayvec::{ArrayString, ArrayVec};

use super::name;
use crate::dissect::reader::Reader;
use crate::hostname::Hostname;
use crate::net::Address;
use crate::observation::ALPN_LENGTH_MAX;

/// Keys of service parameters (RFC 9460, 14.3.2).
mod key {
    pub(super) const ALPN: u16 = 1;
    pub(super) const IPV4_HINT: u16 = 4;
    pub(super) const ECH: u16 = 5;
    pub(super) const IPV6_HINT: u16 = 6;
}

/// The version of ECH that RFC 9849, section 4 defines.
const ECH_VERSION: u16 = 0xfe0d;

/// The most protocols kept of one record.
pub const SERVICE_ALPN_MAX: usize = 4;

/// The most ECH configurations kept of one record; operators publish one, or two while they
/// change keys.
pub const ECH_CONFIGS_MAX: usize = 4;

/// An HTTPS or SVCB record in service mode that answers a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service<'a> {
    /// Which of the message's questions it answers.
    pub question: u8,
    /// Seconds it may be used for: the least of its own and of the aliases that lead to it.
    pub ttl_seconds: u32,
    /// Lower is preferred; never 0.
    pub priority: u16,
    parameters: Parameters<'a>,
}

/// One ECH configuration: who clients will pretend to speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchConfig {
    /// The id that the client's hello will carry in clear.
    pub config_id: u8,
    /// The server_name that the client's outer hello will carry.
    pub public_name: Hostname,
}

impl<'a> Service<'a> {
    pub(super) fn new(question: u8, ttl_seconds: u32, binding: Binding<'a>) -> Service<'a> {
        Service {
            question,
            ttl_seconds,
            priority: binding.priority,
            parameters: binding.parameters,
        }
    }

    /// The first protocols offered beside the scheme's default (RFC 9460, 7.1); names that are
    /// not visible ASCII are left out, long ones cut off.
    pub fn alpn(&self) -> ArrayVec<ArrayString<ALPN_LENGTH_MAX>, SERVICE_ALPN_MAX> {
        let mut protocols = ArrayVec::new();
        let mut reader = Reader::new(self.parameters.value(key::ALPN));
        while let Some(protocol) = reader.u8().and_then(|length| reader.take(length.into())) {
            let visible = protocol.iter().all(u8::is_ascii_graphic);
            let kept = protocol.get(..ALPN_LENGTH_MAX).unwrap_or(protocol);
            let Some(text) = std::str::from_utf8(kept).ok().filter(|_| visible) else { continue };
            if ArrayString::from(text).is_ok_and(|text| protocols.try_push(text).is_err()) {
                break;
            }
        }
        protocols
    }

    /// The ECH configurations of the version we know, first those the server prefers.
    pub fn ech(&self) -> ArrayVec<EchConfig, ECH_CONFIGS_MAX> {
        let mut configs = ArrayVec::new();
        let mut list = Reader::new(self.parameters.value(key::ECH));
        let Some(length) = list.u16() else { return configs };
        let mut list = Reader::new(list.take(length.into()).unwrap_or_default());
        while let (Some(version), Some(length)) = (list.u16(), list.u16()) {
            let Some(contents) = list.take(length.into()) else { break };
            if version != ECH_VERSION {
                continue;
            }
            if ech_config(contents).is_some_and(|config| configs.try_push(config).is_err()) {
                break;
            }
        }
        configs
    }
}

/// ECHConfigContents (RFC 9849, 4): HpkeKeyConfig, maximum_name_length, public_name, extensions.
fn ech_config(contents: &[u8]) -> Option<EchConfig> {
    let mut reader = Reader::new(contents);
    let config_id = reader.u8()?;
    let _kem_id = reader.u16()?;
    let public_key_length = reader.u16()?;
    reader.take(public_key_length.into())?;
    let cipher_suites_length = reader.u16()?;
    reader.take(cipher_suites_length.into())?;
    let _maximum_name_length = reader.u8()?;
    let public_name_length = reader.u8()?;
    let public_name = Hostname::from_wire(reader.take(public_name_length.into())?).ok()?;
    Some(EchConfig { config_id, public_name })
}

/// The data of an HTTPS or SVCB record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binding<'a> {
    /// 0 makes it an alias (RFC 9460, 2.4.2).
    pub(super) priority: u16,
    /// Offset in the message of the name that it points to; none where that is the root, which
    /// stands for the record's owner.
    pub(super) target: Option<usize>,
    pub(super) parameters: Parameters<'a>,
}

/// Reads the data of the record that lies at `place` in the message. None when it is not
/// well-formed: RFC 9460, 2.2 has clients ignore such a record.
pub(super) fn binding(message: &[u8], place: Range<usize>) -> Option<Binding<'_>> {
    let upto = message.get(..place.end)?;
    let priority = Reader::new(upto.get(place.start..)?).u16()?;
    let target = place.start + 2;
    let walked = name::walk(upto, target, |_| ()).ok()?;
    let parameters = Parameters::check(upto.get(walked.end..)?)?;
    let target = (walked.labels > 0).then_some(target);
    Some(Binding { priority, target, parameters })
}

/// Checked service parameters: key, length, value; keys ascend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters<'a>(&'a [u8]);

impl<'a> Parameters<'a> {
    fn check(bytes: &'a [u8]) -> Option<Parameters<'a>> {
        let mut reader = Reader::new(bytes);
        let mut previous = None;
        while !reader.rest().is_empty() {
            let key = reader.u16()?;
            let length = reader.u16()?;
            reader.take(length.into())?;
            if previous.is_some_and(|previous| previous >= key) {
                return None;
            }
            previous = Some(key);
        }
        Some(Parameters(bytes))
    }

    /// The value of one parameter; empty when it is not there.
    fn value(self, wanted: u16) -> &'a [u8] {
        let mut reader = Reader::new(self.0);
        while let (Some(key), Some(length)) = (reader.u16(), reader.u16()) {
            let value = reader.take(length.into()).unwrap_or_default();
            if key == wanted {
                return value;
            }
        }
        &[]
    }

    /// The addresses that clients may try before they have asked for them (RFC 9460, 7.3).
    pub(super) fn hints(self) -> impl Iterator<Item = Address> + 'a {
        let v4 = self.value(key::IPV4_HINT).as_chunks().0.iter().map(|bytes| Address::v4(*bytes));
        let v6 = self.value(key::IPV6_HINT).as_chunks().0.iter().map(|bytes| Address::v6(*bytes));
        v4.chain(v6)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::hex;
    use super::*;

    /// A record's data: priority 1, its owner as target, and these parameters.
    fn service(parameters: &[u8]) -> Option<Vec<u8>> {
        let data = [&[0, 1, 0], parameters].concat();
        binding(&data, 0..data.len()).is_some().then_some(data)
    }

    fn parsed(data: &[u8]) -> Service<'_> {
        Service::new(0, 60, binding(data, 0..data.len()).unwrap())
    }

    #[test]
    fn protocols_and_hints_are_read() {
        // alpn h3,h2; ipv4hint 2 addresses; ipv6hint 1 address.
        let parameters =
            hex("00010006026833026832000400085db8d822c0000201000600102606280002200001024818932\
             5c81946");
        let data = service(&parameters).unwrap();
        let alpn: Vec<_> = parsed(&data).alpn().iter().map(|text| text.to_string()).collect();
        assert_eq!(alpn, ["h3", "h2"]);
        let hints: Vec<_> =
            parsed(&data).parameters.hints().map(|address| address.to_string()).collect();
        assert_eq!(hints, ["93.184.216.34", "192.0.2.1", "2606:2800:220:1:248:1893:25c8:1946"]);
        assert!(parsed(&data).ech().is_empty());
    }

    #[test]
    fn the_outer_name_of_encrypted_hellos_is_read() {
        let config = |version: [u8; 2], config_id: u8, public_name: &str| {
            let mut contents = vec![config_id, 0, 0x20, 0, 32];
            contents.extend([7; 32]);
            contents.extend([0, 4, 0, 1, 0, 1, 64, public_name.len() as u8]);
            contents.extend(public_name.as_bytes());
            contents.extend([0, 0]);
            [&version, &(contents.len() as u16).to_be_bytes()[..], &contents].concat()
        };
        let configs = [
            config([0xfe, 0x0a], 1, "draft.example"),
            config([0xfe, 0x0d], 2, "Cloudflare-ECH.com"),
            config([0xfe, 0x0d], 3, "192.0.2.1"),
            config([0xfe, 0x0d], 4, "second.example"),
        ]
        .concat();
        let list = [&(configs.len() as u16).to_be_bytes()[..], &configs].concat();
        let parameters = [&[0, 5][..], &(list.len() as u16).to_be_bytes(), &list].concat();
        let data = service(&parameters).unwrap();
        let ech: Vec<_> = parsed(&data)
            .ech()
            .iter()
            .map(|config| (config.config_id, config.public_name.to_string()))
            .collect();
        assert_eq!(ech, [(2, "cloudflare-ech.com".into()), (4, "second.example".into())]);
        for length in 0..list.len() {
            let cut = [&[0, 5][..], &(length as u16).to_be_bytes(), &list[..length]].concat();
            assert!(parsed(&service(&cut).unwrap()).ech().len() <= 1, "{length}");
        }
    }

    #[test]
    fn parameters_that_do_not_ascend_or_fit_are_refused() {
        for parameters in ["0004000000010000", "0001000000010000", "00010003026832ff", "0001"] {
            assert!(service(&hex(parameters)).is_none(), "{parameters}");
        }
        assert!(service(&[]).is_some());
    }

    #[test]
    fn the_root_as_target_stands_for_the_owner() {
        let root = hex("000100");
        assert_eq!(binding(&root, 0..3).unwrap().target, None);
        let named = hex("0001037376630000");
        assert_eq!(binding(&named, 0..7).unwrap().target, Some(2));
        // The target runs over the end of the record.
        assert!(binding(&named, 0..5).is_none());
    }
}
