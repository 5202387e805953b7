//! Builds frames as a string of bytes decides: headers round a payload from the inside out, each
//! naming what it carries, now and then damaged on purpose.

use shadowscope::packet::LinkType;

use super::choices::Choices;

/// The longest payload innermost, in bytes.
const PAYLOAD_LENGTH_MAX: usize = 64;
/// Most headers between the transport header and the link header.
const HEADERS_MAX: usize = 12;

/// What the bytes so far begin with.
#[derive(Clone, Copy)]
enum Kind {
    /// Something with an IP protocol number.
    Protocol(u8),
    /// An IP packet of this version.
    Ip(u8),
    /// Something with an Ethernet type.
    Typed(u16),
    /// A MAC header.
    Ethernet,
}

/// The frame that `choices` decide on.
pub(crate) fn generate(choices: &mut Choices<'_>) -> (LinkType, Vec<u8>) {
    let length = choices.below(PAYLOAD_LENGTH_MAX + 1);
    let mut bytes = choices.take(length).to_vec();
    let mut kind = transport(choices, &mut bytes);
    for _ in 0..choices.below(HEADERS_MAX + 1) {
        kind = wrap(choices, kind, &mut bytes);
    }
    if let Kind::Protocol(_) = kind {
        kind = wrap(choices, kind, &mut bytes);
    }
    let link = link(choices, kind, &mut bytes);
    choices.damage(&mut bytes);
    (link, bytes)
}

fn prepend(bytes: &mut Vec<u8>, parts: &[&[u8]]) {
    bytes.splice(0..0, parts.concat());
}

fn big_endian(number: usize) -> [u8; 2] {
    (number as u16).to_be_bytes()
}

fn transport(choices: &mut Choices<'_>, bytes: &mut Vec<u8>) -> Kind {
    match choices.below(4) {
        0 => udp(choices.number(), choices.one_of(&[443, 53, 4789, 3544]), bytes),
        1 => {
            let ports = [choices.number().to_be_bytes(), [1, 0xbb]].concat();
            let words = choices.one_of(&[5, 5, 6, 15, 2]);
            let options = vec![1; 4 * usize::from(words.max(5) - 5)];
            let flags = choices.byte();
            let middle = [words << 4, flags, 0x20, 0, 0xab, 0xcd, 0, 0];
            prepend(bytes, &[&ports, &[7; 8], &middle, &options]);
            Kind::Protocol(6)
        }
        _ => Kind::Protocol(choices.one_of(&[1, 58, 50, 132, 59, 2])),
    }
}

fn udp(source: u16, destination: u16, bytes: &mut Vec<u8>) -> Kind {
    let length = big_endian(8 + bytes.len());
    prepend(bytes, &[&source.to_be_bytes(), &destination.to_be_bytes(), &length, &[0xab, 0xcd]]);
    Kind::Protocol(17)
}

