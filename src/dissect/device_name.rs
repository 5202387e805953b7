//! Names that devices give themselves on their own link: multicast DNS (RFC 6762), LLMNR
//! (RFC 4795) and the NetBIOS name service (RFC 1001, 1002).
//!
//! They label devices and are never the use of an app. Anybody on the link can send them, and
//! they often hold a person's name ("Anna's iPhone"): what becomes of them is for the identity
//! rules to decide. Names that somebody merely looks for are marked as questions, because they
//! are of another device, or of none at all.
//!
//! Shares the bounds of [`dns`](super::dns), except on the number of questions and answers, which
//! are larger here in good faith: the cost is bounded by the message's length and the number of
//! names kept. Does not read service names, device models or user names (NetBIOS suffix 03).

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing))]

use arrayvec::{ArrayString, ArrayVec};

use super::dns::kind;
use super::dns::name::{self, Fault};
use super::dns::record::{self, CLASS_IN, HEADER_LENGTH, Header, Record};
use super::reader::Reader;
use crate::net::Address;
use crate::stats::Counter;

/// The longest name of a device in bytes: one label (RFC 1035, 2.3.4).
pub const DEVICE_NAME_LENGTH_MAX: usize = 63;

/// The most names kept of a message. A device has one, and one or two addresses; whoever tells
/// more speaks for others.
pub const DEVICE_NAMES_MAX: usize = 8;

/// A protocol in which devices tell their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameProtocol {
    /// Multicast DNS, UDP port 5353.
    Mdns,
    /// Link-Local Multicast Name Resolution, UDP port 5355.
    Llmnr,
    /// NetBIOS name service, UDP port 137.
    Nbns,
}

impl NameProtocol {
    /// The protocol of a UDP port.
    pub fn of_port(port: u16) -> Option<NameProtocol> {
        match port {
            5353 => Some(NameProtocol::Mdns),
            5355 => Some(NameProtocol::Llmnr),
            137 => Some(NameProtocol::Nbns),
            _ => None,
        }
    }
}

/// What a message does with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameUse {
    /// Claims it for the address given with it, or else for the sender.
    Claim,
    /// Looks for it.
    Question,
}

/// The name of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceName {
    /// One label: ASCII upper case lowered, so that the three protocols agree; may hold spaces
    /// and UTF-8, no control characters.
    pub name: ArrayString<DEVICE_NAME_LENGTH_MAX>,
    /// The protocol that told it.
    pub protocol: NameProtocol,
    /// Whether it is claimed or looked for.
    pub name_use: NameUse,
    /// The address that the message gives for it. None where the sender's own is meant.
    pub address: Option<Address>,
}

/// The names of a message, each with each address once.
pub type DeviceNames = ArrayVec<DeviceName, DEVICE_NAMES_MAX>;

/// Reads the names of devices in a message, at most [`DEVICE_NAMES_MAX`]; of a message that was
/// cut, those that stand before the end.
///
/// # Errors
/// [`Counter::DnsMalformed`] when the message contradicts the format.
pub fn device_names(protocol: NameProtocol, message: &[u8]) -> Result<DeviceNames, Counter> {
    let mut names = DeviceNames::new();
    let Some(header) = Header::read(message) else { return Ok(names) };
    let read = match protocol {
        NameProtocol::Mdns => mdns(message, header, &mut names),
        NameProtocol::Llmnr => llmnr(message, header, &mut names),
        NameProtocol::Nbns => nbns::names(message, header, &mut names),
    };
    match read {
        Ok(()) | Err(Fault::Cut) => Ok(names),
        Err(Fault::Malformed) => Err(Counter::DnsMalformed),
    }
}

