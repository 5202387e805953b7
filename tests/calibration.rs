//! Calibration: what apps truly had lies within what is certain and what is possible, on days on which
//! they share addresses, hide behind one outer name, or say nothing at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use crate::generator::talk::{Side, Talk};
use crate::generator::tls::{self, Hello};
use crate::generator::{Random, SECOND, START_SECONDS, Traffic, dns};
use crate::support::{self, Made};

/// Apps of the catalogue of the fixtures, each with a name of its use.
const APPS: [(&str, &str); 6] = [
    ("slack", "files.slack.com"),
    ("dropbox", "dl.dropboxusercontent.com"),
    ("chatgpt", "chatgpt.com"),
    ("openai-api", "api.openai.com"),
    ("hipchat", "www.hipchat.com"),
    ("exchange-online", "outlook.office.com"),
];
/// An outer name that the catalogue of the fixtures lists as a front for others.
const FRONT: &str = "cloudflare-ech.com";
/// Addresses that apps share: each app is at two of them, each of them has three apps.
const ADDRESSES: usize = 4;
const DAYS: i64 = 8;
const CLIENTS: i64 = 10;
/// Connections of a client on a day.
const CONNECTIONS: i64 = 8;
const SECONDS_A_DAY: i64 = 86_400;
const START: i64 = START_SECONDS - START_SECONDS % SECONDS_A_DAY;

/// What an app had on a day.
type Truth = BTreeMap<(i64, &'static str), u64>;

fn end(text: String) -> SocketAddr {
    text.parse().expect("an address and a port")
}

/// Clients that use apps, of whose questions so many in a hundred are not seen (asked over HTTPS,
/// before the capture began, or somewhere else). Of their connections every fourth says nothing that
/// can be read, and so many in a hundred of the others hide their name.
fn corpus(missing: u64, hidden: u64, random: &mut Random) -> (Traffic, Truth) {
    let (mut traffic, mut truth) = (Traffic::default(), Truth::new());
    for number in 0..DAYS * CLIENTS * CONNECTIONS {
        let (day, client) = (number / (CLIENTS * CONNECTIONS), number / CONNECTIONS % CLIENTS);
        let begins = 8 * 3600 + number % CONNECTIONS * 1800 + random.below(1500) as i64;
        let start = (START + day * SECONDS_A_DAY + begins) * SECOND;
        let at = random.below(APPS.len() as u64) as usize;
        let (app, name) = APPS[at];
        let address = (at + random.below(2) as usize) % ADDRESSES;
        let server = end(format!("198.18.7.{}:443", 1 + address));
        let from = |port: i64| end(format!("10.7.0.{}:{port}", 1 + client));
        if random.below(100) >= missing {
            let resolver = end("10.0.0.53:53".to_owned());
            let mut talk = Talk::udp(&mut traffic, from(2_000 + number), resolver, start);
            talk.send(Side::Up, &dns::query(7, name, dns::A));
            talk.send(Side::Down, &dns::response(7, name, &[server.ip()], 300));
        }
        let mut talk = Talk::tcp(&mut traffic, from(20_000 + number), server, start + SECOND);
        talk.open();
        if random.below(4) == 0 {
            let mut said = random.bytes(400);
            said[0] = 0xfe; // Of no protocol that is known.
            talk.send(Side::Up, &said);
        } else {
            let is_hidden = random.below(100) < hidden;
            let hello = Hello {
                server_name: Some(if is_hidden { FRONT } else { name }),
                ech_config_id: is_hidden.then_some(7),
                ..Hello::default()
            };
            talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, random), 16_384));
            talk.send(Side::Down, &tls::server_hello(random));
        }
        let length = 1_000 + random.below(40_000) as usize;
        talk.send(Side::Down, &tls::application_data(length, random));
        talk.close();
        let flow = traffic.flows.last().expect("it was made");
        *truth.entry((day, app)).or_default() += flow.bytes_up + flow.bytes_down;
    }
    traffic.sort();
    (traffic, truth)
}

/// How apps' bounds fit what they truly had.
#[derive(Debug)]
struct Fit {
    /// App-days with bounds that have the truth between them, and all.
    within: (usize, usize),
    /// Of the bytes of apps, the share that is certain.
    certain: f64,
    /// How many times what was had the upper bound is, of app-days with any use, in order.
    times: Vec<f64>,
}

