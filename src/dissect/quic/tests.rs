//! Tests of the whole dissector: the RFCs' packets, and datagrams built by [`sealing`].

use proptest::prelude::*;

use super::sealing::{DRAFT_29, GOOGLE_Q050, V1, V2, Version, google_hello, unhex};
pub(crate) use super::sealing::{Plain, client_hello, crypto_frame};
use super::*;

const ID: &[u8] = &[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
const OTHER_ID: &[u8] = &[9, 8, 7, 6, 5, 4, 3, 2, 1];

/// The answer to each datagram up to the first that is not `Incomplete`; the last one counts.
fn answer<'a>(datagrams: impl IntoIterator<Item = &'a Vec<u8>>) -> Progress<ClientHello> {
    let (mut initials, mut scratch) = (Initials::new(), Scratch::default());
    let mut progress = Progress::Incomplete;
    for datagram in datagrams {
        progress = initials.datagram(datagram, &mut scratch);
        if progress != Progress::Incomplete {
            break;
        }
    }
    progress
}

fn name(progress: &Progress<ClientHello>) -> Option<&str> {
    match progress {
        Progress::Complete(hello) => hello.server_name.as_deref(),
        _ => None,
    }
}

/// An Initial of 1,200 bytes with one CRYPTO frame.
fn piece(id: &[u8], hello: &[u8], range: Range<usize>, number: u32) -> Vec<u8> {
    let frames = crypto_frame(range.start, &hello[range]);
    Plain { number, ..Plain::new(id, frames) }.seal(1200)
}

/// RFC 9001, A.2: a whole hello, for tests elsewhere.
pub(crate) fn initial_of_rfc_9001() -> Vec<u8> {
    unhex(vectors::V1_CLIENT_INITIAL)
}

#[test]
fn the_client_initials_of_both_rfcs_open() {
    for packet in [vectors::V1_CLIENT_INITIAL, vectors::V2_CLIENT_INITIAL] {
        let packet = unhex(packet);
        assert_eq!(packet.len(), 1200);
        assert!(may_be_initial(&packet));
        assert_eq!(name(&answer([&packet])), Some("example.com"));
    }
}

#[test]
fn the_keys_are_those_of_rfc_9001_a_1() {
    // The header protection mask of A.2 and the clear text of A.2 prove hp, key and IV.
    let keys = RingKeys::derive(Scheme::V1, ID).unwrap();
    let sample = unhex("d1b1c98dd7689fb8ec11d242b123dc9b");
    let mask = keys.header_mask(sample.first_chunk().unwrap()).unwrap();
    assert_eq!(mask[..], unhex("437b9aec36"));
    let packet = unhex(vectors::V1_CLIENT_INITIAL);
    let Some((Packet::Initial(initial), [])) = header::split(&packet) else { panic!("no Initial") };
    let mut buffer = Vec::new();
    let range = unprotect(&keys, &initial, &mut buffer).unwrap();
    assert_eq!(range, 22..1184);
    assert_eq!(buffer[..22], unhex("c300000001088394c8f03e5157080000449e00000002"));
    assert_eq!(buffer[22..30], unhex("060040f1010000ed"));
    assert!(buffer[22 + 245..1184].iter().all(|&byte| byte == 0));
}

#[test]
fn a_servers_initial_is_never_opened_and_costs_no_keys() {
    let packet = unhex(vectors::V1_SERVER_INITIAL);
    let Some((Packet::Initial(initial), _)) = header::split(&packet) else { panic!("no Initial") };
    assert!(!initial.may_carry_its_key());
    let mut initials = Initials::new();
    assert_eq!(initials.datagram(&packet, &mut Scratch::default()), Progress::Incomplete);
    assert_eq!(initials.unopened_version(), Some(V1));

    // With an id as long as a client's: it is tried and does not open.
    let hello = client_hello("server.example", 0);
    let plain = Plain { side: "server in", ..Plain::new(ID, crypto_frame(0, &hello)) };
    assert_eq!(answer([&plain.seal(1200)]), Progress::Incomplete);
}

