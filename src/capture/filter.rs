//! Which packets of a capture are read: a span of time and a filter expression.
//!
//! Expressions are compiled by libpcap, for each link type anew, and run here: libpcap's own
//! offline interpreter, as its crate offers it, takes the captured length for the packet's, so
//! that `greater 1000` would be wrong in captures that cut their packets.

use ::pcap::{Capture, Linktype};

use super::Record;
use crate::packet::LinkType;
use crate::time::Timestamp;

/// Link types for which an expression is tried before anything is read: some, like `wlan type`,
/// are valid for one of them only.
const TRIAL_LINK_TYPES: [LinkType; 4] =
    [LinkType::ETHERNET, LinkType::IEEE802_11_RADIOTAP, LinkType::RAW, LinkType::LINUX_SLL];

/// Scratch memory of a filter program, in 32-bit words (BPF_MEMWORDS).
const MEMORY_WORDS: usize = 16;

/// Which packets are read. The default is all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    expression: Option<String>,
    /// The expression for each link type met so far.
    programs: Vec<(LinkType, Program)>,
}

/// Why packets cannot be filtered as asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The span of time holds nothing.
    #[error("--from is not before --to: no packet can pass")]
    EmptySpan,
    /// libpcap does not understand the expression.
    #[error("--filter {expression:?}: {message}; pcap-filter(7) tells how filters are written")]
    Expression {
        /// As typed.
        expression: String,
        /// libpcap's message.
        message: String,
    },
    /// The expression asks for what this link type does not have.
    #[error("--filter {expression:?} cannot be applied to link type {}: {message}", link.0)]
    LinkType {
        /// As typed.
        expression: String,
        /// Link type of a capture.
        link: LinkType,
        /// libpcap's message.
        message: String,
    },
}

impl Filter {
    /// A filter for packets stamped `from` or later, but before `to`, and for which `expression`
    /// (`man 7 pcap-filter`) holds.
    ///
    /// # Errors
    ///
    /// When no packet can pass, or libpcap does not understand the expression.
    pub fn new(
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        expression: Option<&str>,
    ) -> Result<Filter, FilterError> {
        if from.zip(to).is_some_and(|(from, to)| from >= to) {
            return Err(FilterError::EmptySpan);
        }
        if let Some(expression) = expression {
            let mut trials = TRIAL_LINK_TYPES.map(|link| compile(expression, link)).into_iter();
            // The first message is of Ethernet, which is what nearly everybody has.
            if let Some(Err(message)) = trials.next()
                && trials.all(|trial| trial.is_err())
            {
                return Err(FilterError::Expression { expression: expression.to_owned(), message });
            }
        }
        let expression = expression.map(str::to_owned);
        Ok(Filter { from, to, expression, programs: Vec::new() })
    }

    /// Makes ready for packets of a link type.
    ///
    /// # Errors
    ///
    /// When the expression cannot be applied to it.
    pub fn prepare(&mut self, link: LinkType) -> Result<(), FilterError> {
        self.program(link).map(|_| ())
    }

    /// Whether it lets every packet pass.
    pub(super) fn is_empty(&self) -> bool {
        self.from.is_none() && self.to.is_none() && self.expression.is_none()
    }

    /// Takes those packets out of `records` that do not pass; their frames lie in `bytes`. Stops
    /// at a packet that the filter cannot be applied to, and takes out all behind it.
    pub(super) fn retain(
        &mut self,
        bytes: &[u8],
        records: &mut Vec<Record>,
    ) -> Result<(), FilterError> {
        if self.is_empty() {
            return Ok(());
        }
        let (from, to) = (self.from.unwrap_or(Timestamp::MIN), self.to);
        let mut result = Ok(());
        records.retain(|record| {
            if result.is_err() || record.time < from || to.is_some_and(|to| record.time >= to) {
                return false;
            }
            match self.program(record.link) {
                Ok(None) => true,
                Ok(Some(program)) => {
                    let start = record.offset as usize;
                    let frame = bytes.get(start..start + record.captured as usize);
                    program.accepts(frame.unwrap_or_default(), record.wire_length)
                }
                Err(error) => {
                    result = Err(error);
                    false
                }
            }
        });
        result
    }

