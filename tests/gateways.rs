//! Addresses that pass on what others send, those that do not, and peers: what the link, times to
//! live and source ports tell. Packets are made, with the signs that real systems put on the wire.

use crate::generator::talk::{Side, Talk};
use crate::generator::{Record, SECOND};
use crate::shared_sources::{HERE, MINUTE, NINE, Scene, System, machine};

/// The link address that the generator gives [`HERE`].
const HERE_LINK: [u8; 6] = [2, 0, 1, 6, 0, 1];
const ROUTER_LINK: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// An address asks by ARP (RFC 826) who has another.
fn arp(scene: &mut Scene, address: [u8; 4], link: [u8; 6]) {
    let mut frame = [&[0xff; 6][..], &link, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]].concat();
    frame.extend([&link[..], &address, &[0; 6], &[10, 6, 0, 254]].concat());
    scene.traffic.records.push(Record { time_nanos: NINE + MINUTE, frame });
}

/// Machines of one kind and with the same program each ask one server, one after the other, and
/// another one.
fn crowd(scene: &mut Scene, system: System, machines: u32) {
    for number in 0..machines {
        let one = machine(system, number, 1);
        scene.visit(one, 5 * MINUTE + i64::from(number) * SECOND / 5, "a.slack.com", 1, 0);
        let other = format!("host-{}.example", number % 7);
        scene.visit(one, 6 * MINUTE + i64::from(number) * SECOND, &other, 1, 0);
    }
}

/// Others of the network work at their own machines.
fn neighbours(scene: &mut Scene) {
    for number in 2..6 {
        scene.here = format!("10.6.0.{number}");
        scene.work(machine(System::NewLinux, 100 + number, 0), 0..6);
    }
    scene.here = HERE.into();
}

#[test]
fn thirty_machines_that_have_nothing_of_their_own_but_ports() {
    let mut scene = Scene::new();
    crowd(&mut scene, System::NewLinux, 30);
    arp(&mut scene, [10, 6, 0, 1], HERE_LINK);
    let (reason, facts) = scene.shared().remove(HERE).unwrap();
    assert_eq!(reason, "nat_gateway");
    assert!(facts.contains("32 or more connections within an hour that it passed on"), "{facts}");
    assert!(!facts.contains("of its own beside them") && !facts.contains("clocks"), "{facts}");
    assert!(facts.contains("1 initial times to live") && facts.contains("1 shapes"), "{facts}");
    // Without ARP, on a network of which something else is known.
    let mut scene = Scene::new();
    crowd(&mut scene, System::NewLinux, 30);
    neighbours(&mut scene);
    let shared = scene.shared();
    let (reason, facts) = &shared[HERE];
    assert_eq!((&**reason, shared.len()), ("nat_gateway", 1), "{shared:?}");
    assert!(facts.contains("that it passed on"), "{facts}");
    // Where nothing else of the network is captured.
    let mut scene = Scene::new();
    crowd(&mut scene, System::NewLinux, 30);
    assert_eq!(scene.reason().as_deref(), Some("nat_gateway"));
}

#[test]
fn less_is_enough_of_who_passes_on() {
    // Five machines of one kind; a desktop and a phone; fifteen shapes.
    let five = |scene: &mut Scene| {
        (0..5).for_each(|number| scene.work(machine(System::Linux, number, 1), 0..4));
    };
    let two = |scene: &mut Scene| {
        scene.work(machine(System::Windows, 1, 1), 0..6);
        scene.work(machine(System::Apple, 2, 1), 0..6);
    };
    let shapes = |scene: &mut Scene| scene.work(machine(System::Windows, 1, 1), 0..15);
    for (name, work) in [("five", &five as &dyn Fn(&mut Scene)), ("two", &two), ("shapes", &shapes)]
    {
        let mut scene = Scene::new();
        work(&mut scene);
        arp(&mut scene, [10, 6, 0, 1], HERE_LINK);
        assert_eq!(scene.reason().as_deref(), Some("nat_gateway"), "{name}");
        // Not of an address that is somewhere behind a router.
        let mut scene = Scene::new();
        scene.link = Some(ROUTER_LINK);
        work(&mut scene);
        arp(&mut scene, [10, 6, 0, 254], ROUTER_LINK);
        assert_eq!(scene.reason(), None, "{name}");
    }
}