#[test]
fn every_version_in_the_table_opens_what_the_builder_sealed() {
    let hello = client_hello("app.example.com", 0);
    for number in [V1, V2, DRAFT_29] {
        let version = Version::plain(number);
        let plain = Plain { version, ..Plain::new(ID, crypto_frame(0, &hello)) };
        assert_eq!(name(&answer([&plain.seal(1200)])), Some("app.example.com"), "{number:#x}");
    }
}

#[test]
fn an_unknown_version_is_version_1_or_draft_29_inside() {
    let hello = client_hello("greased.example", 0);
    for inside in [V1, DRAFT_29] {
        let version = Version { number: 0x1a2a_3a4a, inside };
        let packet = Plain { version, ..Plain::new(ID, crypto_frame(0, &hello)) }.seal(1200);
        assert!(may_be_initial(&packet));
        assert_eq!(name(&answer([&packet])), Some("greased.example"));
    }
}

#[test]
fn what_does_not_open_is_told_by_version_and_given_up() {
    let mut packet = Plain::new(ID, crypto_frame(0, &client_hello("a.example", 0))).seal(1200);
    packet[4] = 0x77; // a version of which nobody knows the keys
    let (mut initials, mut scratch) = (Initials::new(), Scratch::default());
    for _ in 1..INITIALS_TRIED_MAX {
        assert_eq!(initials.datagram(&packet, &mut scratch), Progress::Incomplete);
    }
    assert_eq!(
        initials.datagram(&packet, &mut scratch),
        Progress::Reject(Some(Counter::QuicUnopened))
    );
    assert_eq!(initials.unopened_version(), Some(0x77));
    assert_eq!(initials.best_effort().count(), 0);
}

#[test]
fn initials_that_open_and_bring_nothing_are_bounded_too() {
    let most = usize::from(INITIALS_REPEATED_MAX);
    let pings: Vec<Vec<u8>> = (0..most as u32)
        .map(|number| Plain { number, ..Plain::new(ID, vec![1]) }.seal(1200))
        .collect();
    assert_eq!(answer(&pings), Progress::Reject(Some(Counter::QuicOverflow)));
    assert_eq!(answer(&pings[..most - 1]), Progress::Incomplete);
}

#[test]
fn initials_sent_again_do_not_cost_the_name() {
    let hello = client_hello("patient.example", 600);
    let (first, second) = (piece(ID, &hello, 0..300, 0), piece(ID, &hello, 300..hello.len(), 1));
    let mut datagrams = vec![first; usize::from(INITIALS_REPEATED_MAX)];
    // Those that do not open are counted by themselves.
    let mut damaged = second.clone();
    damaged[600] ^= 1;
    datagrams.extend(vec![damaged; usize::from(INITIALS_TRIED_MAX) - 1]);
    datagrams.push(second);
    assert_eq!(name(&answer(&datagrams)), Some("patient.example"));
}

#[test]
fn a_hello_over_more_initials_than_are_tried_for_nothing_is_read() {
    let hello = client_hello("long.example", 12_000);
    let datagrams: Vec<Vec<u8>> = (0..hello.len())
        .step_by(1000)
        .enumerate()
        .map(|(number, at)| piece(ID, &hello, at..hello.len().min(at + 1000), number as u32))
        .collect();
    assert!(datagrams.len() > usize::from(INITIALS_TRIED_MAX));
    assert_eq!(name(&answer(&datagrams)), Some("long.example"));
}

#[test]
fn a_hello_longer_than_what_is_kept_is_given_up() {
    let hello = client_hello("far.example", 17_000);
    assert_eq!(
        answer([&piece(ID, &hello, 0..1000, 0)]),
        Progress::Reject(Some(Counter::QuicOverflow))
    );
    assert_eq!(
        answer([&piece(ID, &hello, 16_500..17_000, 0)]),
        Progress::Reject(Some(Counter::QuicOverflow))
    );
}

