//! The sensor as a service: configuration, signs of life, questions, reloading, care of the
//! database, nightly reports.
#![allow(clippy::disallowed_methods, reason = "what is on a cable takes time")]

use std::fs;
use std::io::BufRead;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use shadowscope::service::reload::load_checked;
use shadowscope::signatures::SignatureOptions;

use crate::support;
use crate::wire::{Cable, Sensor, office, output, tool, wait_for};

fn stdout(ended: support::Ended) -> String {
    ended.expect(0).stdout
}

#[test]
fn the_configuration_is_told_with_its_places_and_mistakes_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scope.toml");
    let name = path.to_str().unwrap();
    fs::write(&path, "[capture]\ninterface = [\"tap0\"]\nring_mib = 8\n").unwrap();
    let mut program = support::program();
    program.args(["config", "--config", name, "--ring", "16"]).env("SHADOWSCOPE_SNAP", "512");
    let output = program.output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("interface"), format!("interface = [\"tap0\"] # {name}:2"));
    assert_eq!(line("ring_mib"), "ring_mib = 16 # command line");
    assert_eq!(line("snap_bytes"), "snap_bytes = 512 # SHADOWSCOPE_SNAP");
    assert_eq!(line("zone"), "zone = \"UTC\" # default");

    fs::write(&path, "[capture]\ninterfaces = [\"tap0\"]\n").unwrap();
    for command in ["config", "run", "doctor"] {
        let said = support::run([command, "--config", name]).expect(2).stderr;
        let expected = format!("{name}:2:1: unknown key `interfaces`; write `interface`");
        assert!(said.contains(&expected), "{said}");
    }
    let said = support::run(["run", "--config", "/no/such/file"]).expect(2).stderr;
    assert!(said.contains("/no/such/file"));
    fs::write(&path, "[service]\nallow_root = true\n").unwrap();
    let said = support::run(["run", "--config", name]).expect(2).stderr;
    assert!(said.contains("no interface to capture on"));
    let site = "x".repeat(65);
    fs::write(&path, format!("[service]\nallow_root = true\n[store]\nsite = \"{site}\"\n"))
        .unwrap();
    let said = support::run(["run", "--config", name]).expect(2).stderr;
    assert!(said.contains(&format!("{name}:4: store.site")) && said.contains("too long"), "{said}");
}

#[test]
fn a_catalogue_that_fails_its_own_tests_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let from = support::signatures();
    for file in shadowscope::signatures::read_catalogue(&from).unwrap() {
        let path = folder.path().join(&file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.text).unwrap();
    }
    let options =
        SignatureOptions { signatures: Some(folder.path().to_path_buf()), signatures_extra: None };
    let ours = folder.path().join("o/ours.toml");
    fs::create_dir_all(ours.parent().unwrap()).unwrap();
    let wrong = "[[test]]\nhost = \"elsewhere.example\"\napp = \"ours\"\n";
    fs::write(&ours, signature("ours", "ours.example") + wrong).unwrap();
    // It can be used, but does not do what it says.
    shadowscope::signatures::load(&options).unwrap();
    let findings = load_checked(&options).unwrap_err().to_string();
    assert!(findings.contains("ours.toml") && findings.contains("elsewhere.example"), "{findings}");
}

/// Reads on until the sensor says this; answers the line.
fn hear(sensor: &mut Sensor, what: &str) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        assert!(sensor.said.read_line(&mut line).unwrap() > 0, "it never said: {what}");
        if line.contains(what) {
            return line;
        }
    }
}

fn status(socket: &str) -> Value {
    let told = stdout(support::run(["status", "--socket", socket, "--json"]));
    serde_json::from_str(&told).unwrap()
}

/// The small catalogue as one file.
fn pack(file: &str) {
    let folder = support::signatures();
    let arguments = ["signatures", "pack", file, "--dir"].map(std::ffi::OsStr::new);
    support::run(arguments.into_iter().chain([folder.as_os_str()])).expect(0);
}

/// A signature file of one domain.
fn signature(id: &str, domain: &str) -> String {
    format!(
        "schema = 1\nid = \"{id}\"\nname = \"Ours\"\nvendor = \"us\"\nkind = \"app\"\n\
         category = \"collaboration\"\nstatus = \"active\"\nmaturity = \"candidate\"\n\
         homepage = \"https://{domain}/\"\nverified = 2026-11-22\n\
         sources = [\"https://{domain}/\"]\n[[match]]\nrole = \"use\"\ndomains = [\"{domain}\"]\n"
    )
}