/// A responder announces the addresses of its host name, in answers or beside them; a prober puts
/// those it wants to claim into the authority section of a query (RFC 6762, 8.1 and 8.2). The
/// answers in a query are what the sender knows about others (7.1).
fn mdns(message: &[u8], header: Header, names: &mut DeviceNames) -> Result<(), Fault> {
    let mut at = record::skip_questions(message, HEADER_LENGTH, header.questions)?;
    let claims = |names: &mut DeviceNames, record: &Record| {
        claim(NameProtocol::Mdns, message, record, names)
    };
    if header.response() {
        at = each_record(message, at, header.answers, |record| claims(names, record))?;
        at = record::skip_records(message, at, header.authority)?;
        each_record(message, at, header.additional, |record| claims(names, record))?;
    } else {
        at = record::skip_records(message, at, header.answers)?;
        each_record(message, at, header.authority, |record| claims(names, record))?;
    }
    Ok(())
}

/// A responder answers for its own name. A query of type ANY asks whether anybody else has the
/// sender's name (RFC 4795, 4.1); any other looks for somebody.
fn llmnr(message: &[u8], header: Header, names: &mut DeviceNames) -> Result<(), Fault> {
    const KIND_ANY: u16 = 255;
    if header.response() {
        let at = record::skip_questions(message, HEADER_LENGTH, header.questions)?;
        each_record(message, at, header.answers, |record| {
            claim(NameProtocol::Llmnr, message, record, names)
        })?;
        return Ok(());
    }
    let Some(kind) = question_kind(message)? else { return Ok(()) };
    if let Some(name) = host_label(NameProtocol::Llmnr, message, HEADER_LENGTH)? {
        let name_use = if kind == KIND_ANY { NameUse::Claim } else { NameUse::Question };
        keep(names, DeviceName { name, protocol: NameProtocol::Llmnr, name_use, address: None });
    }
    Ok(())
}

/// Keeps the owner of an address record, if it is the name of a host.
fn claim(
    protocol: NameProtocol,
    message: &[u8],
    record: &Record,
    names: &mut DeviceNames,
) -> Result<(), Fault> {
    // The upper bit of the class asks receivers to forget older records (RFC 6762, 10.2).
    if record.class & 0x7fff != CLASS_IN {
        return Ok(());
    }
    let data = message.get(record.data.clone()).unwrap_or_default();
    let address = match record.kind {
        kind::A => data.try_into().map(Address::v4),
        kind::AAAA => data.try_into().map(Address::v6),
        _ => return Ok(()),
    };
    let address = address.map_err(|_| Fault::Malformed)?;
    if let Some(name) = host_label(protocol, message, record.owner)? {
        let name_use = NameUse::Claim;
        keep(names, DeviceName { name, protocol, name_use, address: Some(address) });
    }
    Ok(())
}

/// The label that names a host: the one before `local` in mDNS, the only one in LLMNR. None for
/// other names, which are those of services or reverse look-ups.
fn host_label(
    protocol: NameProtocol,
    message: &[u8],
    start: usize,
) -> Result<Option<ArrayString<DEVICE_NAME_LENGTH_MAX>>, Fault> {
    let mut host = None;
    let mut domain_is_local = false;
    let walked = name::walk(message, start, |label| match host {
        None => host = Some(label),
        Some(_) => domain_is_local = label.eq_ignore_ascii_case(b"local"),
    })?;
    let is_host = match protocol {
        NameProtocol::Mdns => walked.labels == 2 && domain_is_local,
        NameProtocol::Llmnr | NameProtocol::Nbns => walked.labels == 1,
    };
    Ok(host.filter(|_| is_host).and_then(printable))
}

/// The text of a label, if it is UTF-8 without control characters.
fn printable(label: &[u8]) -> Option<ArrayString<DEVICE_NAME_LENGTH_MAX>> {
    let text = std::str::from_utf8(label).ok()?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return None;
    }
    let mut name = ArrayString::from(text).ok()?;
    name.make_ascii_lowercase();
    Some(name)
}

/// The type of the first question; none without questions.
fn question_kind(message: &[u8]) -> Result<Option<u16>, Fault> {
    if Header::read(message).is_none_or(|header| header.questions == 0) {
        return Ok(None);
    }
    let fixed = name::skip(message, HEADER_LENGTH)?;
    let kind = Reader::new(message.get(fixed..).unwrap_or_default()).u16();
    kind.ok_or(Fault::Cut).map(Some)
}