#[test]
fn later_initials_go_to_the_servers_id_with_the_first_ids_keys() {
    let hello = client_hello("cdn.example", 600);
    let first = piece(ID, &hello, 0..300, 0);
    for destination in [OTHER_ID, b"abcd", b"abc", b"a", b""] {
        let frames = crypto_frame(300, &hello[300..]);
        let second = Plain { destination, number: 1, ..Plain::new(ID, frames) }.seal(1200);
        assert_eq!(name(&answer([&first, &second])), Some("cdn.example"));
    }
}

#[test]
fn after_a_retry_keys_come_from_its_id_and_the_hello_begins_anew() {
    let hello = client_hello("retry.example", 600);
    for retry_id in [OTHER_ID, b"abcd", b"abc", b"a", b""] {
        let lost = piece(ID, &hello, 0..300, 0);
        let again = |range: Range<usize>, number| {
            let frames = crypto_frame(range.start, &hello[range]);
            Plain { token: b"token", number, ..Plain::new(retry_id, frames) }.seal(1200)
        };
        let datagrams = [lost, again(300..hello.len(), 1), again(0..300, 2)];
        assert_eq!(answer(&datagrams[..2]), Progress::Incomplete);
        assert_eq!(name(&answer(&datagrams)), Some("retry.example"));
    }
    for retry in [vectors::V1_RETRY, vectors::V2_RETRY] {
        assert!(!may_be_initial(&unhex(retry)));
        assert_eq!(answer([&unhex(retry)]), Progress::Reject(None));
    }
}

#[test]
fn two_hellos_are_never_mixed() {
    let (one, two) = (client_hello("one.example", 600), client_hello("two.example", 600));
    let half = one.len() / 2;
    let datagrams = [
        piece(ID, &one, 0..half, 0),
        piece(OTHER_ID, &two, half..two.len(), 0),
        piece(OTHER_ID, &two, 0..half, 1),
    ];
    assert_eq!(answer(&datagrams[..2]), Progress::Incomplete);
    assert_eq!(name(&answer(&datagrams)), Some("two.example"));
}

/// An Initial of the connection that a client knows by `source`, with one CRYPTO frame.
fn piece_from(source: &[u8], id: &[u8], hello: &[u8], range: Range<usize>) -> Vec<u8> {
    let frames = crypto_frame(range.start, &hello[range]);
    Plain { source, ..Plain::new(id, frames) }.seal(1200)
}

#[test]
fn hellos_of_connections_side_by_side_are_all_read() {
    let names = ["a.example", "b.example", "c.example", "d.example", "e.example"];
    let hellos = names.map(|name| client_hello(name, 600));
    let ids: Vec<[u8; 8]> = (0..5).map(|number| [number; 8]).collect();
    let half = |number: usize, range: Range<usize>| {
        piece_from(&[number as u8], &ids[number], &hellos[number], range)
    };
    for count in 1..=CONNECTIONS_MAX + 1 {
        // Of one too many the oldest is given up.
        let is_over = count > CONNECTIONS_MAX;
        let kept = usize::from(is_over)..count;
        let first = (0..count).map(|number| half(number, 0..300));
        let second = kept.clone().map(|number| half(number, 300..hellos[number].len()));
        let (mut initials, mut scratch) = (Initials::new(), Scratch::default());
        let mut told = Vec::new();
        for datagram in first.chain(second) {
            let progress = initials.datagram(&datagram, &mut scratch);
            told.extend(name(&progress).map(str::to_owned));
        }
        assert_eq!(told, names[kept]);
        assert_eq!(initials.take_given_up(), is_over);
        assert!(!initials.is_open());
    }
}

#[test]
fn connections_side_by_side_share_the_memory_of_one() {
    let (mut initials, mut scratch) = (Initials::new(), Scratch::default());
    let hello = client_hello("long.example", 15_000);
    for connection in 0..3 {
        for at in (0..hello.len() - 1000).step_by(1000) {
            let piece = piece_from(&[connection], &[connection; 8], &hello, at..at + 1000);
            assert_eq!(initials.datagram(&piece, &mut scratch), Progress::Incomplete);
            assert!(initials.stream_bytes() <= stream::MEMORY_BYTES_MAX);
        }
        assert_eq!(initials.take_given_up(), connection > 0);
        assert!(initials.is_open_from(&[connection]));
    }
}