    /// The expression's program for a link type; `None` without an expression.
    fn program(&mut self, link: LinkType) -> Result<Option<&Program>, FilterError> {
        let Some(expression) = &self.expression else {
            return Ok(None);
        };
        let known = self.programs.iter().position(|&(of, _)| of == link);
        let index = match known {
            Some(index) => index,
            None => {
                let program = compile(expression, link).map_err(|message| {
                    FilterError::LinkType { expression: expression.clone(), link, message }
                })?;
                self.programs.push((link, program));
                self.programs.len() - 1
            }
        };
        Ok(self.programs.get(index).map(|(_, program)| program))
    }
}

/// A compiled filter: classic BPF (S. McCanne, V. Jacobson, "The BSD Packet Filter", 1993).
#[derive(Clone, Debug)]
pub(super) struct Program(pub(super) Vec<Instruction>);

/// One step of a program, in the fields of `struct sock_filter` (linux/filter.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    /// What is done, with what.
    pub(super) code: u16,
    /// Instructions that are skipped where a comparison holds.
    pub(super) jump_true: u8,
    /// Those that are skipped where it does not.
    pub(super) jump_false: u8,
    /// The operand.
    pub(super) k: u32,
}

fn compile(expression: &str, link: LinkType) -> Result<Program, String> {
    let capture = Capture::dead(Linktype(libpcap_number(link))).map_err(text)?;
    compile_for(&capture, expression)
}

/// The expression's program for packets as `capture` gives them.
pub(super) fn compile_for<T: ::pcap::Activated>(
    capture: &Capture<T>,
    expression: &str,
) -> Result<Program, String> {
    let program = capture.compile(expression, true).map_err(text)?;
    // The crate shows an instruction's fields in one way only: `tcpdump -ddd`'s.
    let instructions = program.get_instructions().iter().map(|shown| parse(&shown.to_string()));
    let program = instructions.collect::<Option<_>>();
    program.map(Program).ok_or_else(|| "libpcap's program cannot be read".to_owned())
}

pub(super) fn text(error: ::pcap::Error) -> String {
    match error {
        ::pcap::Error::PcapError(message) => message,
        other => other.to_string(),
    }
}

fn parse(shown: &str) -> Option<Instruction> {
    let mut fields = shown.split_ascii_whitespace();
    Some(Instruction {
        code: fields.next()?.parse().ok()?,
        jump_true: fields.next()?.parse().ok()?,
        jump_false: fields.next()?.parse().ok()?,
        k: fields.next()?.parse().ok()?,
    })
}

/// Files number a few link types otherwise than libpcap on the machine that reads them.
fn libpcap_number(link: LinkType) -> i32 {
    match link {
        LinkType::RAW | LinkType::RAW_OPENBSD => LinkType::RAW_DLT.0.into(),
        other => other.0.into(),
    }
}

impl Program {
    /// Whether the program accepts a frame. A load beyond the captured bytes rejects it.
    fn accepts(&self, frame: &[u8], wire_length: u32) -> bool {
        self.run(frame, wire_length).is_some_and(|result| result != 0)
    }

    /// The program's result. Jumps only go forward, so every program ends.
    pub(super) fn run(&self, frame: &[u8], wire_length: u32) -> Option<u32> {
        let (mut accumulator, mut index) = (0_u32, 0_u32);
        let mut memory = [0_u32; MEMORY_WORDS];
        let mut next = 0_usize;
        loop {
            let Instruction { code, jump_true, jump_false, k } = *self.0.get(next)?;
            next += 1;
            // Class in the lowest three bits; operand K or X in the fourth.
            let operand = if code & 0x08 == 0 { k } else { index };
            match code & 0x07 {
                // LD, LDX: size and mode above the class.
                0x00 | 0x01 => {
                    let at = match code & 0xe0 {
                        0x40 => index.checked_add(k)?,
                        _ => k,
                    };
                    let value = match code & 0xe0 {
                        0x00 => k,
                        0x20 | 0x40 => load(frame, at, code & 0x18)?,
                        0x60 => *memory.get(k as usize)?,
                        0x80 => wire_length,
                        // MSH: an IPv4 header's length from its first byte.
                        0xa0 => (load(frame, k, 0x10)? & 0xf) << 2,
                        _ => return None,
                    };
                    if code & 0x07 == 0x00 {
                        accumulator = value;
                    } else {
                        index = value;
                    }
                }
                0x02 => *memory.get_mut(k as usize)? = accumulator,
                0x03 => *memory.get_mut(k as usize)? = index,
                0x04 => accumulator = arithmetic(code & 0xf0, accumulator, operand)?,
                0x05 => {
                    let taken = match code & 0xf0 {
                        0x00 => {
                            next = next.checked_add(k as usize)?;
                            continue;
                        }
                        0x10 => accumulator == operand,
                        0x20 => accumulator > operand,
                        0x30 => accumulator >= operand,
                        0x40 => accumulator & operand != 0,
                        _ => return None,
                    };
                    next += usize::from(if taken { jump_true } else { jump_false });
                }
                0x06 => return Some(if code & 0x18 == 0x10 { accumulator } else { k }),
                _ => match code & 0xf8 {
                    0x00 => index = accumulator,
                    0x80 => accumulator = index,
                    _ => return None,
                },
            }
        }
    }
}