#[test]
fn who_passes_on_all_that_it_sends_is_a_gateway_whatever_is_behind_it() {
    for system in [System::NewLinux, System::Linux, System::Windows, System::Apple] {
        let mut scene = Scene::new();
        scene.work(machine(system, 1, 1), 0..12);
        arp(&mut scene, [10, 6, 0, 1], HERE_LINK);
        assert_eq!(scene.reason().as_deref(), Some("nat_gateway"));
        // The same without a router between.
        let mut scene = Scene::new();
        scene.work(machine(system, 1, 0), 0..12);
        arp(&mut scene, [10, 6, 0, 1], HERE_LINK);
        assert_eq!(scene.reason(), None);
    }
}

#[test]
fn machines_of_one_kind_need_not_connect_at_the_same_time() {
    let mut scene = Scene::new();
    for number in 0..30 {
        let after = i64::from(number) * 90 * SECOND;
        scene.visit(machine(System::NewLinux, number, 1), after, "a.slack.com", 1, 0);
    }
    arp(&mut scene, [10, 6, 0, 1], HERE_LINK);
    let (reason, facts) = scene.shared().remove(HERE).unwrap();
    assert_eq!(reason, "nat_gateway");
    assert!(facts.contains("16 or more connections within an hour that it passed on"), "{facts}");
}

#[test]
fn a_machine_with_machines_in_it_or_a_phone_that_shares_its_line_is_a_person() {
    // Most connections are the containers', which ask the same servers at the same time.
    let mut scene = Scene::new();
    scene.work(machine(System::NewLinux, 0, 0), 0..8);
    for number in 1..5 {
        scene.work(machine(System::NewLinux, number, 1), 8..12);
    }
    arp(&mut scene, [10, 6, 0, 1], HERE_LINK);
    assert_eq!(scene.reason(), None);
    // A phone, and a computer that goes to the network through it.
    let mut scene = Scene::new();
    scene.work(machine(System::Apple, 0, 0), 0..3);
    scene.work(machine(System::Windows, 1, 1), 3..15);
    arp(&mut scene, [10, 6, 0, 1], HERE_LINK);
    assert_eq!(scene.reason(), None);
}

#[test]
fn behind_a_router_nobody_passes_on() {
    // All of them, each with a machine of another kind in it.
    let mut scene = Scene::new();
    for number in 1..9 {
        scene.here = format!("10.6.0.{number}");
        scene.link = Some(ROUTER_LINK);
        scene.work(machine(System::Windows, number, 1), 0..8);
        scene.work(machine(System::Linux, number, 1), 8..12);
    }
    arp(&mut scene, [10, 6, 0, 254], ROUTER_LINK);
    let shared = scene.shared();
    assert!(shared.is_empty(), "{shared:?}");
    // One alone, beside a network that is there; ARP is not captured.
    let mut scene = Scene::new();
    neighbours(&mut scene);
    scene.here = "10.6.7.1".into();
    scene.link = Some(ROUTER_LINK);
    scene.work(machine(System::Windows, 1, 1), 0..12);
    scene.work(machine(System::Linux, 2, 1), 12..15);
    let shared = scene.shared();
    assert!(shared.is_empty(), "{shared:?}");
    // Whatever takes away from all that come from their own link addresses is the way.
    let mut scene = Scene::new();
    for number in 1..9 {
        scene.here = format!("10.6.0.{number}");
        scene.work(machine(System::Windows, number, 1), 0..8);
        scene.work(machine(System::Linux, number, 1), 8..12);
        arp(&mut scene, [10, 6, 0, number as u8], [2, 0, 1, 6, 0, number as u8]);
    }
    let shared = scene.shared();
    assert!(shared.is_empty(), "{shared:?}");
}