#[test]
fn after_version_negotiation_the_other_version_is_read() {
    let hello = client_hello("negotiated.example", 600);
    let greased = Version { number: 0x0a0a_0a0a, inside: V1 };
    let first =
        Plain { version: greased, ..Plain::new(ID, crypto_frame(0, &hello[..300])) }.seal(1200);
    // RFC 9000, 6.2: a new connection, with a new id.
    let incompatible = Plain {
        version: Version::plain(DRAFT_29),
        ..Plain::new(OTHER_ID, crypto_frame(0, &hello))
    };
    assert_eq!(name(&answer([&first, &incompatible.seal(1200)])), Some("negotiated.example"));
    // RFC 9368, 2.3: the same connection goes on, in version 2 with the first id.
    let compatible = Plain {
        version: Version::plain(V2),
        destination: OTHER_ID,
        number: 1,
        ..Plain::new(ID, crypto_frame(300, &hello[300..]))
    };
    assert_eq!(name(&answer([&first, &compatible.seal(1200)])), Some("negotiated.example"));
}

#[test]
fn packets_that_share_a_datagram_are_all_read() {
    let hello = client_hello("coalesced.example", 300);
    let mut datagram = Vec::new();
    // 0-RTT: a long header of another type, with a length and no token.
    datagram.extend([0xd3, 0, 0, 0, 1, 8]);
    datagram.extend(ID);
    datagram.extend([0, 0x40, 50]);
    datagram.extend([0x5a; 50]);
    assert!(may_be_initial(&datagram));
    assert_eq!(answer([&datagram]), Progress::Incomplete);
    for (number, range) in [(0, 200..hello.len()), (1, 0..100), (2, 100..200)] {
        let frames = crypto_frame(range.start, &hello[range]);
        datagram.extend(Plain { number, ..Plain::new(ID, frames) }.seal(0));
    }
    assert_eq!(name(&answer([&datagram])), Some("coalesced.example"));
    datagram.extend([0; 300]);
    assert_eq!(name(&answer([&datagram])), Some("coalesced.example"));
}

#[test]
fn a_greased_fixed_bit_is_no_obstacle_where_the_version_is_known() {
    // RFC 9287: the bit is part of the authenticated header, so it is cleared before sealing.
    let hello = client_hello("grease.example", 0);
    let plain = Plain { fixed_bit: false, ..Plain::new(ID, crypto_frame(0, &hello)) };
    let packet = plain.seal(1200);
    assert_eq!(packet[0] & 0xf0, 0x80);
    assert!(may_be_initial(&packet));
    assert_eq!(name(&answer([&packet])), Some("grease.example"));
}

#[test]
fn the_first_copy_of_a_byte_wins() {
    let (one, two) = (client_hello("one.example", 0), client_hello("two.example", 0));
    let half = one.len() / 2;
    let frames = [crypto_frame(half, &one[half..]), crypto_frame(0, &two)].concat();
    let packet = Plain::new(ID, frames).seal(1200);
    assert_eq!(name(&answer([&packet])), Some("one.example"));
}

#[test]
fn a_lost_end_still_leaves_a_name_that_has_come_whole() {
    let mut hello = client_hello("prefix.example", 0);
    // An extension behind the name that never comes: 700 bytes more, in all lengths.
    let cut = hello.len();
    hello.extend([0xfa, 0xfa, 0x02, 0xb8]);
    hello.extend([0; 696]);
    let body = hello.len() - 4;
    hello[1..4].copy_from_slice(&(body as u32).to_be_bytes()[1..]);
    let extensions = hello.len() - 47;
    hello[45..47].copy_from_slice(&(extensions as u16).to_be_bytes());

    let (mut initials, mut scratch) = (Initials::new(), Scratch::default());
    let first = piece(ID, &hello, 0..cut + 100, 0);
    assert_eq!(initials.datagram(&first, &mut scratch), Progress::Incomplete);
    let hello = initials.best_effort().next().unwrap();
    assert_eq!(hello.server_name.as_deref(), Some("prefix.example"));
    assert_eq!(initials.fault(), None);
    assert!(initials.memory_bytes() < 4096);
}

