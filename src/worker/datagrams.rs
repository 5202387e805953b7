//! What of a UDP flow is shown to the dissector of QUIC, and for how long.
//!
//! A flow is looked at until it has told a hello or has said nothing for a while. From then on only
//! datagrams that begin with a long header are: a client may begin another connection on the same
//! addresses and ports, after the first one or beside it. Of such a flow *marks* are kept: short
//! hashes of the connection ids by which the known connections' packets are addressed, and of the
//! hellos that were told. What goes to a known id costs no key, and no hello is told twice.

use arrayvec::ArrayVec;

use super::findings::Found;
use super::inspect::{INSPECTIONS_MAX, Inspector, LOOKED_MAX, LookedAt};
use super::part::QUIC_VERSIONS_MAX;
use super::{Item, Worker};
use crate::dissect::Progress;
use crate::dissect::quic::{self, Initials};
use crate::dissect::tunnel;
use crate::flow::slot::{NONE, Side, mark, told};
use crate::flow::table::FlowId;
use crate::fnv::Fnv;
use crate::observation::ClientHello;
use crate::stats::Counter;

/// Datagrams of a flow that are looked at without any result before only long headers are. From
/// there on [`Cold::looked`](crate::flow::slot::Cold) counts Initials that did not open.
const DATAGRAMS_LOOKED_MAX: u8 = LOOKED_MAX / 2;
/// Marks of a flow that are kept besides the latest four.
pub(super) const OLDER_MARKS_MAX: usize = 28;

impl Worker {
    /// Shows a datagram of a flow that is not understood yet.
    pub(super) fn look_at_datagram(
        &mut self,
        flow: FlowId,
        side: Side,
        item: &Item<'_>,
        payload: &[u8],
    ) {
        // A tunnel may dress up as QUIC of a version that nobody knows: what follows tells, for as long
        // as anything is looked at.
        if tunnel::is_dressed_as_quic(payload) && !quic::may_be_known_initial(payload) {
            if self.is_tunnel_datagram(flow, side, item, payload) {
                return;
            }
            let cold = self.table.cold(flow);
            cold.looked = cold.looked.saturating_add(1);
            let is_followed = self.inspector.tunnels.contains_key(&flow);
            if cold.looked < DATAGRAMS_LOOKED_MAX && is_followed {
                return;
            }
        }
        let inspection = self.table.cold(flow).inspection;
        let is_awaited = match self.inspector.open.get(inspection as usize) {
            Some(inspection) => inspection.sides[side].is_some(),
            None => false,
        };
        if is_awaited || quic::may_be_initial(payload) {
            self.show_initials(flow, side, item, payload, Initials::new);
            return;
        }
        if self.is_tunnel_datagram(flow, side, item, payload)
            || self.is_named_media(flow, side, item, payload)
            || inspection != NONE
        {
            return;
        }
        let cold = self.table.cold(flow);
        cold.looked = cold.looked.saturating_add(1);
        if cold.looked >= DATAGRAMS_LOOKED_MAX {
            self.await_long_header(flow);
        }
    }

    /// The flow says nothing: a connection of QUIC may begin on its ports nevertheless, most likely
    /// where another one was in its midst when the capture began.
    fn await_long_header(&mut self, flow: FlowId) {
        if self.table.cold(flow).told & told::MEDIA != 0 {
            self.leave_alone(flow);
            return;
        }
        self.table.hot(flow).marks |= mark::LONG_ONLY;
        self.forget_tunnel(flow);
        self.drop_inspection(flow);
        self.decide(flow);
    }

    /// Shows a datagram with a long header of a flow of which nothing else is wanted.
    pub(super) fn look_at_long_header(
        &mut self,
        flow: FlowId,
        side: Side,
        item: &Item<'_>,
        payload: &[u8],
    ) {
        let Some(ids) = quic::connection_ids(payload) else { return };
        let (hot, cold) = self.table.both(flow);
        let looked = cold.looked;
        let has_hello = looked < DATAGRAMS_LOOKED_MAX;
        if has_hello && side != hot.client() {
            // A Retry's packets are answered by another id's.
            if !ids.is_retry {
                hot.marks &= !(mark::WANTED_0 << side);
            }
            if !self.has_open_connection(flow, 1 - side, ids.destination) {
                self.remember(flow, mark_of(ids.source));
            }
            return;
        }
        let is_wanted = match has_hello {
            true => quic::may_be_initial(payload),
            // Who is the client is only guessed.
            false => quic::may_be_known_initial(payload),
        };
        if is_wanted && !self.is_known(flow, mark_of(ids.destination)) {
            let unopened = looked % DATAGRAMS_LOOKED_MAX;
            self.show_initials(flow, side, item, payload, || Initials::after_tries(unopened));
        }
    }