fn fit(missing: u64, hidden: u64, seed: u64) -> Fit {
    let (traffic, truth) = corpus(missing, hidden, &mut Random::new(seed));
    let made = Made::read(&traffic, &[]);
    let rows = made.rows("apps.csv");
    let dates: BTreeSet<&str> = rows.iter().map(|row| row["date"].as_str()).collect();
    assert_eq!(dates.len() as i64, DAYS);
    let day_of = |date: &str| dates.iter().position(|known| *known == date).unwrap_or_default();
    let bounds: BTreeMap<(i64, &str), (u64, u64)> = rows
        .iter()
        .map(|row| {
            let certain = support::number(&row["bytes_up"]) + support::number(&row["bytes_down"]);
            let key = (day_of(&row["date"]) as i64, row["app_id"].as_str());
            (key, (certain, support::number(&row["bytes_upper_bound"])))
        })
        .collect();
    // An app that a day has a row of, without any use, is an app-day, too.
    let keys: BTreeSet<(i64, &str)> = bounds.keys().chain(truth.keys()).copied().collect();
    assert!(keys.len() >= 40, "{} app-days", keys.len());
    let (mut within, mut times, mut certain_bytes) = (0, Vec::new(), 0);
    for key in &keys {
        let bytes = truth.get(key).copied().unwrap_or_default();
        let (certain, most) = bounds.get(key).copied().unwrap_or_default();
        within += usize::from(certain <= bytes && bytes <= most);
        certain_bytes += certain;
        if bytes > 0 {
            times.push(most as f64 / bytes as f64);
        }
    }
    times.sort_by(f64::total_cmp);
    let certain = certain_bytes as f64 / truth.values().sum::<u64>() as f64;
    Fit { within: (within, keys.len()), certain, times }
}

#[test]
fn what_apps_truly_had_lies_within_their_bounds() {
    for missing in [0, 30, 60, 80] {
        for hidden in [0, 50, 100] {
            for seed in 0..3 {
                let Fit { within, certain, times } = fit(missing, hidden, 80 + seed);
                let what = format!(
                    "{missing} % of the questions missing, {hidden} % hidden, seed {seed}: \
                     {within:?}, {certain:.2} certain"
                );
                assert!(within.0 * 100 >= within.1 * 95, "{what}");
                // What shows its name is certain, whatever is missing: three quarters of the
                // connections, but for those that hide it.
                let opaque = 0.25 + 0.75 * hidden as f64 / 100.0;
                assert!(certain >= 0.85 * (1.0 - opaque), "{what}");
                // What is at an address is one of three apps', so that the share of connections that
                // say nothing leaves a bound of so much of one's own and of two others'; the rest is
                // for days on which an app had little, which are most of the mean.
                let expected = 1.0 + 2.0 * opaque;
                let (median, mean) =
                    (times[times.len() / 2], times.iter().sum::<f64>() / times.len() as f64);
                eprintln!("{what}; {median:.2} and {mean:.2} times, {expected:.2} expected");
                assert!(median <= 1.25 * expected, "median {median}: {what}");
                assert!(mean <= 1.6 * expected, "mean {mean}: {what}");
            }
        }
    }
}

#[test]
fn what_nobody_knows_anything_of_is_told_and_bounds_nobody() {
    let mut traffic = Traffic::default();
    let client = end("10.7.0.1:40000".to_owned());
    let mut talk =
        Talk::tcp(&mut traffic, client, end("198.18.9.9:443".to_owned()), START * SECOND);
    talk.open();
    talk.send(Side::Up, &[0xfe; 500]);
    talk.send(Side::Down, &[0xfd; 5_000]);
    talk.close();
    let bytes = talk.bytes().0 + talk.bytes().1;
    let made = Made::read(&traffic, &[]);
    let unbounded = &support::manifest(&made.report())["unbounded"];
    assert_eq!((unbounded["flows"].as_u64(), unbounded["bytes"].as_u64()), (Some(1), Some(bytes)));
    // A client that is told a name for the address an hour later makes it that app's, perhaps.
    let later = (START + 3600) * SECOND;
    let resolver = end("10.0.0.53:53".to_owned());
    let mut talk = Talk::udp(&mut traffic, end("10.7.0.2:4000".to_owned()), resolver, later);
    talk.send(Side::Up, &dns::query(7, "chatgpt.com", dns::A));
    let address = "198.18.9.9".parse().expect("an address");
    talk.send(Side::Down, &dns::response(7, "chatgpt.com", &[address], 300));
    // And so does anybody's connection with a name, a day before.
    let mut random = Random::new(3);
    let early = (START - 20 * 3600) * SECOND;
    let server = end("198.18.9.9:443".to_owned());
    let mut talk = Talk::tcp(&mut traffic, end("10.7.0.3:4000".to_owned()), server, early);
    talk.open();
    let hello = Hello { server_name: Some("files.slack.com"), ..Hello::default() };
    talk.send(Side::Up, &tls::records(&tls::client_hello(&hello, &mut random), 16_384));
    talk.send(Side::Down, &tls::server_hello(&mut random));
    talk.close();
    traffic.sort();
    let made = Made::read(&traffic, &[]);
    assert_eq!(support::manifest(&made.report())["unbounded"]["bytes"].as_u64(), Some(0));
    let rows = made.rows("apps.csv");
    for app in ["chatgpt", "slack"] {
        let row = rows
            .iter()
            .find(|row| row["app_id"] == app && row["bytes_up"] == "0")
            .unwrap_or_else(|| panic!("{app} is possible"));
        assert_eq!(support::number(&row["bytes_upper_bound"]), bytes, "{app}");
        assert_eq!(row["evidence_best"], "dns_only");
    }
}