/// Shows `visit` the records of a section that begins at `at`, and says where it ends.
fn each_record(
    message: &[u8],
    mut at: usize,
    count: u16,
    mut visit: impl FnMut(&Record) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    for _ in 0..count {
        let record = record::read(message, at)?;
        visit(&record)?;
        at = record.data.end;
    }
    Ok(at)
}

/// Keeps a name that is not there yet, while there is room.
fn keep(names: &mut DeviceNames, name: DeviceName) {
    if !names.contains(&name) {
        // What does not fit is what the bound leaves out.
        let _ = names.try_push(name);
    }
}

/// The NetBIOS name service (RFC 1002, 4.2).
mod nbns {
    use super::*;

    /// OPCODEs (RFC 1002, 4.2.1.1); Windows also registers with 15, "multi-homed", and some
    /// systems refresh with 9.
    const OPCODE_QUERY: u8 = 0;
    const OPCODE_REGISTRATION: u8 = 5;
    const OPCODE_REFRESH: u8 = 8;
    const OPCODE_REFRESH_ALTERNATE: u8 = 9;
    const OPCODE_REGISTRATION_MULTI_HOMED: u8 = 15;

    /// Record types (RFC 1002, 4.2.1.3): a name's addresses, and a node's names.
    const KIND_NB: u16 = 0x20;
    const KIND_NBSTAT: u16 = 0x21;

    /// The G bit of NB_FLAGS and NAME_FLAGS: a group's name, for instance of a workgroup.
    const FLAG_GROUP: u16 = 0x8000;

    /// The sixteenth byte of names that stand for the machine: workstation and file server.
    const SUFFIX_WORKSTATION: u8 = 0x00;
    const SUFFIX_FILE_SERVER: u8 = 0x20;

