//! The program as people and scripts meet it: exit codes with one line why, help that teaches, and a saga from `init` to its end.

#![allow(clippy::unwrap_used, reason = "a fixture that fails fails its test")]

mod common;

use common::{Coordinator, failed, ok, output, text, wait_until};
use serde_json::Value as Json;

#[test]
fn wrong_usage_is_2_and_nobody_there_is_3() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let nobody = "sagaline: no coordinator answers at http://127.0.0.1:1 (io: Connection refused (os error 111)): start one with \
                  `sagaline dev` or `sagaline serve --config FILE`, or name another with --api URL";
    let cases: [(&[&str], i32, &str); 14] = [
        (&["pss"], 2, "error: unrecognized subcommand 'pss'"),
        (
            &["ps", "--status", "dead"],
            2,
            "error: invalid value 'dead' for '--status <STATUS>': a status is one of running, compensating, held, stuck, completed, compensated, cancelled, closed, not_started",
        ),
        (
            &["ps", "--older-than", "5"],
            2,
            "error: invalid value '5' for '--older-than <DURATION>': \"5\" is no duration: 500ms, 30s, 5m, 2h, 3d",
        ),
        (
            &["skip", "1", "x", "--reason", "r"],
            2,
            "error: invalid value 'x' for '<OFFSET>': \"x\" is no OFFSET or OFFSET.TIMER",
        ),
        (&["ps", "--api", "127.0.0.1:7410"], 2, "sagaline: --api 127.0.0.1:7410: an API is at http://127.0.0.1:PORT"),
        (&["show", "T-1"], 2, "sagaline: \"T-1\" names no saga: give its id, or DEFINITION/KEY"),
        (
            &["check", "nowhere.yaml"],
            2,
            "sagaline: nowhere.yaml: No such file or directory (os error 2): give the path of a definition, or of a folder with definitions",
        ),
        (
            &["start", "book-trip", "T-1", "{"],
            2,
            "sagaline: the input is no JSON: EOF while parsing an object at line 1 column 1",
        ),
        (&["send", "trips", "nowhere.jsonl"], 2, "sagaline: nowhere.jsonl: No such file or directory (os error 2)"),
        (&["verify", "--data", "nowhere"], 2, "sagaline: nowhere is no data directory of `sagaline dev`"),
        (
            &["topics", "check"],
            2,
            "sagaline: the configuration lacks `kafka.bootstrap`: brokers: HOST:PORT[,HOST:PORT]. Set it in the file or as SAGALINE_KAFKA_BOOTSTRAP",
        ),
        (&["ps"], 3, nobody),
        (&["start", "book-trip", "T-1", "--wait"], 3, nobody),
        (&["watch", "--times", "1"], 3, nobody),
    ];
    for (arguments, code, why) in cases {
        assert_eq!(failed(dir, arguments), (code, why.to_owned()), "sagaline {arguments:?}");
    }
}

#[test]
fn the_configuration_is_checked_before_anybody_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let config = dir.join("sagaline.toml");
    let serve = |text: &str| {
        std::fs::write(&config, text).unwrap();
        failed(dir, &["serve", "--config", "sagaline.toml"])
    };
    let unknown = "sagaline: sagaline.toml: there is no key `kafka.bootstap`: did you mean `kafka.bootstrap`?";
    assert_eq!(serve("[kafka]\nbootstap = 'x'"), (2, unknown.to_owned()));
    let wrong = "sagaline: sagaline.toml: `api.port` must be a port: 0 to 65535";
    assert_eq!(serve("[api]\nport = 'x'"), (2, wrong.to_owned()));
    let (code, why) = serve("[kafka]\nbootstrap = '127.0.0.1:1'");
    assert_eq!(code, 3, "{why}");
    assert!(why.starts_with("sagaline: no broker answers at 127.0.0.1:1"), "{why}");
}