#[test]
fn a_repeater_that_answers_for_its_clients_writes_no_address_on_anything() {
    const REPEATER: [u8; 6] = [2, 9, 9, 9, 9, 9];
    let mut scene = Scene::new();
    for number in 1..3 {
        scene.here = format!("10.6.0.{number}");
        scene.link = Some(REPEATER);
        scene.work(machine(System::Windows, number, 1), 0..8);
        scene.work(machine(System::Linux, number, 1), 8..12);
        arp(&mut scene, [10, 6, 0, number as u8], REPEATER);
    }
    let shared = scene.shared();
    assert!(shared.is_empty(), "{shared:?}");
    // An address that moves to another link address, as where one of two routers takes over.
    let mut scene = Scene::new();
    for (number, link) in [(1, [2, 9, 9, 9, 9, 1]), (2, [2, 9, 9, 9, 9, 2])] {
        scene.link = Some(link);
        scene.work(machine(System::Windows, number, 1), 0..8);
        scene.work(machine(System::Linux, number, 1), 8..12);
        arp(&mut scene, [10, 6, 0, 1], [0, 0, 0x5e, 0, 1, 7]);
    }
    assert_eq!(scene.reason(), None);
}

/// Machines with one program each that connect to each other at a port, every minute anew.
fn peers(scene: &mut Scene, port: u16, asks: impl Fn(u8, u8) -> bool) {
    let all = || 1..10_u8;
    for (one, other) in all().flat_map(|one| all().map(move |other| (one, other))) {
        if one == other || !asks(one, other) {
            continue;
        }
        for round in 0..3 {
            let local = 30_000 + 200 * round + 10 * u16::from(one) + u16::from(other);
            let client = format!("10.6.0.{one}:{local}").parse().unwrap();
            let server = format!("10.6.0.{other}:{port}").parse().unwrap();
            let at = NINE + i64::from(round) * MINUTE + i64::from(one) * SECOND;
            let mut talk = Talk::tcp(&mut scene.traffic, client, server, at);
            talk.open();
            talk.send(Side::Up, &[3; 200]);
            talk.send(Side::Down, &[3; 900]);
            talk.close();
        }
    }
}

#[test]
fn peers_are_no_servers() {
    // A program that is known, where the others only ask; and one that is not, both ways.
    for port in [7680, 17_500, 22_000, 27_036] {
        let mut scene = Scene::new();
        scene.work(machine(System::Windows, 1, 0), 0..1);
        peers(&mut scene, port, |_, other| other == 1);
        let shared = scene.shared();
        assert!(shared.is_empty(), "{port}: {shared:?}");
    }
    let mut scene = Scene::new();
    scene.work(machine(System::Windows, 1, 0), 0..1);
    peers(&mut scene, 4242, |_, _| true);
    let shared = scene.shared();
    assert!(shared.is_empty(), "{shared:?}");
}

#[test]
fn whoever_only_answers_is_a_server() {
    // A printer, a screen that others send to, and a share.
    for port in [9100, 7000, 8009, 445] {
        let mut scene = Scene::new();
        peers(&mut scene, port, |_, other| other == 1);
        assert_eq!(scene.reason().as_deref(), Some("server"), "{port}");
    }
    // Two that are each other's clients, as those of a domain.
    let mut scene = Scene::new();
    peers(&mut scene, 389, |_, other| other < 3);
    let shared = scene.shared();
    let is_server = |device| shared.get(device).is_some_and(|(reason, _)| reason == "server");
    assert!(is_server(HERE) && is_server("10.6.0.2") && shared.len() == 2, "{shared:?}");
    // A server under test for three colleagues.
    let mut scene = Scene::new();
    peers(&mut scene, 8000, |one, other| other == 1 && one < 5);
    assert_eq!(scene.reason(), None);
}
