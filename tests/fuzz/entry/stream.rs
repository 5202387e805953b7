//! One side of a TCP connection, its segments in any order, overlapping, doubled, cut or lost.

use shadowscope::dissect::stream::{SHOWN_BYTES_MAX, SideStream};
use shadowscope::dissect::{Advance, Finding};
use shadowscope::flow::reassembly::{Consumer, HELD_BYTES_MAX, Outcome, Reassembler};

use super::choices::Choices;
use super::conversation;

/// How often a stream that said nothing is looked at anew.
const LOOKED_MAX: usize = 4;

/// The first bytes decide what is said, the others how it is cut.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices(data);
    let ports = choices.one_of(&[(50_000, 443), (50_000, 53), (53, 50_000), (50_000, 80)]);
    let initial = choices.one_of(&[0, 1_000, u32::MAX - 20, 0x7fff_fff0]);
    let said = if choices.byte() % 4 == 3 {
        let length = usize::from(choices.number());
        choices.take(length).to_vec()
    } else {
        // Less than what makes a stream be given up, which depends on how it is cut.
        conversation::generate(&mut choices, SHOWN_BYTES_MAX - 1)
    };
    let (segments, faithful) = segments(&mut choices, &said);

    let mut side = Side::new(ports, initial, &said, faithful);
    for segment in &segments {
        side.segment(segment);
    }
    let gaps = side.gaps;
    side.finish();
    if !faithful || gaps > 0 || said.len() >= SHOWN_BYTES_MAX || side.overflowed {
        return;
    }
    let mut at_once = Side::new(ports, initial, &said, true);
    at_once.segment(&Segment { at: 0, bytes: said.clone(), stated: said.len() });
    at_once.finish();
    assert_eq!(at_once.findings, side.findings);
}

struct Segment {
    at: usize,
    bytes: Vec<u8>,
    /// Its length on the wire.
    stated: usize,
}

/// Segments with all that was said, and whether they say nothing else and leave out nothing.
fn segments(choices: &mut Choices<'_>, said: &[u8]) -> (Vec<Segment>, bool) {
    let segment = |at: usize, end: usize| {
        let bytes = said[at..end].to_vec();
        Segment { at, stated: bytes.len(), bytes }
    };
    let (mut segments, mut at, mut faithful) = (Vec::new(), 0, true);
    while at < said.len() {
        let length = match choices.byte() {
            0 => 1460,
            length => usize::from(length),
        };
        let end = said.len().min(at + length);
        segments.push(segment(at, end));
        at = end;
    }
    for _ in 0..choices.below(16) {
        let which = choices.below(segments.len().max(1));
        match choices.below(8) {
            0..4 => {
                let other = which + choices.below(5);
                if other < segments.len() {
                    segments.swap(which, other);
                }
            }
            4 | 5 => {
                let begin = usize::from(choices.number()) % (said.len() + 1);
                let end = said.len().min(begin + usize::from(choices.number() % 2000));
                segments.insert(which, segment(begin, end));
            }
            6 => {
                // Bytes that contradict those sent before or after.
                let at = usize::from(choices.number()) % (said.len() + 1);
                let bytes = choices.take(40).to_vec();
                segments.insert(which, Segment { at, stated: bytes.len(), bytes });
                faithful = false;
            }
            _ => {
                if let Some(segment) = segments.get_mut(which) {
                    let kept = choices.byte();
                    segment.bytes.truncate(usize::from(kept));
                    faithful &= segment.bytes.len() == segment.stated;
                    if kept == 0 {
                        segment.stated = 0; // Lost.
                    }
                }
            }
        }
    }
    (segments, faithful)
}

/// A side as a worker keeps it, with what it is told held against what was said.
struct Side<'a> {
    ports: (u16, u16),
    initial: u32,
    order: Reassembler,
    probe: Probe<'a>,
    done: bool,
    looked: usize,
    gaps: usize,
    overflowed: bool,
    findings: Vec<String>,
}

impl<'a> Side<'a> {
    fn new(ports: (u16, u16), initial: u32, said: &'a [u8], faithful: bool) -> Side<'a> {
        Side {
            ports,
            initial,
            order: Reassembler::new(initial),
            probe: Probe {
                stream: SideStream::new(ports.0, ports.1),
                said,
                position: faithful.then_some(0),
                gaps: 0,
                findings: Vec::new(),
            },
            done: false,
            looked: 0,
            gaps: 0,
            overflowed: false,
            findings: Vec::new(),
        }
    }

    fn segment(&mut self, segment: &Segment) {
        let sequence = self.initial.wrapping_add(segment.at as u32);
        if self.done {
            if self.looked == LOOKED_MAX || !SideStream::may_begin(&segment.bytes) {
                return;
            }
            self.looked += 1;
            self.done = false;
            self.order = Reassembler::new(sequence);
            self.probe.stream = SideStream::new(self.ports.0, self.ports.1).without_fingerprint();
            self.probe.stream.gap();
            self.probe.position = None;
        }
        let stated = segment.stated as u32;
        let outcome = self.order.segment(sequence, &segment.bytes, stated, &mut self.probe);
        assert!(self.order.held_bytes() <= HELD_BYTES_MAX + segment.bytes.len());
        match outcome {
            Outcome::Wanted | Outcome::Gap => {}
            Outcome::Done => self.settle(),
            Outcome::Overflow => {
                self.overflowed = true;
                self.settle();
            }
        }
        self.gaps = self.probe.gaps;
    }

    /// The first look is over; what later ones find depends on where segments begin.
    fn settle(&mut self) {
        self.done = true;
        if self.looked == 0 {
            self.findings = self.probe.findings.clone();
        }
    }

    fn finish(&mut self) {
        if !self.done {
            self.order.finish(&mut self.probe);
            self.settle();
        }
    }
}

struct Probe<'a> {
    stream: SideStream,
    said: &'a [u8],
    /// Where in what was said the next shown byte stands; unknown after lost bytes.
    position: Option<usize>,
    gaps: usize,
    findings: Vec<String>,
}

impl Consumer for Probe<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Advance {
        assert!(!bytes.is_empty());
        if let Some(position) = self.position {
            assert_eq!(self.said.get(position..position + bytes.len()), Some(bytes));
        }
        let findings = &mut self.findings;
        let before = findings.len();
        let advance = self.stream.advance(bytes, &mut |finding| findings.push(show(&finding)));
        // One for each byte, and for the last one what was known of a request when it was refused.
        assert!(self.findings.len() - before <= bytes.len() + 1);
        if advance.wants_more {
            assert!((bytes.len() as u64).saturating_sub(advance.consumed) < SHOWN_BYTES_MAX as u64);
        }
        let consumed = usize::try_from(advance.consumed).unwrap_or(usize::MAX);
        self.position = self.position.and_then(|position| position.checked_add(consumed));
        advance
    }

    fn lost(&mut self, unconsumed: &[u8]) {
        self.gaps += 1;
        self.position = None;
        let findings = &mut self.findings;
        if !unconsumed.is_empty() {
            self.stream.finish(unconsumed, &mut |finding| findings.push(show(&finding)));
        }
        self.stream.gap();
    }

    fn begins(&self, segment: &[u8]) -> bool {
        self.stream.may_resume(segment)
    }
}

fn show(finding: &Finding<'_>) -> String {
    match finding {
        Finding::DnsMessage(message) => assert!(message.len() >= 12),
        Finding::Certificate(names) => assert!(!names.is_empty()),
        Finding::ProxyTarget(name) => assert!(!name.to_string().is_empty()),
        _ => {}
    }
    format!("{finding:?}")
}