#[test]
fn help_teaches() {
    let dir = tempfile::tempdir().unwrap();
    expect_test::expect_file!["help.txt"].assert_eq(&ok(dir.path(), &["--help"]));
    assert_eq!(ok(dir.path(), &["version"]), format!("sagaline {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn init_makes_what_check_accepts_and_overwrites_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ok(dir, &["init", "trips"]);
    let key = std::fs::metadata(dir.join("trips/sagaline.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    let checked = ok(dir, &["check", "trips/definitions"]);
    assert!(checked.ends_with("ok: 1 definitions, 2 contracts\n"), "{checked}");
    let (code, why) = failed(dir, &["init", "trips"]);
    assert_eq!((code, why.contains("is there already: nothing was written")), (1, true), "{why}");

    let file = dir.join("trips/definitions/book-trip.yaml");
    let broken = std::fs::read_to_string(&file)
        .unwrap()
        .replace("flights.issue", "flights.isue")
        .replace("owner: team-trips", "ower: x");
    std::fs::write(&file, broken).unwrap();
    let (code, why) = failed(dir, &["check", "trips/definitions"]);
    assert_eq!(code, 2, "{why}");
    let told: Json = serde_json::from_slice(&output(dir, &["check", "trips/definitions", "--json"]).stdout).unwrap();
    let errors = told["diagnostics"].as_array().unwrap().iter().filter(|found| found["severity"] == "error").count();
    assert!(errors >= 2, "all mistakes at once: {told}");
    assert!(
        why.starts_with(&format!("sagaline: {errors} mistakes, the first: trips/definitions/book-trip.yaml:")),
        "{why}"
    );
}

#[test]
fn a_saga_runs_from_init_to_its_end_and_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &["init", "trips"]);
    let dir = &dir.path().join("trips");
    let mut dev = Coordinator::dev(dir, &["--mock", "flights", "--mock", "hotels"]);
    let started = dev.json(dir, &["start", "book-trip", "T-9", "@trip.json", "--wait"]);
    assert_eq!(started["status"], "completed", "{started}");
    let effects = started["report"]["effects"].as_array().unwrap();
    assert!(effects.len() == 3 && effects.iter().all(|effect| effect["stands"] == true), "{started}");

    let sent = dev.ask(dir, &["send", "trips", "events.jsonl", "--key", "trip_id"]);
    assert_eq!(text(&sent.stdout), "sent: 4 events to trips\n");
    let keys = || {
        let page = dev.json(dir, &["ps", "--all", "--status", "completed"]);
        let mut keys: Vec<String> =
            page["sagas"].as_array().unwrap().iter().map(|saga| saga["key"].as_str().unwrap().to_owned()).collect();
        keys.sort();
        keys
    };
    wait_until(|| keys() == ["T-1", "T-2", "T-9"]);
    let shown = dev.json(dir, &["show", "book-trip/T-1"]);
    assert_eq!(shown["history"].as_array().unwrap().last().unwrap()["what"], "ended: completed");
    let refused = dev.ask(dir, &["cancel", "book-trip/T-1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(text(&refused.stderr), "sagaline: refused: the saga has ended already: Completed\n");
    let watched = text(&dev.ask(dir, &["watch", "--times", "1"]).stdout);
    assert!(watched.starts_with("completed 3; "), "{watched}");
    assert_eq!(failed(dir, &["verify", "--data", "sagaline-data"]).0, 6, "a running node's log is in use");
    assert_eq!(dev.stop(), Some(0));

    let verified: Json = serde_json::from_str(&ok(dir, &["verify", "--data", "sagaline-data", "--json"])).unwrap();
    assert!(verified.as_array().unwrap().iter().all(|partition| partition["same"] == true), "{verified}");
    ok(dir, &["rebuild", "--data", "sagaline-data"]);
    let mut again = Coordinator::dev(dir, &[]);
    let page = again.json(dir, &["ps", "--all"]);
    assert_eq!(page["sagas"].as_array().unwrap().len(), 3, "the log was folded anew: {page}");
    assert_eq!(again.stop(), Some(0));
}

#[test]
fn what_is_in_the_way_is_told() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &["init", "trips"]);
    let dir = &dir.path().join("trips");
    let unknown = failed(dir, &["dev", "--port", "0", "--log-port", "0", "--mock", "trains"]);
    assert_eq!(
        unknown,
        (2, "sagaline: --mock trains: there is no contract of that name; known are flights, hotels".to_owned())
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, why) = failed(dir, &["dev", "--port", &port, "--log-port", "0"]);
    assert_eq!(code, 6, "{why}");
    assert!(why.starts_with(&format!("sagaline: the API can't listen at 127.0.0.1:{port}: ")), "{why}");
    let dev = Coordinator::dev(dir, &[]);
    let (code, why) = failed(dir, &["dev", "--port", "0", "--log-port", "0"]);
    assert_eq!((code, why.ends_with("is in use by another process")), (6, true), "{why}");
    let timeout = dev.ask(
        dir,
        &[
            "start",
            "book-trip",
            "T-1",
            "{\"trip_id\":\"T-1\",\"traveller\":\"Ada\",\"to\":\"Rome\",\"nights\":1}",
            "--wait",
            "--timeout",
            "100ms",
        ],
    );
    assert_eq!(timeout.status.code(), Some(5), "nobody answers: {}", text(&timeout.stderr));
}

#[test]
fn a_node_whose_partitions_are_all_halted_answers_and_takes_the_word_that_lets_it_go_on() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &["init", "trips"]);
    let dir = &dir.path().join("trips");
    let arguments = ["--partitions", "1", "--mock", "flights", "--mock", "hotels"];
    let mut dev = Coordinator::broken_dev(dir, &arguments, "panic-at:20");
    let health = |dev: &Coordinator| -> Json {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        agent.get(format!("{}/v1/health", dev.api)).call().unwrap().body_mut().read_json().unwrap()
    };
    let why = |dev: &Coordinator| health(dev)["why"][0].as_str().unwrap_or_default().to_owned();
    let mut number = 0;
    wait_until(|| {
        number += 1;
        dev.ask(dir, &["start", "book-trip", &format!("T-{number}"), "@trip.json"]);
        why(&dev).contains("halted")
    });
    let way_out = "can't go on at 20.0: it panics: a test wants it. Nothing was decided. `sagaline skip 0 20.0 --reason WHY` has that input passed over";
    assert!(why(&dev).ends_with(way_out), "{}", why(&dev));
    assert_eq!(dev.stop(), Some(0));

    let mut dev = Coordinator::broken_dev(dir, &arguments, "panic-at:20");
    wait_until(|| why(&dev).ends_with(way_out));
    let asked = dev.ask(dir, &["start", "book-trip", "T", "@trip.json"]);
    assert_eq!(asked.status.code(), Some(4), "{}", text(&asked.stderr));
    let skipped = dev.ask(dir, &["skip", "0", "20", "--reason", "it kills the fold"]);
    assert!(skipped.status.success(), "{}", text(&skipped.stderr));
    wait_until(|| health(&dev)["healthy"] == true);
    let good = dev.json(dir, &["start", "book-trip", "good", "@trip.json", "--wait"]);
    assert_eq!(good["status"], "completed", "{good}");
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn settings_are_shown_and_changed_and_hold_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &["init", "trips"]);
    let dir = &dir.path().join("trips");
    let mut dev = Coordinator::dev(dir, &["--partitions", "2"]);
    let shown = text(&dev.ask(dir, &["settings"]).stdout);
    assert!(shown.contains("\nmax_payload        262144 ") && shown.ends_with("\nversion 0\n"), "{shown}");
    let refused = |arguments: &[&str]| {
        let output = dev.ask(dir, &[&["settings", "set"], arguments].concat());
        (output.status.code(), text(&output.stderr))
    };
    let (code, why) = refused(&["max_payloa=1KiB"]);
    assert_eq!((code, why.contains("did you mean \"max_payload\"?")), (Some(2), true), "{why}");
    let (code, why) = refused(&["max_effects=1", "max_effects=2"]);
    assert_eq!((code, why.contains("max_effects is given twice")), (Some(2), true), "{why}");
    let (code, why) = refused(&["max_record=16MiB"]);
    let way_out =
        "kafka-configs --bootstrap-server HOST:PORT --alter --topic inbox --add-config max.message.bytes=16842752";
    assert_eq!((code, why.contains(way_out)), (Some(1), true), "{why}");

    let set = dev.json(dir, &["settings", "set", "max_payload=1KiB", "keep_ended=30d"]);
    assert_eq!((&set["version"], &set["settings"]["keep_ended"]), (&1.into(), &2_592_000_000_i64.into()), "{set}");
    let again = dev.json(dir, &["settings", "set", "keep_ended=30d", "max_payload=1024"]);
    assert_eq!(again, set, "asked again it changes nothing");
    let long = format!("{{\"traveller\": \"{}\"}}", "x".repeat(1_100));
    let (code, why) = {
        let output = dev.ask(dir, &["start", "book-trip", "T-1", &long]);
        (output.status.code(), text(&output.stderr))
    };
    assert_eq!((code, why.contains("the settings allow 1024")), (Some(1), true), "{why}");
    assert_eq!(dev.stop(), Some(0));
    let dev = Coordinator::dev(dir, &[]);
    assert_eq!(dev.json(dir, &["settings", "show"]), set);
}