    fn show_initials(
        &mut self,
        flow: FlowId,
        side: Side,
        item: &Item<'_>,
        payload: &[u8],
        fresh: impl FnOnce() -> Initials,
    ) {
        let id = self.inspection(flow, item.sensor);
        let Inspector { open, found, scratch, .. } = &mut self.inspector;
        scratch.without_fingerprint = !self.settings.observations;
        let slot = &mut open[id as usize].sides[side];
        let LookedAt::Quic(initials) =
            slot.get_or_insert_with(|| LookedAt::Quic(Box::new(fresh())))
        else {
            return;
        };
        let progress = initials.datagram(payload, scratch);
        if initials.take_given_up() {
            found.push(Found::Refused(Counter::QuicOverflow));
        }
        let (is_open, unopened) = (initials.is_open(), initials.unopened());
        match progress {
            Progress::Complete(hello) => {
                if !is_open {
                    *slot = None;
                }
                self.take_hello(flow, side, item, payload, hello);
            }
            Progress::Incomplete if self.table.hot(flow).marks & mark::LONG_ONLY != 0 => {
                if !is_open {
                    self.note_unopened(flow, side, payload, unopened);
                }
            }
            Progress::Incomplete => {}
            Progress::Reject(counter) => {
                let version = initials.unopened_version();
                *slot = None;
                self.give_up_initials(flow, side, item, payload, counter, version);
                return;
            }
        }
        if !self.inspector.found.is_empty() {
            self.take_findings(flow, side, item.time, Some(item.packet.bytes));
        }
    }

    /// Takes a hello that is whole. What comes next on these ports is another connection's.
    fn take_hello(
        &mut self,
        flow: FlowId,
        side: Side,
        item: &Item<'_>,
        payload: &[u8],
        hello: ClientHello,
    ) {
        // Google's own versions are known by nothing that tells one connection from the next.
        let goes_on = hello.random != [0; 32];
        let is_new = !goes_on || self.is_new(flow, &hello);
        if is_new {
            self.inspector.found.push(Found::Hello(Box::new(hello)));
        }
        self.take_findings(flow, side, item.time, Some(item.packet.bytes));
        if !goes_on {
            self.leave_alone(flow);
            return;
        }
        if let Some(ids) = quic::connection_ids(payload) {
            self.remember(flow, mark_of(ids.destination));
        }
        if is_new {
            self.table.cold(flow).looked = 0;
        }
        self.table.hot(flow).marks |= mark::LONG_ONLY | mark::WANTED_0 | mark::WANTED_0 << 1;
        self.forget_tunnel(flow);
        self.drop_side(flow, 1 - side);
        self.decide(flow);
    }

    /// A datagram with a long header did not open, or has no Initial: it is not tried again.
    fn note_unopened(&mut self, flow: FlowId, side: Side, payload: &[u8], unopened: u8) {
        if let Some(ids) = quic::connection_ids(payload) {
            self.remember(flow, mark_of(ids.destination));
        }
        let cold = self.table.cold(flow);
        cold.looked = cold.looked - cold.looked % DATAGRAMS_LOOKED_MAX + unopened;
        self.drop_side(flow, side);
    }

    /// Forgets what was seen of a side, and with the last one the inspection.
    fn drop_side(&mut self, flow: FlowId, side: Side) {
        let inspection = self.table.cold(flow).inspection;
        if let Some(inspection) = self.inspector.open.get_mut(inspection as usize) {
            inspection.sides[side] = None;
            if inspection.sides[1 - side].is_none() {
                self.drop_inspection(flow);
            }
        }
    }

    fn give_up_initials(
        &mut self,
        flow: FlowId,
        side: Side,
        item: &Item<'_>,
        payload: &[u8],
        counter: Option<Counter>,
        version: Option<u32>,
    ) {
        if self.table.hot(flow).marks & mark::LONG_ONLY != 0 {
            // What does not open here may be of a connection whose hello was told.
            self.inspector.found.push(Found::Refused(Counter::QuicOverflow));
            self.take_findings(flow, side, item.time, Some(item.packet.bytes));
            self.leave_alone(flow);
            return;
        }
        self.inspector.found.extend(counter.map(Found::Refused));
        count_version(&mut self.part.unopened_quic, version);
        self.table.hot(flow).marks &= !(mark::WANTED_0 << side);
        // What begins with noise may begin like QUIC.
        if self.is_tunnel_datagram(flow, side, item, payload)
            || self.is_named_media(flow, side, item, payload)
        {
            self.inspector.found.clear();
            return;
        }
        self.take_findings(flow, side, item.time, Some(item.packet.bytes));
        self.settle(flow);
    }