#[test]
fn a_hello_in_hundreds_of_frames_out_of_order_is_put_together() {
    let hello = client_hello("tiny.example", 1300);
    // Five bytes a frame, every third first.
    let starts: Vec<usize> = (0..hello.len()).step_by(5).collect();
    let order = (0..3).flat_map(|first| starts.iter().skip(first).step_by(3));
    let frames: Vec<Vec<u8>> =
        order.map(|&at| crypto_frame(at, &hello[at..hello.len().min(at + 5)])).collect();
    assert!(frames.len() > 256);
    let datagrams: Vec<Vec<u8>> = frames
        .chunks(100)
        .zip(0..)
        .map(|(frames, number)| Plain { number, ..Plain::new(ID, frames.concat()) }.seal(1200))
        .collect();
    assert_eq!(name(&answer(&datagrams)), Some("tiny.example"));
}

#[test]
fn frames_that_do_not_belong_are_told_but_cost_nothing() {
    let hello = client_hello("odd.example", 300);
    let mut frames = crypto_frame(0, &hello[..200]);
    frames.push(0x0d);
    let first = Plain::new(ID, frames).seal(1200);
    let (mut initials, mut scratch) = (Initials::new(), Scratch::default());
    assert_eq!(initials.datagram(&first, &mut scratch), Progress::Incomplete);
    assert_eq!(initials.fault(), Some(Counter::QuicMalformed));
    let second = piece(ID, &hello, 200..hello.len(), 1);
    assert_eq!(name(&initials.datagram(&second, &mut scratch)), Some("odd.example"));
}

#[test]
fn another_message_than_a_hello_is_refused() {
    let mut message = client_hello("a.example", 0);
    message[0] = 2;
    let packet = Plain::new(ID, crypto_frame(0, &message)).seal(1200);
    assert_eq!(answer([&packet]), Progress::Reject(Some(Counter::QuicMalformed)));
}

#[test]
fn google_quic_tells_its_name_in_the_clear() {
    let message = google_hello("www.google.example");
    let (id, number, hash) = ([7; 8], [1], [0x3b; 12]);
    let stream = [&[0xa0, 1][..], &(message.len() as u16).to_le_bytes()].concat();
    for version in [b"Q024", b"Q033", b"Q043"] {
        // Public flags, id, version, number, hash, (private flags,) stream frame.
        let private: &[u8] = if version == b"Q043" { &[] } else { &[1] };
        let datagram =
            [&[0x0d], &id[..], version, &number, &hash, private, &stream, &message].concat();
        assert!(may_be_initial(&datagram));
        assert_eq!(name(&answer([&datagram])), Some("www.google.example"));
        let cut = datagram[..datagram.len() - 10].to_vec();
        assert_eq!(answer([&cut]), Progress::Incomplete);
    }
    let datagram =
        [&[0xc3][..], b"Q046", &[0x50], &id, &[0, 0, 0, 1], &hash, &stream, &message].concat();
    assert!(may_be_initial(&datagram));
    assert_eq!(name(&answer([&datagram])), Some("www.google.example"));
}

#[test]
fn google_quic_50_is_opened_for_its_own_hello() {
    let mut frame = crypto_frame(0, &google_hello("sealed.google.example"));
    frame[0] = 0x08;
    let plain = Plain { version: Version::plain(GOOGLE_Q050), ..Plain::new(ID, frame) };
    assert_eq!(name(&answer([&plain.seal(1200)])), Some("sealed.google.example"));
}

