//! Builds captures as a string of bytes decides: pcap and pcapng in both byte orders, with lengths
//! that are right unless they are damaged on purpose.

use super::choices::Choices;

/// Most packets of a file.
const PACKETS_MAX: usize = 40;

/// Bytes in one byte order.
struct Writer {
    bytes: Vec<u8>,
    big_endian: bool,
}

impl Writer {
    fn u16(&mut self, value: u16) {
        let bytes = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(bytes);
    }

    fn u32(&mut self, value: u32) {
        let bytes = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(bytes);
    }

    /// A pcapng block with what `body` writes.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Writer)) {
        let mut inner = Writer { bytes: Vec::new(), big_endian: self.big_endian };
        body(&mut inner);
        inner.bytes.resize(inner.bytes.len().next_multiple_of(4), 0);
        let length = inner.bytes.len() as u32 + 12;
        self.u32(kind);
        self.u32(length);
        self.bytes.extend(inner.bytes);
        self.u32(length);
    }
}

/// The capture that `choices` decide on.
pub(crate) fn generate(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut bytes = if choices.byte() & 1 == 0 { pcap(choices) } else { pcapng(choices) };
    choices.damage(&mut bytes);
    bytes
}

/// A frame: mostly short, now and then longer than a buffer's share.
fn frame(choices: &mut Choices<'_>) -> Vec<u8> {
    match choices.byte() {
        255 => vec![0x45; 3 * usize::from(choices.number())],
        length => choices.take(usize::from(length) / 4).to_vec(),
    }
}

fn pcap(choices: &mut Choices<'_>) -> Vec<u8> {
    let magic = choices.one_of(&[0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34]);
    let mut writer = Writer { bytes: Vec::new(), big_endian: choices.byte() & 1 == 1 };
    writer.u32(magic);
    writer.u16(2);
    writer.u16(4);
    writer.u32(0);
    writer.u32(0);
    writer.u32(65_535);
    writer.u32(choices.one_of(&[1, 1, 101, 0x4400_0001, 113]));
    for _ in 0..choices.below(PACKETS_MAX) {
        let frame = frame(choices);
        writer.u32(choices.number().into());
        writer.u32(choices.number().into());
        writer.u32(frame.len() as u32);
        writer.u32(frame.len() as u32 + u32::from(choices.byte()));
        if magic == 0xa1b2_cd34 {
            writer.bytes.extend([0; 8]);
        }
        writer.bytes.extend(frame);
    }
    writer.bytes
}

fn pcapng(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut writer = Writer { bytes: Vec::new(), big_endian: choices.byte() & 1 == 1 };
    section(&mut writer);
    interface(choices, &mut writer);
    for _ in 0..choices.below(PACKETS_MAX) {
        match choices.below(16) {
            0 => {
                writer.big_endian = choices.byte() & 1 == 1;
                section(&mut writer);
            }
            1 | 2 => interface(choices, &mut writer),
            3 => {
                let frame = frame(choices);
                let stated = frame.len() as u32;
                writer.block(3, |body| {
                    body.u32(stated);
                    body.bytes.extend(frame);
                });
            }
            4 => {
                let length = choices.below(40);
                let (kind, body) = (u32::from(choices.byte()), choices.take(length));
                writer.block(kind, |inner| inner.bytes.extend(body));
            }
            other => packet(choices, &mut writer, if other == 5 { 2 } else { 6 }),
        }
    }
    writer.bytes
}

fn section(writer: &mut Writer) {
    writer.block(0x0a0d_0d0a, |body| {
        body.u32(0x1a2b_3c4d);
        body.u16(1);
        body.u16(0);
        body.bytes.extend([0xff; 8]);
    });
}

fn interface(choices: &mut Choices<'_>, writer: &mut Writer) {
    let link = choices.one_of(&[1, 1, 101, 113, 276]);
    let snap_length = choices.one_of(&[0, 65_535, 16]);
    let resolution = choices.byte();
    let offset = choices.one_of(&[0, 1, 0x8000_0000]);
    writer.block(1, |body| {
        body.u16(link);
        body.u16(0);
        body.u32(snap_length);
        if resolution > 0 {
            body.u16(9);
            body.u16(1);
            body.bytes.extend([resolution, 0, 0, 0]);
            body.u16(14);
            body.u16(8);
            body.u32(offset);
            body.u32(0);
            body.u32(0);
        }
    });
}

fn packet(choices: &mut Choices<'_>, writer: &mut Writer, kind: u32) {
    let interface = choices.one_of(&[0, 0, 0, 1]);
    let (high, low) = (choices.byte(), choices.number());
    let frame = frame(choices);
    let missing = u32::from(choices.byte());
    writer.block(kind, |body| {
        if kind == 2 {
            body.u16(interface);
            body.u16(0);
        } else {
            body.u32(interface.into());
        }
        body.u32(high.into());
        body.u32(low.into());
        body.u32(frame.len() as u32);
        body.u32(frame.len() as u32 + missing);
        body.bytes.extend(frame);
    });
}