/// Adds the header of something that can carry `kind`.
fn wrap(choices: &mut Choices<'_>, kind: Kind, bytes: &mut Vec<u8>) -> Kind {
    match kind {
        Kind::Protocol(number) => match choices.below(8) {
            0..3 => ipv4(choices, number, bytes),
            3..6 => ipv6(number, bytes),
            _ => extension(choices, number, bytes),
        },
        Kind::Ip(version) => {
            let (number, ether_type) = if version == 4 { (4, 0x0800) } else { (41, 0x86dd) };
            match choices.below(10) {
                0 => Kind::Protocol(number),
                1 => gre(choices, ether_type, bytes),
                2 => {
                    let length = big_endian(bytes.len());
                    prepend(bytes, &[&[0x30, 255], &length, &[0, 0, 0, 1]]);
                    udp(2152, 2152, bytes)
                }
                3 => udp(choices.number(), 3544, bytes),
                4 => {
                    prepend(bytes, &[&[0, 0], &ether_type.to_be_bytes(), &[0, 0, 1, 0]]);
                    udp(choices.number(), 6081, bytes)
                }
                5 => {
                    prepend(bytes, &[&[0x0c, 0, 0, if version == 4 { 1 } else { 2 }, 0, 0, 1, 0]]);
                    udp(choices.number(), 4790, bytes)
                }
                6 => {
                    prepend(
                        bytes,
                        &[&[0, 2, 0, 1, 0, 1, 0xff, 3, 0, if version == 4 { 0x21 } else { 0x57 }]],
                    );
                    udp(1701, 1701, bytes)
                }
                7 => {
                    prepend(bytes, &[&[0, 0, 0x11, 64]]);
                    Kind::Typed(0x8847)
                }
                8 => {
                    let protocol = if version == 4 { [0, 0x21] } else { [0, 0x57] };
                    prepend(bytes, &[&[0x11, 0, 0, 1], &big_endian(bytes.len() + 2), &protocol]);
                    Kind::Typed(0x8864)
                }
                _ => Kind::Typed(ether_type),
            }
        }
        Kind::Typed(number) => match choices.below(6) {
            0 => gre(choices, number, bytes),
            1 => {
                prepend(bytes, &[&[0, 7], &number.to_be_bytes()]);
                Kind::Typed(choices.one_of(&[0x8100, 0x88a8, 0x9100]))
            }
            2 if number == 0x8847 => {
                prepend(bytes, &[&[0, 0, 0x20, 64]]);
                Kind::Typed(number)
            }
            3 => {
                prepend(bytes, &[&[0xaa, 0xaa, 3, 0, 0, 0], &number.to_be_bytes()]);
                let length = bytes.len();
                mac(length as u16, bytes)
            }
            _ => mac(number, bytes),
        },
        Kind::Ethernet => match choices.below(8) {
            0 => {
                prepend(bytes, &[&[8, 0, 0, 0, 0, 0, 1, 0]]);
                udp(choices.number(), choices.one_of(&[4789, 8472, 4790]), bytes)
            }
            1 => {
                prepend(bytes, &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1], &[0x10, 0, 0, 0, 0, 0, 0, 0]]);
                Kind::Protocol(47)
            }
            2 => {
                prepend(bytes, &[&[0, 0, 0x88, 0xbe]]);
                Kind::Protocol(47)
            }
            3 => {
                let optional = choices.byte() & 1;
                let behind: &[u8] = if optional == 1 { &[0; 8] } else { &[] };
                prepend(bytes, &[&[0x20; 10], &[0, optional], behind]);
                prepend(bytes, &[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1]]);
                Kind::Protocol(47)
            }
            4 => {
                prepend(bytes, &[&[0x30, 0]]);
                Kind::Protocol(97)
            }
            5 => {
                let options = choices.below(3);
                prepend(
                    bytes,
                    &[&[options as u8, 0, 0x65, 0x58, 0, 0, 1, 0], &vec![0; 4 * options]],
                );
                udp(choices.number(), 6081, bytes)
            }
            6 => {
                let word: &[u8] = if choices.byte() & 1 == 0 { &[] } else { &[0; 4] };
                prepend(bytes, &[&[0, 0, 0x21, 64], word]);
                Kind::Typed(0x8847)
            }
            _ => Kind::Typed(0x6558),
        },
    }
}

fn mac(number: u16, bytes: &mut Vec<u8>) -> Kind {
    prepend(bytes, &[&[2, 0, 0, 0, 0, 2], &[2, 0, 0, 0, 0, 1], &number.to_be_bytes()]);
    Kind::Ethernet
}

fn ipv4(choices: &mut Choices<'_>, number: u8, bytes: &mut Vec<u8>) -> Kind {
    let words = choices.one_of(&[5, 5, 5, 6, 15]);
    let header = 4 * usize::from(words);
    let total = choices.one_of(&[header + bytes.len(), header + bytes.len(), 0, 40]);
    let fragment = choices.one_of(&[0x4000, 0x4000, 0, 0x2000, 0x2003, 0x0005]);
    let options = vec![1; header - 20];
    prepend(
        bytes,
        &[
            &[0x40 | words, 0],
            &big_endian(total),
            &[0x12, 0x34],
            &big_endian(fragment),
            &[63, number, 0, 0],
            &[192, 0, 2, 1, 198, 51, 100, 2],
            &options,
        ],
    );
    Kind::Ip(4)
}