#[test]
fn the_rules_are_raised_by_who_says_yes_and_the_build_before_finds_no_way_back() {
    let dir = tempfile::tempdir().unwrap();
    ok(dir.path(), &["init", "trips"]);
    let dir = &dir.path().join("trips");
    let mut dev = Coordinator::dev(dir, &["--partitions", "2"]);
    let said = text(&dev.ask(dir, &["upgrade"]).stdout);
    assert!(said.contains("\n0          1      dev\n"), "{said}");
    assert!(
        said.contains(
            "\ndev knows version 1\nnothing is to be raised here\nwhat other nodes know is not known here. Ask each"
        ),
        "{said}"
    );
    assert_eq!(dev.stop(), Some(0));

    // The next build takes its place, the old one comes back, the next one again: nothing is raised yet.
    for next in [true, false, true] {
        let mut dev =
            if next { Coordinator::broken_dev(dir, &[], "known-rules:2") } else { Coordinator::dev(dir, &[]) };
        let page = dev.json(dir, &["upgrade", "status"]);
        assert_eq!((&page["in_force"], &page["newest"]), (&1.into(), &if next { 2 } else { 1 }.into()), "{page}");
        assert_eq!(dev.stop(), Some(0));
    }
    let mut dev = Coordinator::broken_dev(dir, &[], "known-rules:2");
    let would = text(&dev.ask(dir, &["upgrade", "raise"]).stdout);
    assert!(would.starts_with("dev would have the rules of inbox partitions 0, 1 raised to version 2\n"), "{would}");
    assert!(would.contains("refuses its partitions from then on, and no way leads back\n"), "{would}");
    assert!(would.ends_with("nothing was changed: with --yes it is done\n"), "{would}");
    assert_eq!(dev.json(dir, &["upgrade", "status"])["in_force"], 1);
    let output = dev.ask(dir, &["upgrade", "raise", "--to", "3", "--yes"]);
    assert_eq!(
        (output.status.code(), text(&output.stderr).contains("knows the rules up to version 2")),
        (Some(1), true)
    );
    for _ in 0..2 {
        let raised = dev.json(dir, &["upgrade", "raise", "--yes"]);
        assert_eq!((&raised["in_force"], &raised["raise_to"]), (&2.into(), &serde_json::Value::Null), "{raised}");
    }
    assert_eq!(dev.stop(), Some(0));

    let (code, why) = failed(dir, &["dev", "--port", "0", "--log-port", "0"]);
    assert_eq!(code, 4, "{why}");
    assert!(
        why.contains("have version 2, this program knows version 1: run a build that knows version 2 on this node"),
        "{why}"
    );
    let mut dev = Coordinator::broken_dev(dir, &[], "known-rules:2");
    assert_eq!(dev.json(dir, &["upgrade"])["in_force"], 2);
    assert_eq!(dev.stop(), Some(0));
}

#[test]
fn a_stop_before_it_is_ready_is_a_clean_end() {
    use std::net::TcpListener;
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    ok(dir, &["init", "trips"]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!("key_file = 'trips/sagaline.key'\n[kafka]\nbootstrap = '{}'", silent.local_addr().unwrap());
    std::fs::write(dir.join("sagaline.toml"), config).unwrap();
    let mut serve = common::sagaline(dir);
    let serve = serve.args(["serve", "--config", "sagaline.toml", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    // A broker that takes the connection and says nothing: the coordinator waits for its first word.
    let _connection = silent.accept().unwrap();
    assert!(Command::new("kill").args(["-TERM", &serve.id().to_string()]).status().unwrap().success());
    let ended = serve.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), text(&ended.stdout)), (Some(0), String::new()));
}