#[test]
fn what_is_not_quic_is_told_apart_by_its_first_bytes() {
    let rtp = [&[0x80, 0x60][..], &[0x11; 200]].concat();
    let dns = [&[0xab, 0xcd, 1, 0, 0, 1][..], &[0; 30]].concat();
    let dtls = [&[0x16, 0xfe, 0xff][..], &[0; 60]].concat();
    let stun = [&[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42][..], &[0; 20]].concat();
    let negotiation = [&[0xc0, 0, 0, 0, 0, 8][..], ID, &[0, 0, 0, 0, 1]].concat();
    for payload in [&rtp, &dns, &dtls, &stun, &negotiation, &Vec::new(), &vec![0xc0; 5]] {
        assert!(!may_be_initial(payload));
        assert_eq!(answer([payload]), Progress::Reject(None));
    }
}

/// All that is asked of a datagram before it is opened.
fn look_at_header(datagram: &[u8]) {
    let is_long = may_be_any_long(datagram);
    if let Some(ids) = connection_ids(datagram) {
        assert!(is_long);
        assert!(ids.destination.len() + ids.source.len() + 7 <= datagram.len());
    }
    assert!(may_be_initial(datagram) || !may_be_known_initial(datagram));
}

#[test]
fn a_long_header_tells_the_ids_of_its_connection() {
    for (packet, is_retry) in [
        (vectors::V1_CLIENT_INITIAL, false),
        (vectors::V1_SERVER_INITIAL, false),
        (vectors::V1_RETRY, true),
        (vectors::V2_RETRY, true),
    ] {
        let packet = unhex(packet);
        let ids = connection_ids(&packet).unwrap();
        let is_clients = packet[5] == 8;
        assert_eq!(ids.destination, if is_clients { ID } else { &[] });
        let server: &[u8] = &[0xf0, 0x67, 0xa5, 0x50, 0x2a, 0x42, 0x62, 0xb5];
        assert_eq!(ids.source, if is_clients { &[] } else { server });
        assert_eq!(ids.is_retry, is_retry);
    }
    let negotiation = [&[0xc0, 0, 0, 0, 0, 8][..], ID, &[0, 0, 0, 0, 1]].concat();
    assert!(connection_ids(&negotiation).is_none());
    let greased = [&[0xc5, 0x1a, 0x2a, 0x3a, 0x4a, 8][..], &[0x33; 1400]].concat();
    assert!(may_be_known_initial(&greased));
    let unknown = [&[0xc5, 0x1a, 0x2a, 0x3a, 0x4b, 8][..], &[0x33; 1400]].concat();
    assert!(may_be_initial(&unknown) && !may_be_known_initial(&unknown));
}

#[test]
fn every_prefix_and_every_flipped_byte_is_harmless() {
    let hello = client_hello("flip.example", 100);
    let frames = [crypto_frame(60, &hello[60..]), crypto_frame(0, &hello[..60])].concat();
    let packet = Plain::new(ID, frames).seal(300);
    let google = [&[0x0d, 1, 2, 3, 4, 5, 6, 7, 8][..], b"Q043\x01", &[9; 12], &[0xa0, 1, 0, 1]]
        .concat()
        .into_iter()
        .chain(google_hello("flip.example"))
        .collect::<Vec<u8>>();
    // Google's message ends with four bytes behind the name.
    for (datagram, behind) in [(packet, 0), (google, 4)] {
        assert_eq!(name(&answer([&datagram])), Some("flip.example"));
        for length in 0..datagram.len() {
            let cut = datagram[..length].to_vec();
            look_at_header(&cut);
            let whole = length + behind >= datagram.len();
            assert_eq!(name(&answer([&cut])).is_some(), whole, "prefix of {length} bytes");
        }
        for index in 0..datagram.len() {
            for bit in [0x01, 0x10, 0x80] {
                let mut flipped = datagram.clone();
                flipped[index] ^= bit;
                look_at_header(&flipped);
                let answer = answer([&flipped]);
                // Protected bytes prove themselves; Google's clear text does not.
                assert!(datagram[0] == 0x0d || name(&answer).is_none(), "byte {index}");
            }
        }
    }
}