    /// The flow ends: what was never completed is looked at as it is.
    pub(super) fn finish_initials(&mut self, flow: FlowId, initials: &Initials) {
        let before = self.inspector.found.len();
        for hello in initials.best_effort() {
            if self.is_new(flow, &hello) {
                self.inspector.found.push(Found::Hello(Box::new(hello)));
            }
        }
        let is_told = self.table.hot(flow).marks & mark::LONG_ONLY != 0;
        if self.inspector.found.len() == before && !is_told {
            self.inspector.found.extend(initials.fault().map(Found::Refused));
            count_version(&mut self.part.unopened_quic, initials.unopened_version());
        }
    }

    /// Whether a hello was not told before; from now on it was.
    fn is_new(&mut self, flow: FlowId, hello: &ClientHello) -> bool {
        let mark = mark_of(&hello.random);
        let is_new = !self.is_known(flow, mark);
        if is_new {
            self.remember(flow, mark);
        }
        is_new
    }

    /// Whether a connection of this side with this source id has said a part of its hello.
    fn has_open_connection(&mut self, flow: FlowId, side: Side, source: &[u8]) -> bool {
        let inspection = self.table.cold(flow).inspection;
        match self.inspector.open.get(inspection as usize).map(|inspection| &inspection.sides[side])
        {
            Some(Some(LookedAt::Quic(initials))) => initials.is_open_from(source),
            _ => false,
        }
    }

    fn is_known(&mut self, flow: FlowId, mark: u16) -> bool {
        let latest = self.table.cold(flow).quic_marks();
        latest.contains(&mark)
            || !self.inspector.older_marks.is_empty()
                && self.inspector.older_marks.get(&flow).is_some_and(|older| older.contains(&mark))
    }

    /// Keeps a mark of a flow. Where there is no room the oldest is forgotten, which costs a key or
    /// lets a hello be told twice.
    fn remember(&mut self, flow: FlowId, mark: u16) {
        if self.is_known(flow, mark) {
            return;
        }
        let oldest = self.table.cold(flow).push_quic_mark(mark);
        let older = &mut self.inspector.older_marks;
        if oldest == 0 || older.len() >= INSPECTIONS_MAX && !older.contains_key(&flow) {
            return;
        }
        let marks: &mut ArrayVec<u16, OLDER_MARKS_MAX> = older.entry(flow).or_default();
        if marks.is_full() {
            marks.remove(0);
        }
        marks.push(oldest);
    }

    /// The flow has ended.
    pub(super) fn forget_marks(&mut self, flow: FlowId) {
        if !self.inspector.older_marks.is_empty() {
            self.inspector.older_marks.remove(&flow);
        }
    }
}

/// What is kept of a connection id or of a hello's random bytes, never 0: two that are alike cost
/// a name at worst, of one in 65,535 second connections.
fn mark_of(bytes: &[u8]) -> u16 {
    let sum = Fnv::of(bytes);
    ((sum >> 48 ^ sum >> 32 ^ sum >> 16 ^ sum) as u16).max(1)
}