#[test]
fn a_sensor_says_how_it_is_and_takes_what_is_reloaded() {
    let Some(cable) = Cable::new() else { return };
    tool("ip", &["-n", &cable.sensor, "link", "set", "lo", "up"]);
    let text = |name: &str| cable.path(name).into_os_string().into_string().unwrap();
    let [packed, extra, config, socket, notify] =
        ["catalogue.packed", "extra", "scope.toml", "scope.sock", "notify"].map(text);
    pack(&packed);
    fs::create_dir(&extra).unwrap();
    let capture = cable.path("office.pcap");
    office(7, 300).write(&capture).unwrap();
    let write_config = |rest: &str| {
        let text = format!(
            "[service]\nsocket = \"{socket}\"\nmetrics = \"127.0.0.1:9469\"\n\
             [catalogue]\nsignatures_extra = \"{extra}\"\n{rest}"
        );
        fs::write(&config, text).unwrap();
    };
    write_config("");
    let manager = UnixDatagram::bind(&notify).unwrap();
    // Few datagrams wait for somebody to read them.
    let (sender, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 256];
        while let Ok(length) = manager.recv(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    let listen = || heard.recv_timeout(Duration::from_secs(30)).unwrap();
    let options = ["--signatures", &packed, "--config", &config, "--workers", "2", "--ring", "8"];
    // The watchdog is fed four times as often as it wants.
    let environment = [("NOTIFY_SOCKET", notify.as_str()), ("WATCHDOG_USEC", "2000000")];
    let mut sensor = cable.run_with(&[&options[..], &["--clear"]].concat(), &environment);
    assert_eq!(listen(), "READY=1");
    assert_eq!(listen(), "WATCHDOG=1");
    let sent = cable.replay(&capture, &[]);

    // Workers tell at once; what is committed comes with the next minute.
    wait_for("the workers to have taken all", || {
        let workers = status(&socket)["workers"].clone();
        let packets = workers.as_array().unwrap().iter().map(|worker| worker["packets"].as_u64());
        packets.sum::<Option<u64>>() == Some(sent)
    });
    let told = stdout(support::run(["status", "--socket", &socket]));
    assert!(told.contains("on vb") && told.contains("worker 1"), "{told}");
    let ask =
        "exec 3<>/dev/tcp/127.0.0.1/9469; printf 'GET /metrics HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3";
    let metrics = output("ip", &["netns", "exec", &cable.sensor, "bash", "-c", ask]);
    assert!(metrics.starts_with("HTTP/1.1 200 OK"), "{metrics}");
    assert!(metrics.contains("shadowscope_worker_packets_total{worker=\"0\"}"), "{metrics}");

    // A file that is put there is taken; one that is wrong is refused with its finding.
    let before = status(&socket)["catalogue"].clone();
    let file = Path::new(&extra).join("ours.toml");
    fs::write(&file, signature("ours", "ours.example")).unwrap();
    hear(&mut sensor, "is taken, since its files changed");
    wait_for("another catalogue", || status(&socket)["catalogue"] != before);
    let taken = status(&socket)["catalogue"].clone();
    fs::write(&file, signature("ours", "ours.example").replace("role", "roll")).unwrap();
    hear(&mut sensor, "refused");
    let finding = hear(&mut sensor, "ours.toml:");
    assert!(finding.contains("error"), "{finding}");
    wait_for("the refusal to be counted", || status(&socket)["reloads_refused"] == 1);
    assert_eq!(status(&socket)["catalogue"], taken);

    // SIGHUP takes the rest.
    fs::remove_file(&file).unwrap();
    let people = text("people.csv");
    fs::write(&people, "address_or_network,user,department\n10.1.0.0/16,anna,Sales\n").unwrap();
    let more = format!("[identity]\nfile = \"{people}\"\n[capture]\nsnap_bytes = 1024\n");
    write_config(&more);
    sensor.signal("-HUP");
    hear(&mut sensor, "capture.snap_bytes has changed and needs a restart");
    hear(&mut sensor, "identities, networks and what is kept are taken");
    write_config("[capture]\nsnap_byte = 1\n");
    sensor.signal("-HUP");
    let refusal = hear(&mut sensor, "refused");
    assert!(refusal.contains("unknown key `snap_byte`"), "{refusal}");

    let (code, _) = {
        sensor.signal("-TERM");
        sensor.wait()
    };
    assert_eq!(code, 0);
    let mut last = String::new();
    wait_for("STOPPING", || {
        last = listen();
        last == "STOPPING=1"
    });
    assert!(!Path::new(&socket).exists());
    assert_eq!(cable.ask("SELECT sum(packets) FROM totals"), sent as i64);
    let said = support::run(["status", "--socket", &socket]).expect(2).stderr;
    assert!(said.contains("no sensor answers"));
}

#[test]
fn unmatched_names_and_users_of_a_reload_are_told_after_a_minute() {
    let Some(cable) = Cable::new() else { return };
    let text = |name: &str| cable.path(name).into_os_string().into_string().unwrap();
    let [socket, people, key, packed, config, evidence] =
        ["scope.sock", "people.csv", "key", "catalogue.packed", "scope.toml", "evidence"].map(text);
    pack(&packed);
    fs::write(&config, "[store]\nkeep_hourly_days = 20\n").unwrap();
    let capture = cable.path("office.pcap");
    office(8, 200).write(&capture).unwrap();
    fs::write(&people, "address_or_network,user,department\n192.0.2.1,nobody,\n").unwrap();
    let of_people = ["--identities", &people, "--pseudonym-key", &key, "--config", &config];
    let options = [&of_people[..], &["--socket", &socket, "--signatures", &packed]].concat();
    let mut sensor = cable.run(&options);
    // All of it is right, or nothing is taken.
    let reload = |sensor: &Sensor, file: &str, keep: &str| {
        let text = format!(
            "[store]\n{keep}\n[report]\nevidence = \"{evidence}\"\n\
             [networks]\nown_domain = [\"wetransfer.com\"]\nown_server = [\"203.0.113.0/24\"]\n"
        );
        fs::write(&evidence, file).unwrap();
        fs::write(&config, text).unwrap();
        sensor.signal("-HUP");
    };
    reload(&sensor, "[evidence]\ninteractive_byte = 7\n", "");
    let said = hear(&mut sensor, "refused");
    assert!(said.contains("evidence") && said.contains(&config), "{said}");
    reload(&sensor, "[evidence]\ninteractive_bytes = 7\n", "keep_hourly_days = 100");
    let said = hear(&mut sensor, "refused");
    assert!(said.contains("less than store.keep_hourly_days = 100"), "{said}");
    fs::write(&people, "address_or_network,user,department\n10.0.0.0/8,anna,Sales\n").unwrap();
    reload(&sensor, "[evidence]\ninteractive_bytes = 7\n", "keep_hourly_days = 10");
    hear(&mut sensor, "identities, networks and what is kept are taken");
    wait_for("the reload to be exchanged", || status(&socket)["reloads"] == 1);
    cable.replay(&capture, &[]);
    let limit = std::time::Instant::now() + Duration::from_secs(90);
    while status(&socket)["commits"] == 0 || status(&socket)["clients"] == 0 {
        assert!(std::time::Instant::now() < limit, "{}", status(&socket));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(status(&socket)["clients_known"].as_u64() > Some(5), "{}", status(&socket));
    let listed = stdout(support::run(["unmatched", "--socket", &socket]));
    assert!(listed.contains(" flows, ") && listed.contains("schema = 1"), "{listed}");

    // Care of the database while it is written to.
    let db = cable.path("db").into_os_string().into_string().unwrap();
    let copy = text("copy.db");
    assert!(stdout(support::run(["db", "check", "--db", &db])).contains("all is well"));
    stdout(support::run(["db", "backup", "--db", &db, &copy]));
    assert!(stdout(support::run(["db", "check", "--db", &copy])).contains("all is well"));
    support::run(["db", "backup", "--db", &db, &copy]).expect(2);
    assert_eq!(sensor.end().0, 0);
    // It began under one configuration and took another.
    let manifest = support::manifest(&cable.report());
    assert_eq!(manifest["config_sha256"].as_array().map(Vec::len), Some(2), "{manifest}");
    // What is the organisation's own is no target.
    assert_eq!(cable.ask("SELECT count(*) FROM targets WHERE domain = 'wetransfer.com'"), 0);
    let private = "SELECT sum(bytes) FROM visibility AS v JOIN buckets AS b ON b.id = v.bucket
        WHERE b.name = 'private'";
    assert!(cable.ask(private) > 0);
    assert_eq!(cable.ask("SELECT count(*) FROM subjects WHERE user = 'anna'"), 0);
    assert!(cable.ask("SELECT count(*) FROM subjects WHERE user LIKE 'u-%'") > 5);
}

#[test]
fn a_sensor_deletes_what_is_too_old() {
    let Some(cable) = Cable::new() else { return };
    let db = cable.path("db");
    let (capture, report) = (cable.path("old.pcap"), cable.path("before"));
    // Made traffic is of a day long ago.
    office(11, 100).write(&capture).unwrap();
    let arguments = ["--db".as_ref(), db.as_os_str(), "--report".as_ref(), report.as_os_str()];
    support::read(arguments.into_iter().chain([capture.as_os_str()])).expect(0);
    let count = |table: &str| cable.ask(&format!("SELECT count(*) FROM {table}"));
    let bytes = cable.ask("SELECT sum(bytes) FROM visibility");
    assert!(count("usage") > 100 && count("subjects") > 10 && bytes > 0);
    let ages = |hours: &str, days: &str, totals: &str| {
        let options = ["--keep-hourly-days", hours, "--keep-daily-days", days];
        let sensor =
            cable.run(&[&options[..], &["--keep-totals-days", totals, "--clear"]].concat());
        (sensor, ["usage", "usage_daily", "targets_daily"])
    };
    // Hours become days, those totals, and those go: each run asks for a shorter past.
    for (kept, days) in [("usage_daily", ["1", "0", "0"]), ("targets_daily", ["1", "1", "0"])] {
        let (sensor, tables) = ages(days[0], days[1], days[2]);
        wait_for(kept, || tables.iter().all(|&table| (count(table) > 0) == (table == kept)));
        assert_eq!(sensor.end().0, 0);
    }
    let (sensor, tables) = ages("1", "1", "1");
    wait_for("all to go", || tables.iter().all(|table| count(table) == 0));
    assert_eq!(sensor.end().0, 0);
    assert_eq!(count("subjects"), 0);
    assert_eq!(cable.ask("SELECT sum(bytes) FROM visibility"), bytes, "the books tell of nobody");
}

#[test]
fn the_doctor_tells_what_a_port_shows() {
    let Some(cable) = Cable::new() else { return };
    let capture = cable.path("office.pcap");
    office(9, 300).write(&capture).unwrap();
    let doctor = |options: &[&str]| {
        let mut doctor = Command::new("ip");
        doctor.args(["netns", "exec", &cable.sensor, env!("CARGO_BIN_EXE_shadowscope"), "doctor"]);
        doctor.args(["--interface", "vb", "--workers", "1", "--db", "/tmp/x.db"]).args(options);
        doctor.stdout(std::process::Stdio::piped()).spawn().unwrap()
    };
    let running = doctor(&["--seconds", "12"]);
    for _ in 0..2 {
        cable.replay(&capture, &[]);
    }
    let found = running.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&found.stdout).into_owned();
    for words in
        ["rights: it may capture", "it is up", "packets a second", "DNS: ", "no port shows"]
    {
        assert!(told.contains(words), "{words}\n{told}");
    }
    assert!(told.contains("directions: 9") || told.contains("directions: 100"), "{told}");
    // The service makes its own folder; another one has to be there.
    let disk = |db: &[&str]| {
        let said = support::run([&["doctor", "--seconds", "0"], db].concat()).stdout;
        said.lines().find(|line| line.contains(" disk: ")).unwrap().to_owned()
    };
    assert!(!disk(&[]).starts_with("BAD   disk: there is no folder"), "{}", disk(&[]));
    let nowhere = disk(&["--db", "/no/such/folder/x.db"]);
    assert!(nowhere.starts_with("BAD   disk: there is no folder /no/such/folder"), "{nowhere}");
    let silent = doctor(&["--seconds", "1"]).wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&silent.stdout).into_owned();
    assert!(told.contains("BAD   traffic: nothing came in 1 s"), "{told}");
    assert_eq!(silent.status.code(), Some(1));
}

#[test]
fn nightly_reports_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let [db, config, reports] =
        ["usage.db", "scope.toml", "reports"].map(|n| folder.path().join(n));
    let input = support::fixtures().join("first-look/input.pcap");
    support::read(["--db".as_ref(), db.as_os_str(), input.as_os_str()]).expect(0);
    let text =
        format!("[store]\ndb = {:?}\n[report]\nfolder = {:?}\nkeep_days = 30\n", db, reports);
    fs::write(&config, text).unwrap();
    for old in ["2020-01-01", "not-a-date", "2020-01-011"] {
        fs::create_dir_all(reports.join(old)).unwrap();
    }
    for _ in 0..2 {
        let arguments =
            ["report".as_ref(), "--nightly".as_ref(), "--config".as_ref(), config.as_os_str()];
        let place = stdout(support::run(arguments));
        let files = support::contents(Path::new(place.trim()));
        assert!(files.contains_key("apps.csv") && files.contains_key("manifest.json"));
    }
    let names: Vec<_> = fs::read_dir(&reports)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(!names.contains(&"2020-01-01".to_owned()), "{names:?}");
    support::run(["report", "--nightly", "--out", "x"]).expect(2);
    support::run(["report"]).expect(2);
}