/// How a hello is cut: where, into which packets and datagrams, and in which order.
#[derive(Clone, Debug)]
struct Cut {
    hello: Vec<u8>,
    /// CRYPTO frames in the order of sending: where each begins and ends, and the packet it is in.
    frames: Vec<(Range<usize>, usize)>,
    /// For each packet the datagram it is in.
    packets: Vec<usize>,
    number_length: usize,
    version: u32,
}

fn cuts() -> impl Strategy<Value = Cut> {
    let sizes =
        (0_usize..1500, 1_usize..6, 1_usize..=4, prop::sample::select(vec![V1, V2, DRAFT_29]));
    sizes.prop_flat_map(|(filling, packets, number_length, version)| {
        let hello = client_hello("any.cut.example", filling);
        let length = hello.len();
        let cuts = prop::collection::btree_set(1..length, 0..40);
        let overlaps = prop::collection::vec((0..length, 0_usize..200), 0..5);
        (
            cuts,
            overlaps,
            prop::collection::vec(0..packets, 60),
            prop::collection::vec(0_usize..4, packets),
        )
            .prop_flat_map(move |(cuts, overlaps, packet_of, datagram_of)| {
                let mut ends: Vec<usize> = cuts.into_iter().collect();
                ends.push(length);
                let mut ranges: Vec<Range<usize>> = Vec::new();
                let mut begin = 0;
                for end in ends {
                    ranges.push(begin..end);
                    begin = end;
                }
                ranges.extend(overlaps.iter().map(|&(at, more)| at..length.min(at + more)));
                let frames: Vec<_> = ranges.into_iter().zip(packet_of).collect();
                let hello = hello.clone();
                Just(frames).prop_shuffle().prop_map(move |frames| Cut {
                    hello: hello.clone(),
                    frames,
                    packets: datagram_of.clone(),
                    number_length,
                    version,
                })
            })
    })
}

/// Mostly the bytes that lead deeper: CRYPTO and PADDING.
fn frame_byte() -> impl Strategy<Value = u8> {
    prop_oneof![Just(6_u8), Just(0), any::<u8>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_cut_in_any_order_gives_the_same_answer(cut in cuts()) {
        let mut payloads = vec![Vec::new(); cut.packets.len()];
        for (range, packet) in &cut.frames {
            payloads[*packet].extend(crypto_frame(range.start, &cut.hello[range.clone()]));
            payloads[*packet].extend([0, 1, 0]); // PADDING and PING between them
        }
        let mut datagrams = vec![Vec::new(); 4];
        for (number, (frames, datagram)) in payloads.into_iter().zip(&cut.packets).enumerate() {
            let plain = Plain {
                version: Version::plain(cut.version),
                number: number as u32,
                number_length: cut.number_length,
                ..Plain::new(ID, frames)
            };
            datagrams[*datagram].extend(plain.seal(0));
        }
        datagrams.retain(|datagram| !datagram.is_empty());
        let answer = answer(&datagrams);
        prop_assert_eq!(name(&answer), Some("any.cut.example"));
    }

    #[test]
    fn any_bytes_are_harmless(
        datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6)
    ) {
        datagrams.iter().for_each(|datagram| look_at_header(datagram));
        answer(&datagrams);
    }

    /// Behind the tag: whatever frames an authentic client sends.
    #[test]
    fn any_frames_are_harmless(
        payloads in prop::collection::vec(prop::collection::vec(frame_byte(), 0..120), 0..12)
    ) {
        let datagrams: Vec<Vec<u8>> = payloads
            .into_iter()
            .zip(0..)
            .map(|(frames, number)| Plain { number, ..Plain::new(ID, frames) }.seal(0))
            .collect();
        let (mut initials, mut scratch) = (Initials::new(), Scratch::default());
        for datagram in &datagrams {
            initials.datagram(datagram, &mut scratch);
            prop_assert!(initials.stream_bytes() <= stream::MEMORY_BYTES_MAX);
        }
        initials.best_effort().for_each(drop);
    }
}