/// Counts a flow whose Initials no known key opens.
fn count_version(counts: &mut Vec<(u32, u64)>, version: Option<u32>) {
    let Some(mut version) = version else { return };
    if counts.len() >= QUIC_VERSIONS_MAX && counts.iter().all(|&(known, _)| known != version) {
        version = 0;
    }
    match counts.iter_mut().find(|(known, _)| *known == version) {
        Some((_, flows)) => *flows += 1,
        None => counts.push((version, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::quic::tests::{Plain, client_hello, crypto_frame, initial_of_rfc_9001};
    use crate::net::protocol;
    use crate::packet::Packet;
    use crate::worker::inspect::tests::{names, read, to_port};
    use crate::worker::part::Part;

    const SERVER: Side = 1;
    const CLIENT: Side = 0;

    fn of_quic(said: &[(Side, &[u8])]) -> Part {
        let packet: Packet = to_port(protocol::UDP, 443);
        let packets: Vec<_> = said.iter().map(|&(side, payload)| (side, 0, payload)).collect();
        read(packet, &packets)
    }

    /// A hello for a name, with random bytes of its own.
    fn hello(name: &str, filling: usize) -> Vec<u8> {
        let mut hello = client_hello(name, filling);
        for (random, byte) in hello[6..38].iter_mut().zip(name.bytes().cycle()) {
            *random = byte;
        }
        hello
    }

    /// An Initial with a part of a hello, of the connection with these ids.
    fn initial(
        id: &[u8],
        destination: &[u8],
        source: &[u8],
        hello: &[u8],
        range: std::ops::Range<usize>,
    ) -> Vec<u8> {
        let frames = crypto_frame(range.start, &hello[range]);
        Plain { destination, source, ..Plain::new(id, frames) }.seal(1200)
    }

    fn whole(id: &[u8], source: &[u8], name: &str) -> Vec<u8> {
        let hello = hello(name, 0);
        initial(id, id, source, &hello, 0..hello.len())
    }

    /// An Initial of the server for the client that calls itself `destination`.
    fn of_server(key_id: &[u8], destination: &[u8], source: &[u8]) -> Vec<u8> {
        let side = "server in";
        Plain { destination, source, side, ..Plain::new(key_id, vec![2, 0, 0, 0, 0]) }.seal(1200)
    }

    const SHORT: &[u8] = b"\x41 nobody can read what stands here";
    const ONE: &[u8] = b"one's id";
    const TWO: &[u8] = b"two's id";

    #[test]
    fn connections_on_the_same_ports_are_all_told() {
        // Clients without an id of their own have one connection at a time.
        for source in [&b""[..], b"same", b"8 bytes!"] {
            for shorts in [0, 1, 20, 1000] {
                let (one, two) = (whole(ONE, source, "a.example"), whole(TWO, source, "b.example"));
                let answers = [of_server(ONE, source, b"s1"), of_server(TWO, source, b"s2")];
                let mut said = vec![(CLIENT, &one[..]), (SERVER, &answers[0])];
                said.extend(
                    std::iter::repeat_n([(CLIENT, SHORT), (SERVER, SHORT)], shorts).flatten(),
                );
                said.extend([(CLIENT, &two[..]), (SERVER, &answers[1]), (CLIENT, SHORT)]);
                let part = of_quic(&said);
                assert_eq!(names(&part), ["a.example", "b.example"], "{shorts}");
                assert_eq!(part.counters.value(Counter::QuicOverflow), 0);
                assert_eq!(part.counters.value(Counter::QuicUnopened), 0);
            }
        }
        let many: Vec<Vec<u8>> = (0..100_u8)
            .map(|number| whole(&[number; 8], b"", &format!("h{number}.example")))
            .collect();
        let said: Vec<_> = many.iter().map(|payload| (CLIENT, &payload[..])).collect();
        assert_eq!(names(&of_quic(&said)).len(), 100);
    }

    #[test]
    fn connections_that_begin_side_by_side_are_all_told() {
        let (long, other) = (hello("long.example", 900), hello("other.example", 900));
        let piece = |id, source, hello: &[u8], from: usize| {
            initial(id, id, source, hello, from..hello.len().min(from + 500))
        };
        let a = [piece(ONE, b"a", &long, 0), piece(ONE, b"a", &long, 500)];
        let b = [piece(TWO, b"b", &other, 0), piece(TWO, b"b", &other, 500)];
        let short = whole(b"third's id", b"c", "short.example");
        let (to_a, to_b) = (of_server(ONE, b"a", b"s1"), of_server(TWO, b"b", b"s2"));
        let said: Vec<(Side, &[u8])> = vec![
            (CLIENT, &a[0]),
            (CLIENT, &short),
            (SERVER, &to_a),
            (CLIENT, &b[0]),
            (CLIENT, &b[0]),
            (SERVER, &to_b),
            (CLIENT, &a[1]),
            (SERVER, &to_b),
            (CLIENT, &b[1]),
            (CLIENT, SHORT),
        ];
        assert_eq!(names(&of_quic(&said)), ["short.example", "long.example", "other.example"]);
        // The end of the flow tells what has come whole of those that are open.
        let cut = [(CLIENT, &short[..]), (CLIENT, &a[0]), (CLIENT, &b[1])];
        assert_eq!(names(&of_quic(&cut)), ["short.example"]);
    }

    #[test]
    fn a_hello_that_is_sent_again_is_told_once() {
        let hello = hello("again.example", 900);
        let all = 0..hello.len();
        let first = initial(ONE, ONE, b"src", &hello, all.clone());
        for retry_id in [TWO, b"abc", b""] {
            // After a Retry the same hello comes with another id and other keys.
            let retry = retry(b"src", retry_id);
            let frames = crypto_frame(0, &hello);
            let anew = Plain { token: b"token", ..Plain::new(retry_id, frames) }.seal(1200);
            let said = [
                (CLIENT, &first[..]),
                (CLIENT, &first),
                (SERVER, &retry),
                (CLIENT, &anew),
                (SERVER, &of_server(retry_id, b"src", b"s1")),
                (CLIENT, &anew),
                (CLIENT, &first),
            ];
            assert_eq!(names(&of_quic(&said)), ["again.example"]);
            // Also in half a capture.
            let of_client: Vec<_> =
                said.iter().filter(|(side, _)| *side == CLIENT).copied().collect();
            assert_eq!(names(&of_quic(&of_client)), ["again.example"]);
        }
    }

    fn retry(destination: &[u8], source: &[u8]) -> Vec<u8> {
        let mut packet = vec![0xf0, 0, 0, 0, 1];
        for id in [destination, source] {
            packet.push(id.len() as u8);
            packet.extend(id);
        }
        packet.extend(b"token");
        packet.extend([0; 16]);
        packet
    }

    #[test]
    fn initials_that_do_not_open_behind_a_hello_are_tried_a_few_times() {
        let one = initial_of_rfc_9001();
        let damaged: Vec<Vec<u8>> = (0..20_u8)
            .map(|number| {
                let mut packet = whole(&[number; 8], b"", "b.example");
                packet[600] ^= 1;
                packet
            })
            .collect();
        let last = whole(TWO, b"", "c.example");
        let said = |tries: usize| {
            let tried = damaged[..tries].iter().map(|payload| (CLIENT, &payload[..]));
            let said: Vec<_> = std::iter::once((CLIENT, &one[..]))
                .chain(tried)
                .chain([(CLIENT, &last[..])])
                .collect();
            of_quic(&said)
        };
        assert_eq!(names(&said(7)), ["example.com", "c.example"]);
        let over = said(8);
        assert_eq!(names(&over), ["example.com"]);
        assert_eq!(over.counters.value(Counter::QuicOverflow), 1);
        // The same one again costs nothing.
        let mut said = vec![(CLIENT, &one[..])];
        said.extend([(CLIENT, &damaged[0][..]); 20]);
        said.push((CLIENT, &last));
        assert_eq!(names(&of_quic(&said)), ["example.com", "c.example"]);
    }

    #[test]
    fn a_connection_that_follows_one_in_its_midst_is_told() {
        let first = whole(ONE, b"", "late.example");
        for begins in [CLIENT, SERVER] {
            for shorts in [0, 7, 8, 9, 300] {
                let mut said = vec![(begins, SHORT), (1 - begins, SHORT)];
                said.extend(std::iter::repeat_n((begins, SHORT), shorts));
                said.extend([(CLIENT, &first[..]), (CLIENT, SHORT)]);
                assert_eq!(names(&of_quic(&said)), ["late.example"], "{shorts}");
            }
        }
        // A hello in pieces, and noise that looks like a long header.
        let hello = hello("pieces.example", 900);
        let pieces = [
            initial(ONE, ONE, b"", &hello, 0..500),
            initial(ONE, ONE, b"", &hello, 500..hello.len()),
        ];
        let noise = [&[0xc5, 0x12, 0x34, 0x56, 0x78, 8][..], &[0x33; 1400]].concat();
        let mut said = vec![(CLIENT, SHORT); 9];
        said.extend([(SERVER, &noise[..]); 20]);
        said.extend([(CLIENT, &noise[..]); 20]);
        said.extend([(CLIENT, &pieces[1][..]), (SERVER, &noise), (CLIENT, &pieces[0])]);
        let part = of_quic(&said);
        assert_eq!(names(&part), ["pieces.example"]);
        assert_eq!(part.counters.value(Counter::QuicUnopened), 0);
    }

    #[test]
    fn a_server_that_talks_while_a_hello_is_incomplete_does_not_end_the_look() {
        let hello = hello("slow.example", 900);
        let (front, back) = (
            initial(ONE, ONE, b"", &hello, 0..500),
            initial(ONE, ONE, b"", &hello, 500..hello.len()),
        );
        let mut said = vec![(CLIENT, &front[..])];
        said.extend([(SERVER, SHORT); 20]);
        said.push((CLIENT, &back));
        assert_eq!(names(&of_quic(&said)), ["slow.example"]);
    }
}