/// A big-endian word, half-word or byte of the frame.
fn load(frame: &[u8], at: u32, size: u16) -> Option<u32> {
    let rest = frame.get(at as usize..)?;
    match size {
        0x00 => Some(u32::from_be_bytes(*rest.first_chunk()?)),
        0x08 => Some(u16::from_be_bytes(*rest.first_chunk()?).into()),
        0x10 => rest.first().map(|&byte| byte.into()),
        _ => None,
    }
}

fn arithmetic(operation: u16, left: u32, right: u32) -> Option<u32> {
    Some(match operation {
        0x00 => left.wrapping_add(right),
        0x10 => left.wrapping_sub(right),
        0x20 => left.wrapping_mul(right),
        0x30 => left.checked_div(right)?,
        0x40 => left | right,
        0x50 => left & right,
        0x60 => left.checked_shl(right).unwrap_or(0),
        0x70 => left.checked_shr(right).unwrap_or(0),
        0x80 => left.wrapping_neg(),
        0x90 => left.checked_rem(right)?,
        0xa0 => left ^ right,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn libpcaps_message_is_handed_on() {
        let error = Filter::new(None, None, Some("tcp prot 443")).unwrap_err();
        assert!(error.to_string().contains("syntax error"), "{error}");
        let span = Filter::new(Some(Timestamp(5)), Some(Timestamp(5)), None);
        assert_eq!(span.unwrap_err(), FilterError::EmptySpan);
        assert!(Filter::new(None, None, Some("wlan type mgt")).is_ok());
    }

    #[test]
    fn an_expression_may_not_fit_a_link_type() {
        let mut filter = Filter::new(None, None, Some("ether host 0:1:2:3:4:5")).unwrap();
        assert!(filter.prepare(LinkType::ETHERNET).is_ok());
        assert!(filter.prepare(LinkType::RAW).is_err());
    }

    #[test]
    fn lengths_are_those_of_the_wire() {
        let program = compile("greater 1000", LinkType::ETHERNET).unwrap();
        assert!(program.accepts(&[0; 60], 1500));
        assert!(!program.accepts(&[0; 60], 60));
    }

    const EXPRESSIONS: [&str; 8] = [
        "tcp port 443 or udp port 53",
        "vlan and ip6",
        "ip[2:2] - ((ip[0] & 0xf) << 2) > 40 and not host 10.0.0.1",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "net 192.168.0.0/16 or ip6 net fd00::/8",
        "ether[0] & 1 = 0 and ip proto 17",
        "portrange 1000-2000 or icmp6",
        "less 80 and ether[len - 1] = 0",
    ];

    proptest! {
        #[test]
        fn agrees_with_libpcaps_interpreter(
            which in 0..EXPRESSIONS.len(),
            mut frame in proptest::collection::vec(any::<u8>(), 0..120),
            plausible in 0..4_u8,
        ) {
            // Mostly frames that get past the first comparisons.
            let ether_type: &[u8] = match plausible {
                0 => &[8, 0, 0x45, 0, 0, 90, 0, 0, 0, 0, 64, 6],
                1 => &[8, 0, 0x46, 0, 0, 90, 0, 0, 0, 0, 64, 17],
                2 => &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 58, 64],
                _ => &[],
            };
            for (to, from) in frame.iter_mut().skip(12).zip(ether_type) {
                *to = *from;
            }
            let capture = Capture::dead(Linktype(1)).unwrap();
            let theirs = capture.compile(EXPRESSIONS[which], true).unwrap();
            let ours = compile(EXPRESSIONS[which], LinkType::ETHERNET).unwrap();
            prop_assert_eq!(ours.accepts(&frame, frame.len() as u32), theirs.filter(&frame));
        }
    }
}
