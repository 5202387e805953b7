//! Writes DNS messages as a string of bytes decides: mostly well-formed, with compression, aliases
//! and service bindings, now and then damaged on purpose.
//!
//! Every string of bytes gives a message.

use super::choices::Choices;

/// The message that `bytes` decide on.
pub(crate) fn generate(bytes: &[u8]) -> Vec<u8> {
    let mut choices = Choices(bytes);
    let mut message = Writer { bytes: vec![0; 12], names: Vec::new() };
    message.header(&mut choices);
    let questions = 1 + choices.below(4);
    for _ in 0..questions {
        message.name(&mut choices);
        let kind = choices.one_of(&[A, AAAA, HTTPS, CNAME, 255, 64, 0]);
        message.number(kind);
        message.number(choices.one_of(&[1, 1, 1, 0x8001, 3]));
    }
    let mut counts = [questions, 0, 0, 0];
    for (count, most) in counts.iter_mut().skip(1).zip([12, 3, 4]) {
        *count = choices.below(most);
        for _ in 0..*count {
            message.record(&mut choices);
        }
    }
    for (section, count) in counts.into_iter().enumerate() {
        let stated = if choices.rarely() { choices.byte() } else { count as u8 };
        message.bytes[5 + 2 * section] = stated;
    }
    if choices.rarely() {
        let length = usize::from(choices.byte()) * message.bytes.len() / 255;
        message.bytes.truncate(length);
    }
    message.bytes
}

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const OPT: u16 = 41;
const SVCB: u16 = 64;
const HTTPS: u16 = 65;

/// Few enough to meet again and to lead from one to the other.
const LABELS: [&[u8]; 12] = [
    b"www",
    b"a",
    b"example",
    b"com",
    b"WWW",
    b"local",
    b"_dns",
    b"cdn-0",
    b"a.b",
    b"a b",
    b"\xc3\xbc",
    b"sixty-three-characters-are-as-many-as-a-label-may-have-at-most",
];

struct Writer {
    bytes: Vec<u8>,
    /// Offsets at which a name, or the rest of one, has been written.
    names: Vec<usize>,
}

impl Writer {
    fn header(&mut self, choices: &mut Choices<'_>) {
        self.bytes[0] = choices.byte();
        self.bytes[2] = choices.one_of(&[0x84, 0x80, 0x01, 0x82, 0xac, 0x28]);
        self.bytes[3] = choices.one_of(&[0x80, 0, 0x83, 0x40]);
    }

    fn number(&mut self, number: u16) {
        self.bytes.extend(number.to_be_bytes());
    }

    fn name(&mut self, choices: &mut Choices<'_>) {
        let again = choices.byte() % 4;
        if again < 3 && !self.names.is_empty() {
            // Often the very name that was written before: the next link of a chain.
            let nth = if again == 0 { 1 } else { 1 + choices.below(self.names.len()) };
            self.pointer(self.names[self.names.len() - nth]);
            return;
        }
        for _ in 0..choices.below(5) {
            self.names.push(self.bytes.len());
            let label = choices.one_of(&LABELS);
            self.bytes.push(label.len() as u8);
            self.bytes.extend(label);
        }
        match choices.byte() % 16 {
            15 => self.number(0xc000 | u16::from(choices.byte())),
            14 => self.bytes.push(0x40 | choices.byte()),
            9..=13 if !self.names.is_empty() => {
                let nth = choices.below(self.names.len());
                self.pointer(self.names[nth]);
            }
            _ => self.bytes.push(0),
        }
    }

    fn pointer(&mut self, target: usize) {
        // Pointers can be pointed to as well.
        self.names.push(self.bytes.len());
        self.number(0xc000 | target as u16 & 0x3fff);
    }

    fn record(&mut self, choices: &mut Choices<'_>) {
        const KINDS: [u16; 16] =
            [A, CNAME, AAAA, HTTPS, A, CNAME, SVCB, CNAME, TXT, NS, MX, SOA, SRV, OPT, 46, 65_280];
        self.name(choices);
        let kind = choices.one_of(&KINDS);
        self.number(kind);
        self.number(choices.one_of(&[1, 1, 1, 1, 1, 1, 0x8001, 4]));
        let ttl = [0, 0, choices.byte(), choices.byte()];
        self.bytes.extend(if choices.rarely() { [0xff; 4] } else { ttl });
        let length_at = self.bytes.len();
        self.number(0);
        self.data(kind, choices);
        let mut length = self.bytes.len() - length_at - 2;
        if choices.rarely() {
            length = choices.byte().into();
        }
        self.bytes[length_at..length_at + 2].copy_from_slice(&(length as u16).to_be_bytes());
    }

    fn data(&mut self, kind: u16, choices: &mut Choices<'_>) {
        match kind {
            A => self.bytes.extend([192, 0, 2, choices.byte()]),
            AAAA => {
                self.bytes.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                self.bytes.push(choices.byte());
            }
            CNAME | NS => self.name(choices),
            MX => {
                self.number(10);
                self.name(choices);
            }
            SRV => {
                self.bytes.extend([0, 0, 0, 0, 0x14, 0xe9]);
                self.name(choices);
            }
            SOA => {
                self.name(choices);
                self.name(choices);
                self.bytes.extend([0; 20]);
            }
            HTTPS | SVCB => self.binding(choices),
            TXT => self.bytes.extend(b"\x05v=abc"),
            _ => {
                let length = choices.below(24);
                self.bytes.extend(std::iter::repeat_n(choices.byte(), length));
            }
        }
    }

    fn binding(&mut self, choices: &mut Choices<'_>) {
        self.number(choices.one_of(&[1, 0, 2]));
        if choices.one_of(&[true, false]) {
            self.bytes.push(0);
        } else {
            self.name(choices);
        }
        let which = choices.byte();
        for (bit, key) in [0, 1, 3, 4, 5, 6, 7].into_iter().enumerate() {
            if which >> bit & 1 == 0 {
                continue;
            }
            let mut value = Vec::new();
            match key {
                1 => value.extend(b"\x02h3\x02h2"),
                3 => value.extend([1, 187]),
                4 => (0..1 + choices.below(3)).for_each(|n| value.extend([198, 51, 100, n as u8])),
                5 => value.extend(ech_config_list(choices)),
                6 => (0..1 + choices.below(3)).for_each(|n| value.extend([n as u8 + 0x20; 16])),
                _ => value.extend([0, 1]),
            }
            self.number(key);
            let length = if choices.rarely() { choices.byte().into() } else { value.len() as u16 };
            self.number(length);
            self.bytes.extend(value);
        }
    }
}

fn ech_config_list(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut list = Vec::new();
    for _ in 0..1 + choices.below(2) {
        let name = choices.one_of(&LABELS);
        let mut contents = vec![choices.byte(), 0, 0x20, 0, 4, 1, 2, 3, 4, 0, 4, 0, 1, 0, 1, 0];
        contents.push(name.len() as u8);
        contents.extend(name);
        contents.extend([0, 0]);
        list.extend(choices.one_of(&[[0xfe, 0x0d], [0xfe, 0x0a]]));
        list.extend((contents.len() as u16).to_be_bytes());
        list.extend(contents);
    }
    [&(list.len() as u16).to_be_bytes()[..], &list].concat()
}