fn ipv6(number: u8, bytes: &mut Vec<u8>) -> Kind {
    let length = big_endian(bytes.len());
    let address = [0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    prepend(bytes, &[&[0x60, 0, 0, 0], &length, &[number, 63], &address, &address]);
    Kind::Ip(6)
}

/// An IPv6 extension header, or AH or IPComp.
fn extension(choices: &mut Choices<'_>, number: u8, bytes: &mut Vec<u8>) -> Kind {
    match choices.below(6) {
        0 => {
            let offset = choices.one_of(&[1_usize, 0, 8, 0x100]);
            prepend(bytes, &[&[number, 0], &big_endian(offset), &[0, 0, 0, 9]]);
            Kind::Protocol(44)
        }
        1 => {
            prepend(bytes, &[&[number, 4, 0, 0], &[0; 20]]);
            Kind::Protocol(51)
        }
        2 => {
            prepend(bytes, &[&[number, 0, 0, 0]]);
            Kind::Protocol(108)
        }
        3 => {
            prepend(bytes, &[&[number, 1], &[1; 14]]);
            Kind::Protocol(choices.one_of(&[0, 60, 43, 135, 139, 140]))
        }
        _ => {
            prepend(bytes, &[&[number, 0, 1, 4, 0, 0, 0, 0]]);
            Kind::Protocol(choices.one_of(&[0, 60, 43]))
        }
    }
}

fn gre(choices: &mut Choices<'_>, number: u16, bytes: &mut Vec<u8>) -> Kind {
    let flags = choices.one_of(&[0, 0, 0x2000, 0x3000, 0x8000, 0xb000]);
    let optional = (flags as u16).count_ones() as usize;
    prepend(bytes, &[&big_endian(flags), &number.to_be_bytes(), &vec![0; 4 * optional]]);
    Kind::Protocol(47)
}

/// Adds a link header that can carry `kind`.
fn link(choices: &mut Choices<'_>, kind: Kind, bytes: &mut Vec<u8>) -> LinkType {
    let (version, number) = match kind {
        Kind::Ethernet => return LinkType::ETHERNET,
        Kind::Ip(4) | Kind::Protocol(_) => (4_u8, 0x0800_u16),
        Kind::Ip(_) => (6, 0x86dd),
        Kind::Typed(number) => (0, number),
    };
    let ppp = if version == 6 { 0x57 } else { 0x21 };
    let family = if version == 6 { 10 } else { 2 };
    match choices.below(18) {
        0 => {
            prepend(bytes, &[&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], &number.to_be_bytes()]);
            LinkType::LINUX_SLL
        }
        1 => {
            prepend(bytes, &[&number.to_be_bytes(), &[0, 0, 0, 0, 0, 1, 0, 1, 0, 6], &[2; 8]]);
            LinkType::LINUX_SLL2
        }
        2 => {
            prepend(bytes, &[&[8, 2, 0, 0], &[2; 18], &[0, 0, 0xaa, 0xaa, 3, 0, 0, 0]]);
            bytes.splice(30..30, number.to_be_bytes());
            LinkType::IEEE802_11
        }
        3 => {
            prepend(bytes, &[&[0, 0, 8, 0, 0, 0, 0, 0], &[0x88, 1, 0, 0], &[2; 18]]);
            bytes.splice(30..30, [0, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0]);
            bytes.splice(40..40, number.to_be_bytes());
            LinkType::IEEE802_11_RADIOTAP
        }
        4 => {
            prepend(bytes, &[&[0x0f, 0], &number.to_be_bytes()]);
            choices.one_of(&[LinkType::C_HDLC, LinkType::PPP_HDLC])
        }
        5 if version != 0 => choices.one_of(&[LinkType::RAW, LinkType::IPV4, LinkType::IPV6]),
        6 if version != 0 => {
            prepend(bytes, &[&[family, 0, 0, 0]]);
            LinkType::NULL
        }
        7 if version != 0 => {
            prepend(bytes, &[&[0, 0, 0, family]]);
            choices.one_of(&[LinkType::LOOP, LinkType::NULL])
        }
        8 if version != 0 => {
            prepend(bytes, &[&[0xff, 3, 0, ppp]]);
            choices.one_of(&[LinkType::PPP, LinkType::PPP_HDLC])
        }
        9 if version != 0 => {
            prepend(bytes, &[&[0, 0xff, 3, 0, ppp]]);
            choices.one_of(&[LinkType::PPP_WITH_DIR, LinkType::PPP_PPPD])
        }
        10 if version != 0 => {
            let length = ((bytes.len() + 4) as u16).to_le_bytes();
            prepend(bytes, &[&[family, 0, 0, 0], &[8, 0, 10, 0, 1, 2, 3, 4], &length, &[9, 0]]);
            LinkType::NFLOG
        }
        11 if version != 0 => {
            prepend(bytes, &[&[1, 2, if version == 4 { 212 } else { 196 }, 0, 0, 1]]);
            LinkType::ARCNET_BSD
        }
        12 if version != 0 => {
            prepend(bytes, &[&[1, 2, 0, 0, if version == 4 { 212 } else { 196 }, 0, 0, 1]]);
            LinkType::ARCNET_LINUX
        }
        13 if version != 0 => {
            prepend(bytes, &[&[0x11, 0, 0, 1], &big_endian(bytes.len() + 2), &[0, ppp]]);
            LinkType::PPP_ETHER
        }
        _ => {
            mac(number, bytes);
            LinkType::ETHERNET
        }
    }
}