    pub(super) fn names(
        message: &[u8],
        header: Header,
        names: &mut DeviceNames,
    ) -> Result<(), Fault> {
        match (header.response(), header.opcode()) {
            (false, OPCODE_QUERY) => question(message, names),
            (true, OPCODE_QUERY) if header.rcode() == 0 => {
                let at = record::skip_questions(message, HEADER_LENGTH, header.questions)?;
                each_record(message, at, header.answers, |record| answer(message, record, names))
                    .map(drop)
            }
            (
                false,
                OPCODE_REGISTRATION
                | OPCODE_REFRESH
                | OPCODE_REFRESH_ALTERNATE
                | OPCODE_REGISTRATION_MULTI_HOMED,
            ) => {
                let mut at = record::skip_questions(message, HEADER_LENGTH, header.questions)?;
                at = record::skip_records(message, at, header.answers)?;
                at = record::skip_records(message, at, header.authority)?;
                each_record(message, at, header.additional, |record| answer(message, record, names))
                    .map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Somebody looks for a machine by name.
    fn question(message: &[u8], names: &mut DeviceNames) -> Result<(), Fault> {
        if question_kind(message)? == Some(KIND_NB)
            && let Some(name) = encoded_name(message, HEADER_LENGTH)?
        {
            let (protocol, name_use) = (NameProtocol::Nbns, NameUse::Question);
            keep(names, DeviceName { name, protocol, name_use, address: None });
        }
        Ok(())
    }

    /// A record that claims names: of the owner for its addresses (NB), or a list of names of the
    /// sender (NBSTAT).
    fn answer(message: &[u8], record: &Record, names: &mut DeviceNames) -> Result<(), Fault> {
        let mut data = Reader::new(message.get(record.data.clone()).unwrap_or_default());
        let mut claim = |name, address| {
            let (protocol, name_use) = (NameProtocol::Nbns, NameUse::Claim);
            keep(names, DeviceName { name, protocol, name_use, address });
        };
        match record.kind {
            KIND_NB => {
                let Some(name) = encoded_name(message, record.owner)? else { return Ok(()) };
                while let (Some(flags), Some(address)) = (data.u16(), data.array()) {
                    if flags & FLAG_GROUP == 0 {
                        claim(name, Some(Address::v4(address)));
                    }
                }
            }
            KIND_NBSTAT => {
                for _ in 0..data.u8().ok_or(Fault::Malformed)? {
                    let name: [u8; 16] = data.array().ok_or(Fault::Malformed)?;
                    let flags = data.u16().ok_or(Fault::Malformed)?;
                    if flags & FLAG_GROUP == 0
                        && let Some(name) = machine_name(name)
                    {
                        claim(name, None);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The machine's name in a first-level encoded name: each of its 16 bytes is two letters from
    /// A to P, in one label of 32 (RFC 1001, 14.1). What follows is the scope.
    fn encoded_name(
        message: &[u8],
        start: usize,
    ) -> Result<Option<ArrayString<DEVICE_NAME_LENGTH_MAX>>, Fault> {
        let mut first = None;
        name::walk(message, start, |label| {
            first.get_or_insert(label);
        })?;
        Ok(first.and_then(decode).and_then(machine_name))
    }

    fn decode(label: &[u8]) -> Option<[u8; 16]> {
        let encoded: &[u8; 32] = label.try_into().ok()?;
        let mut name = [0; 16];
        for (byte, [high, low]) in name.iter_mut().zip(encoded.as_chunks().0) {
            let half = |letter: u8| letter.checked_sub(b'A').filter(|&half| half < 16);
            *byte = half(*high)? << 4 | half(*low)?;
        }
        Some(name)
    }

    /// The name without padding, if its suffix says that it is a machine's.
    fn machine_name(name: [u8; 16]) -> Option<ArrayString<DEVICE_NAME_LENGTH_MAX>> {
        let [text @ .., suffix] = name;
        if !matches!(suffix, SUFFIX_WORKSTATION | SUFFIX_FILE_SERVER) {
            return None;
        }
        let padding = text.iter().rev().take_while(|&&byte| byte == b' ' || byte == 0).count();
        printable(text.get(..text.len() - padding)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::dns::testing::hex;
    use super::*;

    /// The names as text: "name", "name = address" or "name ?".
    fn names(protocol: NameProtocol, digits: &str) -> Vec<String> {
        let text = |name: &DeviceName| match (name.name_use, name.address) {
            (NameUse::Question, _) => format!("{} ?", name.name),
            (NameUse::Claim, None) => name.name.to_string(),
            (NameUse::Claim, Some(address)) => format!("{} = {address}", name.name),
        };
        device_names(protocol, &hex(digits)).unwrap().iter().map(text).collect()
    }

    const MDNS_ANNOUNCEMENT: &str = "0000840000000002000000000b4d534544474557494e3130056c6f6361\
            6c00001c00010000003c0010fe80000000000000c50d519f96a4e108c00c000100010000003c00040a0002\
            0f";

    const NBNS_REGISTRATION: &str = "f60b29100001000000000001204648454a454f45454550464846444448\
            434e44444341434143414341434143410000200001c00c00200001000493e000060000c0a87a91";

    #[test]
    fn a_responder_announces_its_host_name() {
        assert_eq!(
            names(NameProtocol::Mdns, MDNS_ANNOUNCEMENT),
            ["msedgewin10 = fe80::c50d:519f:96a4:e108", "msedgewin10 = 10.0.2.15"]
        );
        // A service whose host stands in the additional section, with the cache-flush bit.
        let service = "0000840000000001000000040f5f636f6d70616e696f6e2d6c696e6b04\
            5f746370056c6f63616c00000c0001000011940014114c502d524b455255522d4f535820283929c00cc032\
            0021800100000078000d00000000db69046e445049c021c0320010800100001194002216727042413d3337\
            3a32453a34373a36443a31383a35340a727056723d3135322e31114c502d524b455255522d4f5358202839\
            290c5f6465766963652d696e666fc01c00100001000011940020146d6f64656c3d4d6163426f6f6b50726f\
            31312c310a6f7378766572733d3137c058000180010000007800040a0000e3";
        assert_eq!(names(NameProtocol::Mdns, service), ["ndpi = 10.0.0.227"]);
    }

    #[test]
    fn what_a_querier_knows_of_others_is_not_its_own() {
        // The announcement as a query with known answers; then as a probe.
        let known = MDNS_ANNOUNCEMENT.replacen("8400", "0000", 1);
        assert_eq!(names(NameProtocol::Mdns, &known), [""; 0]);
        let probe = known.replacen("0000000200000000", "0000000000020000", 1);
        assert_eq!(names(NameProtocol::Mdns, &probe).len(), 2);
    }

    #[test]
    fn link_local_names_are_claimed_by_answers_and_by_checks() {
        let answer = "200c84000001000100000000046d7970630000010001046d7970630000\
            0100010000001e00040a010cc8";
        assert_eq!(names(NameProtocol::Llmnr, answer), ["mypc = 10.1.12.200"]);
        let check = "035c000000010000000000000b4d534544474557494e31300000ff0001";
        assert_eq!(names(NameProtocol::Llmnr, check), ["msedgewin10"]);
        let question = "4fd6000000010000000000000a6c626a616d777074787a0000010001";
        assert_eq!(names(NameProtocol::Llmnr, question), ["lbjamwptxz ?"]);
    }

    #[test]
    fn netbios_names_of_machines_are_read_and_those_of_groups_are_not() {
        let name = "windows7-3 = 192.168.122.145";
        assert_eq!(names(NameProtocol::Nbns, NBNS_REGISTRATION), [name]);
        let answer = "7d1985000000000100000000204648454a454f45454550464846444448\
            434e44444341434143414341434143410000200001000493e000060000c0a87a91";
        assert_eq!(names(NameProtocol::Nbns, answer), [name]);
        let group = "f60d2910000100000000000120464845504643454c4548464345504646\
            464143414341434143414341434141410000200001c00c00200001000493e000068000c0a87a91";
        assert_eq!(names(NameProtocol::Nbns, group), [""; 0]);
        let question = "feff0110000100000000000020454d4543454b4542454e464846414645\
            4649464b4341434143414341434141410000200001";
        assert_eq!(names(NameProtocol::Nbns, question), ["lbjamwptxz ?"]);
    }

    #[test]
    fn a_node_status_lists_the_names_of_its_sender() {
        // Names: DESKTOP-1<00>, WORKGROUP<00> (group), DESKTOP-1<20>, ANNA<03>.
        let entry = |name: &str, suffix: u8, flags: u16| {
            let mut entry = format!("{name:<15}").into_bytes();
            entry.push(suffix);
            entry.extend(flags.to_be_bytes());
            entry
        };
        let names = [
            entry("DESKTOP-1", 0x00, 0x0400),
            entry("WORKGROUP", 0x00, 0x8400),
            entry("DESKTOP-1", 0x20, 0x0400),
            entry("ANNA", 0x03, 0x0400),
        ]
        .concat();
        let mut message = hex("000084000000000100000000");
        message.push(32);
        message.extend(b"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        message.extend([0, 0, 0x21, 0, 1, 0, 0, 0, 0, 0, names.len() as u8 + 1, 4]);
        message.extend(names);
        let found = device_names(NameProtocol::Nbns, &message).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].address), ("desktop-1", None));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_makes_it_panic() {
        for digits in [MDNS_ANNOUNCEMENT, NBNS_REGISTRATION] {
            let bytes = hex(digits);
            for position in 0..bytes.len() {
                for flip in 0..=255 {
                    let mut damaged = bytes.clone();
                    damaged[position] ^= flip;
                    for protocol in [NameProtocol::Mdns, NameProtocol::Llmnr, NameProtocol::Nbns] {
                        let _ = device_names(protocol, &damaged);
                        let _ = device_names(protocol, &bytes[..position]);
                    }
                }
            }
        }
    }

    #[test]
    fn ports_tell_the_protocol() {
        assert_eq!(NameProtocol::of_port(5353), Some(NameProtocol::Mdns));
        assert_eq!(NameProtocol::of_port(5355), Some(NameProtocol::Llmnr));
        assert_eq!(NameProtocol::of_port(137), Some(NameProtocol::Nbns));
        assert_eq!(NameProtocol::of_port(53), None);
    }
}
