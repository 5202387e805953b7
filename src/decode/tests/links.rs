//! Link headers and what they say instead of IP.

use super::super::{is_supported, link_name};
use super::*;

#[test]
fn loopback_is_read_in_both_byte_orders() {
    for family in [[2, 0, 0, 0], [0, 0, 0, 2]] {
        assert_inner(LinkType::NULL, &concat(&[&family, &inner()]));
    }
    for family in [[24, 0, 0, 0], [28, 0, 0, 0], [30, 0, 0, 0], [0, 0, 0, 10]] {
        assert_inner(LinkType::LOOP, &concat(&[&family, &inner_6()]));
    }
    assert_non_ip(LinkType::NULL, &concat(&[&[7, 0, 0, 0], &inner()]), inner().len());
}

#[test]
fn raw_ip_is_told_by_its_version() {
    for link in [LinkType::RAW, LinkType::RAW_DLT, LinkType::RAW_OPENBSD] {
        assert_inner(link, &inner());
        assert_inner(link, &inner_6());
        assert_undecodable(link, &[0x50; 40], Undecodable::Malformed, 40);
    }
    assert_inner(LinkType::IPV4, &inner());
    assert_inner(LinkType::IPV6, &inner_6());
    assert_undecodable(LinkType::IPV4, &inner_6(), Undecodable::Malformed, inner_6().len());
}

#[test]
fn ppp_comes_in_several_framings() {
    let inner = inner();
    assert_inner(LinkType::PPP, &concat(&[&[0x00, 0x21], &inner]));
    assert_inner(LinkType::PPP, &concat(&[&[0x21], &inner]));
    assert_inner(LinkType::PPP, &concat(&[&[0xff, 0x03, 0x00, 0x57], &inner_6()]));
    assert_inner(LinkType::PPP_HDLC, &concat(&[&[0xff, 0x03, 0x00, 0x21], &inner]));
    assert_inner(LinkType::PPP_HDLC, &concat(&[&[0x0f, 0x00, 0x08, 0x00], &inner]));
    for link in [LinkType::PPP_WITH_DIR, LinkType::PPP_PPPD] {
        assert_inner(link, &concat(&[&[1, 0xff, 0x03, 0x00, 0x21], &inner]));
        assert_inner(link, &concat(&[&[0, 0x00, 0x21], &inner]));
        assert_inner(link, &concat(&[&[0, 0x03, 0x00, 0x57], &inner_6()]));
    }
    assert_inner(LinkType::C_HDLC, &concat(&[&[0x0f, 0x00, 0x08, 0x00], &inner]));
    let length = be(inner.len() + 2);
    assert_inner(LinkType::PPP_ETHER, &concat(&[&[0x11, 0, 0, 1], &length, &[0, 0x21], &inner]));
    assert_non_ip(LinkType::PPP, &[0xff, 0x03, 0xc0, 0x21, 1, 2, 3], 3);
    assert_non_ip(LinkType::C_HDLC, &[0x8f, 0x00, 0x80, 0x35, 1, 2, 3], 3);
}

#[test]
fn arcnet_has_three_headers() {
    let inner = inner();
    assert_inner(LinkType::ARCNET_BSD, &concat(&[&[1, 2, 212, 0, 0, 1], &inner]));
    assert_inner(LinkType::ARCNET_BSD, &concat(&[&[1, 2, 240], &inner]));
    let exception = [1, 2, 212, 0xff, 0xff, 0xff, 212, 0, 0, 1];
    assert_inner(LinkType::ARCNET_BSD, &concat(&[&exception, &inner]));
    assert_inner(LinkType::ARCNET_LINUX, &concat(&[&[1, 2, 9, 9, 212, 0, 0, 1], &inner]));
    assert_inner(LinkType::ARCNET_LINUX, &concat(&[&[1, 2, 9, 9, 196, 0, 0, 1], &inner_6()]));
    assert_non_ip(LinkType::ARCNET_BSD, &[1, 2, 213, 0, 0, 1, 9, 9], 2);
    // The second piece of a split packet has no IP header, even if it looks like one.
    let later = concat(&[&[1, 2, 212, 2, 0, 1], &inner]);
    assert_undecodable(LinkType::ARCNET_BSD, &later, Undecodable::Malformed, later.len());
}

#[test]
fn cooked_captures_carry_more_than_ethernet_types() {
    let cooked = |device: [u8; 2], protocol: [u8; 2], payload: &[u8]| {
        concat(&[&[0, 0], &device, &[0; 10], &protocol, payload])
    };
    let llc = concat(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner()]);
    assert_inner(LinkType::LINUX_SLL, &cooked([0, 1], [0, 4], &llc));
    assert_inner(LinkType::LINUX_SLL, &cooked([0, 1], [0x86, 0xdd], &inner_6()));
    assert_non_ip(LinkType::LINUX_SLL, &cooked([3, 56], [8, 0], &inner()), inner().len());
    assert_non_ip(LinkType::LINUX_SLL, &cooked([0, 1], [8, 6], &[0; 28]), 28);
    let tagged = concat(&[&[0, 5, 8, 0], &inner()]);
    assert_inner(LinkType::LINUX_SLL, &cooked([0, 1], [0x81, 0], &tagged));
}

#[test]
fn wifi_frames_without_data_are_not_ip() {
    for control in [[0x80, 0], [0xb4, 0], [0x48, 0x01], [0xc8, 0x41]] {
        let frame = concat(&[&control, &[0; 40]]);
        assert_non_ip(LinkType::IEEE802_11, &frame, frame.len());
    }
    let encrypted = concat(&[&[0x88, 0x41], &[0; 60]]);
    assert_undecodable(LinkType::IEEE802_11, &encrypted, Undecodable::Encrypted, encrypted.len());
}

#[test]
fn prism_avs_and_ppi_stand_before_802_11() {
    let frame = [&[0x08, 0x01, 0, 0][..], &[2; 18], &[0x10, 0], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]];
    let frame = concat(&[&frame.concat(), &inner()]);
    for length in [[144, 0, 0, 0], [0, 0, 0, 144]] {
        let prism = concat(&[&[0x44, 0, 0, 0], &length, &[0; 136], &frame]);
        assert_inner(LinkType::PRISM, &prism);
    }
    let avs = concat(&[&[0x80, 0x21, 0x10, 0x01, 0, 0, 0, 64], &[0; 56], &frame]);
    assert_inner(LinkType::AVS, &avs);
    assert_inner(LinkType::PRISM, &avs);
    let ppi = |link: u8| concat(&[&[0, 0, 12, 0, link, 0, 0, 0], &[7; 4]]);
    assert_inner(LinkType::PPI, &concat(&[&ppi(105), &frame]));
    assert_inner(LinkType::PPI, &concat(&[&ppi(1), &ethernet(0x0800, &inner())]));
    let nested = concat(&[&ppi(192), &ppi(1), &ethernet(0x0800, &inner())]);
    assert_eq!(
        decoded(LinkType::PPI, &nested).0,
        Outcome::Undecodable { reason: Undecodable::Malformed, bytes: nested.len() as u32 - 12 }
    );
    for link in [LinkType::PRISM, LinkType::AVS, LinkType::PPI] {
        assert!(is_supported(link));
        assert!(matches!(decoded(link, &[0; 40]).0, Outcome::Undecodable { .. }));
    }
}

#[test]
fn radiotap_tells_of_padding_and_check_sequence() {
    let snap = concat(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner()]);
    // QoS: a header of 26 bytes, and two of padding.
    let padded = concat(&[&[0x88, 0x01], &[0; 24], &[0, 0], &snap]);
    let with_time_and_flags =
        concat(&[&[0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0], &[0; 4], &[0; 8], &[0x30]]);
    let frame = concat(&[&with_time_and_flags, &padded, &[1, 2, 3, 4]]);
    assert_inner(LinkType::IEEE802_11_RADIOTAP, &frame);
    // An empty IP length takes the wire's, without the check sequence.
    let mut unset = frame.clone();
    let ip = frame.len() - 4 - inner().len();
    unset[ip + 2..ip + 4].fill(0);
    assert_inner(LinkType::IEEE802_11_RADIOTAP, &unset);
    let plain = concat(&[&[0, 0, 8, 0, 0, 0, 0, 0, 0x08, 0x01], &[0; 22], &snap]);
    assert_inner(LinkType::IEEE802_11_RADIOTAP, &plain);
}

#[test]
fn the_first_frame_of_an_aggregate_is_read() {
    let snap = concat(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner()]);
    let subframe = concat(&[&[1; 12], &be(snap.len()), &snap]);
    let header = concat(&[&[0x88, 0x01], &[0; 22], &[0x80, 0]]);
    assert_inner(LinkType::IEEE802_11, &concat(&[&header, &subframe, &[0, 0], &subframe]));
}

#[test]
fn a_packet_tap_names_the_link_type_inside() {
    let header = |link: u32, record: u32| {
        let numbers = [108, record, link];
        let mut header: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        header.resize(108, 0);
        header
    };
    let frame = concat(&[&header(1, 1), &ethernet(0x0800, &inner())]);
    assert!(!assert_inner(LinkType::PKTAP, &frame).ethernet);
    assert_inner(LinkType::PKTAP, &concat(&[&header(12, 1), &inner()]));
    assert_non_ip(LinkType::PKTAP, &concat(&[&header(1, 0), &inner()]), inner().len());
    let nested = concat(&[&header(258, 1), &header(258, 1), &inner()]);
    let rest = 108 + inner().len();
    assert_undecodable(LinkType::PKTAP, &nested, Undecodable::Malformed, rest);
}

#[test]
fn nflog_attributes_are_read_in_both_byte_orders() {
    let length = (inner().len() + 4) as u16;
    let big = concat(&[&[2, 0, 0, 0, 0, 8, 0, 1, 1, 2, 3, 4], &length.to_be_bytes(), &[0, 9]]);
    assert_inner(LinkType::NFLOG, &concat(&[&big, &inner()]));
    assert_non_ip(LinkType::NFLOG, &[2, 0, 0, 0, 8, 0, 1, 0, 1, 2, 3, 4], 12);
    let short = [2, 0, 0, 0, 3, 0, 1, 0, 1, 2, 3, 4];
    assert_undecodable(LinkType::NFLOG, &short, Undecodable::Malformed, 12);
}

#[test]
fn other_link_types_are_refused_by_name() {
    let frame = inner();
    let other = LinkType(99);
    assert_undecodable(other, &frame, Undecodable::LinkType, frame.len());
    assert!(!is_supported(other));
    assert_eq!(link_name(other), "Symantec firewall");
    assert_eq!(link_name(LinkType(60000)), "unknown");
}

#[test]
fn a_supported_link_type_is_never_refused_and_has_a_name() {
    for number in 0..300 {
        let link = LinkType(number);
        let (outcome, _) = decoded(link, &[0; 64]);
        let is_refused =
            matches!(outcome, Outcome::Undecodable { reason: Undecodable::LinkType, .. });
        assert_eq!(is_supported(link), !is_refused, "{number}");
        assert!(!is_supported(link) || link_name(link) != "unknown", "{number}");
    }
}
